"""The bench in a process of its own: what kills it becomes a row, and another takes its place."""

from __future__ import annotations

import multiprocessing
import signal
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from planner.errors import PlannerError, ScenarioError
from validation.cases import Case
from validation.effort import NORMAL, Effort
from validation.entries import Ceilings, Environment, Row, Status

_START_S = 300.0
_STOP_S = 5.0


@dataclass(frozen=True, slots=True)
class _DiedError(Exception):
    """The process is gone, or had to be ended."""

    status: Status
    reason: str


class BenchError(ScenarioError):
    """The bench could not be set up; says why in its own words."""


class Worker:
    """A bench behind a pipe.

    Parameters
    ----------
    device : str
        As PyTorch names it.
    spec : str, optional
        Device of the catalog to predict for.
    effort : Effort
        How much time one measurement may take.
    plugins : tuple of str
        Modules to import first.
    limit_s : float
        Longest time of one case; starting a process does not count. [s]
    """

    def __init__(
        self,
        device: str,
        *,
        spec: str | None = None,
        effort: Effort = NORMAL,
        plugins: tuple[str, ...] = (),
        limit_s: float = 300.0,
    ) -> None:
        self._arguments = (device, spec, effort, plugins)
        self._limit_s = limit_s
        self._ceilings: Ceilings | None = None
        self._process: Any = None
        self._pipe: Connection | None = None

    def environment(self) -> Environment:
        """Return what the device is.

        Returns
        -------
        Environment
            As the process sees it.

        Raises
        ------
        BenchError
            The device is not there, or the process cannot be started.
        """
        return Environment.model_validate_json(self._asked("environment"))

    def ceilings(self) -> Ceilings | None:
        """Measure what a host reaches at best.

        Returns
        -------
        Ceilings or None
            None for a GPU.

        Raises
        ------
        BenchError
            The process died.
        """
        text = self._asked("ceilings")
        return None if text is None else Ceilings.model_validate_json(text)

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
            Its result; ``failed`` or ``out_of_memory`` where the process did not live to tell.
        """
        ceilings = self._ceilings.model_dump_json() if self._ceilings else None
        try:
            return Row.model_validate_json(self._ask("row", case.to_dict(), seed, ceilings))
        except _DiedError as death:
            return Row(
                id=case.id,
                kind=case.kind,
                kernel=case.kernel,
                backend=case.backend,
                dtype=case.dtype,
                variant=case.variant,
                shape=dict(case.shape),
                seed=case.seed(seed),
                status=death.status,
                reason=death.reason,
            )

    def close(self) -> None:
        """End the process."""
        if self._process is None:
            return
        process, self._process = self._process, None
        process.terminate()
        process.join(_STOP_S)
        if process.is_alive():
            process.kill()
            process.join()
        if self._pipe is not None:
            self._pipe.close()

    def _asked(self, what: str) -> Any:
        try:
            return self._ask(what)
        except _DiedError as death:
            raise BenchError(death.reason, where="--device", got=self._arguments[0]) from death

    def _ask(self, *request: Any) -> Any:
        if self._process is None:
            self._start()
            self._exchange(("environment",), _START_S)
        return self._exchange(request, self._limit_s)

    def _exchange(self, request: tuple[Any, ...], limit_s: float) -> Any:
        assert self._pipe is not None
        try:
            self._pipe.send(request)
            if not self._pipe.poll(limit_s):
                self.close()
                raise _DiedError("failed", f"no result within {limit_s:.0f} s")
            good, answer = self._pipe.recv()
        except (EOFError, BrokenPipeError, ConnectionResetError):
            raise self._death() from None
        if not good:
            raise BenchError(str(answer).removesuffix("."))
        return answer

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, *self._arguments), daemon=True)
        process.start()
        theirs.close()
        self._process = process

    def _death(self) -> _DiedError:
        self._process.join(_STOP_S)
        code = self._process.exitcode
        self.close()
        if code is not None and code < 0:
            reason = f"the process was ended by {signal.Signals(-code).name}"
            if -code == getattr(signal, "SIGKILL", 9):
                reason += ", as a system does that runs out of memory"
                return _DiedError("out_of_memory", reason)
            return _DiedError("failed", reason)
        return _DiedError("failed", f"the process ended with code {code}")


def _serve(
    pipe: Connection, device: str, spec: str | None, effort: Effort, plugins: tuple[str, ...]
) -> None:
    """Answer requests until the other end is gone; an interrupt is the other end's to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    from validation.bench import Bench

    bench: Bench | None = None
    while True:
        try:
            what, *rest = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            if bench is None:
                bench = Bench(device, spec=spec, effort=effort, plugins=plugins)
            answer = True, _answer(bench, what, rest)
        except PlannerError as error:
            answer = False, str(error)
        except ImportError as error:
            answer = False, f"cannot be imported here: {error}"
        try:
            pipe.send(answer)
        except (BrokenPipeError, OSError):
            return


def _answer(bench: Any, what: str, rest: list[Any]) -> str | None:
    if what == "environment":
        return str(bench.environment().model_dump_json())
    if what == "ceilings":
        measured = bench.ceilings()
        return None if measured is None else str(measured.model_dump_json())
    case, seed, ceilings = rest
    bench.use(Ceilings.model_validate_json(ceilings) if ceilings else None)
    return str(bench.row(Case(**case), seed).model_dump_json())
