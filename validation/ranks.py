"""Several processes on one record: rank 0 chooses the cases and keeps it, the others follow.

``torchrun --nproc-per-node 2 -m validation run --kinds all_reduce,all_gather`` starts them.
"""

from __future__ import annotations

import datetime
import os
import time
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from planner.cost.shapes import execution_of
from planner.errors import PlannerError
from validation.bench import Bench
from validation.cases import COLLECTIVE_KINDS, Case
from validation.collectives import collective, link_rate
from validation.effort import NORMAL, Effort
from validation.entries import Ceilings, Environment, Row
from validation.predict import forecast
from validation.record import Record
from validation.run import Budget, Say, run

_PATIENCE = datetime.timedelta(seconds=120)


class RankBench(Bench):
    """The bench of one rank; rank 0 is told what to do, the others follow it.

    Parameters
    ----------
    device : str
        As PyTorch names it.
    spec : str, optional
        Device of the catalog to predict for.
    effort : Effort
        How much time one measurement may take.
    """

    def __init__(self, device: str, *, spec: str | None = None, effort: Effort = NORMAL) -> None:
        super().__init__(device, spec=spec, effort=effort)
        self.ranks, self.rank = dist.get_world_size(), dist.get_rank()

    def environment(self) -> Environment:
        """Return what this rank is, and how many there are.

        Returns
        -------
        Environment
            Of rank 0 in the record.
        """
        found = super().environment()
        return found.model_copy(
            update={"device": self.device.type, "ranks": self.ranks, "backend": dist.get_backend()}
        )

    def ceilings(self) -> Ceilings | None:
        """Measure the host and the link between two of its processes.

        Returns
        -------
        Ceilings or None
            None for GPUs.
        """
        found = super().ceilings()
        if found is None:
            return None
        rate = self._told("link", None)
        return found.model_copy(update={"link_bytes_per_s": rate})

    def row(self, case: Case, seed: int) -> Row:
        """Try a case on all ranks.

        Parameters
        ----------
        case : Case
            The case.
        seed : int
            First seed of the run. [1]

        Returns
        -------
        Row
            Time of the slowest rank; right where every rank's result is.
        """
        begin = time.perf_counter()
        found: dict[str, Any] = {}
        self._predict(case, found)
        outcome = self._told("case", (case.to_dict(), case.seed(seed)))
        return Row(
            id=case.id,
            kind=case.kind,
            kernel=case.kernel,
            backend=dist.get_backend(),
            dtype=case.dtype,
            shape=dict(case.shape),
            seed=case.seed(seed),
            took_s=round(time.perf_counter() - begin, 3),
            **outcome,
            **found,
        )

    def follow(self) -> None:
        """Do what rank 0 says until it says stop."""
        while True:
            what, details = self._heard()
            if what == "stop":
                return
            self._do(what, details)

    def close(self) -> None:
        """Tell the others to stop."""
        if self.rank == 0:
            dist.broadcast_object_list([("stop", None)], src=0)

    def _told(self, what: str, details: Any) -> Any:
        dist.broadcast_object_list([(what, details)], src=0)
        return self._do(what, details)

    def _heard(self) -> Any:
        message: list[Any] = [None]
        dist.broadcast_object_list(message, src=0)
        return message[0]

    def _do(self, what: str, details: Any) -> Any:
        if what == "link":
            return link_rate(self.device)
        case, seed = details
        return collective(Case(**case), seed, self.device, self.effort)

    def _predict(self, case: Case, found: dict[str, Any]) -> None:
        planned = self.setting(0).planned
        try:
            said = forecast(case.kind, case.columns, execution_of(case.dtype), planned)
            found["prediction"] = said.prediction()
        except PlannerError as error:
            found["unpredicted"] = error.what


def run_together(
    device: str | None,
    path: Path,
    budget: Budget,
    *,
    seed: int | None,
    spec: str | None,
    say: Say,
    effort: Effort = NORMAL,
) -> Record | None:
    """Run collectives as one of several ranks that ``torchrun`` has started.

    Parameters
    ----------
    device : str or None
        Kind of device; each rank takes the one of its own number.
    path : pathlib.Path
        The record, which rank 0 keeps.
    budget : Budget
        Minutes and kinds.
    seed : int or None
        First seed of the inputs. [1]
    spec : str or None
        Device of the catalog to predict for.
    say : callable
        Takes progress, of rank 0.
    effort : Effort
        How much time one measurement may take.

    Returns
    -------
    Record or None
        The record on rank 0, None on the others.
    """
    kind = (device or ("cuda" if torch.cuda.is_available() else "cpu")).partition(":")[0]
    name = f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if kind == "cuda" else kind
    if kind == "cuda":
        torch.cuda.set_device(torch.device(name))
    dist.init_process_group("nccl" if kind == "cuda" else "gloo", timeout=_PATIENCE)
    try:
        bench = RankBench(name, spec=spec, effort=effort)
        if bench.rank:
            bench.follow()
            return None
        kinds = budget.kinds or COLLECTIVE_KINDS
        try:
            return run(bench, path, Budget(minutes=budget.minutes, kinds=kinds), seed=seed, say=say)
        finally:
            bench.close()
    finally:
        dist.destroy_process_group()
