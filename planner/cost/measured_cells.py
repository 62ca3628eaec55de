"""Which measured format, routing and number of ranks speaks for a row whose own nobody measured."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from planner.cost.calibration import Calibration
from planner.cost.work import codes_of

ROUTING = "power_law_1.01"
"""How tokens choose experts where nothing is said."""

_LIKE: Mapping[str, tuple[str, ...]] = {
    "half": ("fp16", "bf16"), "fp16": ("bf16",), "bf16": ("fp16",), "int8": ("sq", "fp8"),
    "sq": ("fp8",), "int8_wo": ("int4_wo",), "int4_wo": ("int8_wo",), "fp8": ("fp8_block", "bf16"),
    "fp8_block": ("fp8",), "w4a16_mxfp4": ("int4_wo",), "w4a8_mxfp4_mxfp8": ("fp8",),
}  # fmt: skip
"""Formats whose kernels are alike, the nearest first."""

_WIDE_CACHES: Mapping[str, tuple[str, ...]] = {
    "bf16": ("fp16",), "fp16": ("bf16",), "fp32": ("bf16",)
}  # fmt: skip
_NARROW_CACHE = ("fp8", "bf16")


@dataclass(frozen=True, slots=True)
class Heard:
    """Cells by which a profile hears rows.

    Parameters
    ----------
    cells : mapping
        Text by column, replaced where only something alike was measured.
    exact : numpy.ndarray
        Rows whose own cells were measured.
    lacking : numpy.ndarray
        Rows for whose format nothing alike was measured.
    """

    cells: Mapping[str, np.ndarray]
    exact: np.ndarray
    lacking: np.ndarray


def heard_cells(profile: Calibration, cells: Mapping[str, np.ndarray]) -> Heard:
    """Return the cells under which a profile knows rows.

    Parameters
    ----------
    profile : Calibration
        The profile.
    cells : mapping
        Text by column.

    Returns
    -------
    Heard
        The next alike where a format, a routing or a number of ranks was not measured.

    Examples
    --------
    >>> from planner.cost.calibration import load_calibrations
    >>> cells = {"kind": np.array(["gemm"], object), "dtype": np.array(["int8"], object)}
    >>> found = heard_cells(load_calibrations()["gemm"], cells)
    >>> found.cells["dtype"][0], bool(found.exact[0])
    ('sq', False)
    """
    names, known = _known(profile)
    rows = len(cells["kind"])
    if not names:
        nothing = np.zeros(rows, dtype=bool)
        return Heard(cells, ~nothing, nothing)
    empty = np.full(rows, "", object)
    codes, asked = codes_of([cells.get(name, empty) for name in names], rows)
    spoken = [_nearest(dict(zip(names, each, strict=True)), known) for each in asked]
    replaced = dict(cells)
    for at, name in enumerate(names):
        texts = [
            found[at] if found else each[at] for found, each in zip(spoken, asked, strict=True)
        ]
        replaced[name] = np.array(texts, object)[codes]
    exact = [found is not None and _same(found, each, names) for found, each in zip(
        spoken, asked, strict=True)]  # fmt: skip
    lacking = [found is None for found in spoken]
    return Heard(replaced, np.array(exact)[codes], np.array(lacking)[codes])


@functools.lru_cache(maxsize=32)
def _known(profile: Calibration) -> tuple[tuple[str, ...], frozenset[tuple[str, ...]]]:
    """The columns in which a profile tells formats or ranks apart, and what it has of them."""
    for level in profile.levels:
        names = tuple(n for n in level.by if n in ("dtype", "kv_dtype", "routing", "ranks"))
        if names:
            at = [level.by.index(name) for name in names]
            return names, frozenset(tuple(g.key[i] for i in at) for g in level.groups)
    return (), frozenset()


def _same(found: tuple[str, ...], asked: tuple[str, ...], names: tuple[str, ...]) -> bool:
    """Whether a row is heard as what it is; an empty cell says nothing else."""
    return all(
        one == other or (other == "" and name != "dtype")
        for one, other, name in zip(found, asked, names, strict=True)
    )


def _nearest(asked: Mapping[str, str], known: frozenset[tuple[str, ...]]) -> tuple[str, ...] | None:
    """The first known combination, trying each column's own cell before its likes."""
    likes = [_likes(name, asked, known) for name in asked]
    return next((each for each in itertools.product(*likes) if each in known), None)


def _likes(
    name: str, asked: Mapping[str, str], known: frozenset[tuple[str, ...]]
) -> tuple[str, ...]:
    cell = asked[name]
    if name == "ranks":
        place = list(asked).index(name)
        numbers = sorted({each[place] for each in known}, key=int)
        return tuple(sorted(numbers, key=lambda each: abs(np.log(int(each) / max(int(cell), 1)))))
    if name == "routing":
        return (cell, ROUTING) if cell else (ROUTING,)
    if name == "dtype":
        return (cell, *_LIKE.get(cell, ()))
    dtype = asked.get("dtype", "")
    cache = cell or (dtype if dtype in _WIDE_CACHES else "bf16")
    return (cache, *_WIDE_CACHES.get(cache, _NARROW_CACHE))
