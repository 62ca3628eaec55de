"""The bench: a device, its ceilings, and the cases tried on it one after the other."""

from __future__ import annotations

import ctypes
import importlib
import os
from typing import Any

from validation.cases import Case
from validation.effort import NORMAL, Effort
from validation.entries import Ceilings, Environment, Row


class Bench:
    """A device in this process.

    Parameters
    ----------
    device : str
        As PyTorch names it.
    spec : str, optional
        Device of the catalog to predict for.
    effort : Effort
        How much time one measurement may take.
    plugins : tuple of str
        Modules to import first; they may register kernels of their own.

    Raises
    ------
    ScenarioError
        The device is not there.
    """

    def __init__(
        self,
        device: str,
        *,
        spec: str | None = None,
        effort: Effort = NORMAL,
        plugins: tuple[str, ...] = (),
    ) -> None:
        prepare_process(device)
        import torch

        from validation.environment import torch_device, usable_cores

        self.device = torch_device(device)
        if self.device.type == "cpu":
            # One core is left to the system: threads that wait for one that was pushed off its
            # core make a small disturbance large.
            torch.set_num_threads(max(1, usable_cores() - 1))
        else:
            torch.cuda.set_device(self.device)
        self.spec = spec
        self.effort = effort
        self._environment: Environment | None = None
        self._ceilings: Ceilings | None = None
        for name in plugins:
            importlib.import_module(name)

    def environment(self) -> Environment:
        """Return what this is.

        Returns
        -------
        Environment
            Read once.
        """
        from validation.environment import environment

        if self._environment is None:
            self._environment = environment(self.device, spec=self.spec)
        return self._environment

    def ceilings(self) -> Ceilings | None:
        """Measure what a host reaches at best.

        Returns
        -------
        Ceilings or None
            None for a GPU, whose vendor prints them.
        """
        if self.device.type != "cpu":
            return None
        from validation.ceilings import host_ceilings

        return host_ceilings(self.environment().cache_bytes)

    def use(self, ceilings: Ceilings | None) -> None:
        """Predict from these ceilings.

        Parameters
        ----------
        ceilings : Ceilings or None
            As measured, now or when the record was begun.
        """
        self._ceilings = ceilings

    def row(self, case: Case, seed: int) -> Row:
        """Try a case.

        Parameters
        ----------
        case : Case
            The case.
        seed : int
            First seed of the run. [1]

        Returns
        -------
        Row
            Its result, whatever happened.
        """
        from validation.trial import try_case

        return try_case(case, self.setting(seed))

    def setting(self, seed: int) -> Any:
        """Return what all cases share.

        Parameters
        ----------
        seed : int
            First seed of the run. [1]

        Returns
        -------
        Setting
            Device, environment, seed, effort.
        """
        from validation.predict import device_of
        from validation.trial import Setting

        environment = self.environment()
        return Setting(
            device=self.device,
            environment=environment,
            planned=device_of(environment, self._ceilings),
            seed=seed,
            effort=self.effort,
        )

    def close(self) -> None:
        """Give back what is held."""


def prepare_process(device: str) -> None:
    """Set what libraries read when they are first imported.

    Parameters
    ----------
    device : str
        Device of the run: on a host, Triton is interpreted.
    """
    if not device.startswith("cuda"):
        os.environ["TRITON_INTERPRET"] = "1"
        _keep_freed_memory()
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def _keep_freed_memory() -> None:
    """Let the host's allocator keep what is freed, as a GPU's does.

    Otherwise a large output is mapped, touched page by page and unmapped at every call, and that
    is what would be timed.
    """
    never_map, never_trim = (-4, 0), (-1, -1)
    try:
        allocator = ctypes.CDLL(None)
        for parameter, value in (never_map, never_trim):
            allocator.mallopt(parameter, value)
    except (OSError, AttributeError):  # not glibc
        return
