"""What can be run: one case is one kernel on one shape, in the order in which cases tell most."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from planner.cost.shapes import execution_of
from planner.errors import PlannerError, ScenarioError, UnknownNameError
from validation.entries import Value
from validation.kernels import KERNELS
from validation.reduction import model_of

MEMORY_KINDS = ("weights", "cache", "paged_cache", "attention_peak", "flop")
STEP_KINDS = ("model_decode", "model_prefill")
COLLECTIVE_KINDS = ("all_reduce", "all_gather", "reduce_scatter", "all_to_all", "send_recv")
_MOST_MEMORY_FRACTION = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One kernel on one shape.

    Parameters
    ----------
    kind : str
        Kind of operation, of step or of check.
    kernel : str
        Name in the registry of kernels, or who does a step.
    dtype : str
        Of the inputs.
    shape : mapping
        Shape columns of the kind.
    variant : str
        Which of several things of the kind.
    untimed : str
        Why no time is taken; empty where one is.
    """

    kind: str
    kernel: str
    dtype: str
    shape: Mapping[str, Value] = field(hash=False)
    variant: str = ""
    untimed: str = ""

    @property
    def id(self) -> str:
        """Same for the same case everywhere."""
        columns = ",".join(f"{k}={v}" for k, v in self.shape.items() if v is not None)
        return "/".join(filter(None, (self.kind, self.variant, self.kernel, self.dtype, columns)))

    @property
    def columns(self) -> dict[str, Value]:
        """Shape columns with the variant among them, as in tables of operations."""
        return {"variant": self.variant, **self.shape} if self.variant else dict(self.shape)

    @property
    def backend(self) -> str:
        """Who made the kernel."""
        return KERNELS[self.kernel].provider if self.kernel in KERNELS else self.kernel

    def seed(self, first: int) -> int:
        """Return the seed of its inputs.

        Parameters
        ----------
        first : int
            Seed of the run. [1]

        Returns
        -------
        int
            Another for every case. [1]

        Examples
        --------
        >>> case = Case(kind="gemm", kernel="torch_matmul", dtype="fp32", shape={"m": 1})
        >>> case.seed(1) == case.seed(1), case.seed(1) == case.seed(2)
        (True, False)
        """
        digest = hashlib.sha256(f"{first}/{self.id}".encode()).digest()
        return int.from_bytes(digest[:4])

    def to_dict(self) -> dict[str, Any]:
        """Return the case as plain data.

        Returns
        -------
        dict
            What the constructor takes.
        """
        return {
            "kind": self.kind,
            "kernel": self.kernel,
            "dtype": self.dtype,
            "shape": dict(self.shape),
            "variant": self.variant,
            "untimed": self.untimed,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Cases of one kind: every shape with every dtype and kernel, the most telling shape first.

    Parameters
    ----------
    kind : str
        Kind of operation.
    kernels, dtypes : tuple of str
        What is run, and on what.
    columns : str
        Names of the shape columns.
    rows : tuple of tuple
        Values of the columns.
    variant, untimed : str
        As in :class:`Case`.
    block : str
        Grids of one block run one after the other, not interleaved: they share a model.
    """

    kind: str
    kernels: tuple[str, ...]
    dtypes: tuple[str, ...]
    columns: str
    rows: tuple[tuple[Value, ...], ...]
    variant: str = ""
    untimed: str = ""
    block: str = ""

    def cases(self) -> Iterator[Case]:
        """Yield the cases of the grid.

        Yields
        ------
        Case
            In the order of the rows.
        """
        names = self.columns.split()
        for row in self.rows:
            shape = dict(zip(names, row, strict=True))
            for dtype in self.dtypes:
                for kernel in self.kernels:
                    yield Case(
                        kind=self.kind,
                        kernel=kernel,
                        dtype=dtype,
                        shape={k: v for k, v in shape.items() if v is not None},
                        variant=self.variant,
                        untimed=self.untimed,
                    )


def interleaved(grids: Iterable[Grid]) -> list[Case]:
    """Return the cases of grids so that stopping anywhere leaves the same share of every grid.

    Parameters
    ----------
    grids : iterable of Grid
        The grids.

    Returns
    -------
    list of Case
        The first case of every grid first, and so on.

    Examples
    --------
    >>> one = Grid(kind="gemm", kernels=("a",), dtypes=("x",), columns="m", rows=((1,), (2,)))
    >>> two = Grid(kind="moe", kernels=("b",), dtypes=("x",), columns="m", rows=((1,),))
    >>> [case.kernel for case in interleaved((one, two))]
    ['a', 'b', 'a']
    """
    grids = list(grids)
    blocks = list(dict.fromkeys(grid.block for grid in grids if grid.block))
    placed: list[tuple[float, int, Case]] = []
    for number, grid in enumerate(grids):
        cases = list(grid.cases())
        for index, case in enumerate(cases):
            share = index / len(cases)
            if grid.block:
                share = (blocks.index(grid.block) + 0.5) / len(blocks)
            placed.append((share, number, case))
    ordered = sorted(placed, key=lambda entry: entry[:2])
    return list({case.id: case for _, _, case in ordered}.values())


def fits(case: Case, memory_bytes: int | None) -> bool:
    """Return whether a model's weights or caches leave room on a device.

    Parameters
    ----------
    case : Case
        A case; those without a model always fit.
    memory_bytes : int or None
        Memory of the device. [bytes]

    Returns
    -------
    bool
        By the planner's own count.
    """
    if memory_bytes is None or "model" not in case.shape:
        return True
    shape = case.shape
    try:
        model, execution = model_of(shape), execution_of(case.dtype)
    except PlannerError:
        return True
    context = int(shape.get("context") or shape.get("cached_tokens") or shape.get("new_tokens", 0))
    needed = model.weights_bytes(execution) if case.kind not in ("cache", "paged_cache") else 0
    needed += int(shape.get("batch") or 0) * model.cache_bytes(context, execution)
    return needed <= _MOST_MEMORY_FRACTION * memory_bytes


def grids_of(device: str) -> tuple[Grid, ...]:
    """Return the grids of a kind of device.

    Parameters
    ----------
    device : str
        ``"cpu"`` or ``"cuda"``, with or without an index.

    Returns
    -------
    tuple of Grid
        Collectives among them.
    """
    if device.startswith("cuda"):
        from validation.gpu_cases import GRIDS
    else:
        from validation.host_cases import GRIDS
    return GRIDS


def cases_of(device: str, kinds: Iterable[str] = (), *, ranks: int = 1) -> list[Case]:
    """Return the cases of a device, the most telling first.

    Parameters
    ----------
    device : str
        ``"cpu"`` or ``"cuda"``, with or without an index.
    kinds : iterable of str
        Only these kinds; all without any.
    ranks : int
        Processes of the run: collectives take several, everything else one. [1]

    Returns
    -------
    list of Case
        In the order in which to run them.

    Raises
    ------
    UnknownNameError
        No case is of such a kind.
    ScenarioError
        The kinds need several processes, or just one.
    """
    grids = grids_of(device)
    known = list(dict.fromkeys(grid.kind for grid in grids))
    wanted = list(dict.fromkeys(kinds))
    for kind in wanted:
        if kind not in known:
            raise UnknownNameError("kind", kind, known, fix="`python -m validation list` has all.")
    together = [grid for grid in grids if (grid.kind in COLLECTIVE_KINDS) == (ranks > 1)]
    chosen = [grid for grid in together if not wanted or grid.kind in wanted]
    if not chosen:
        raise ScenarioError(
            "these kinds take several processes" if ranks == 1 else "these kinds take one process",
            where="--kinds",
            got=", ".join(wanted),
            fix="Collectives run under torchrun --nproc-per-node 2 -m validation run …, "
            "everything else without it.",
        )
    found = interleaved(chosen)
    if ranks == 1:
        return found
    return [replace(case, shape={"ranks": ranks, **case.shape, "nodes": 1}) for case in found]
