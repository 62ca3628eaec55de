"""FLOP and bytes of many operations of one kind at once.

Rows that share the columns describing a part (widths, heads, formats) are one part and one step
whose fields are arrays, so that a million rows cost as much as their distinct shapes.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from planner.errors import PlannerError
from planner.on_demand import load

Columns = Mapping[str, np.ndarray]
"""Column by name: text as objects, numbers as floats with NaN for an empty cell."""

_ATTENTION = ("query_heads", "kv_heads", "head_dim", "window", "causal")
_LATENT = ("query_heads", "kv_lora_rank", "qk_rope_head_dim", "qk_nope_head_dim", "v_head_dim")
_EXPERTS = ("hidden", "intermediate", "gated", "experts", "top_k", "tp", "ep")
_STATE = ("variant", "hidden", "heads", "head_dim", "groups", "state_dim", "conv_kernel")
_TOKENS = ("batch", "new_tokens", "cached_tokens")
_COLLECTIVE = (("ranks", "nodes"), ("message_bytes",))
_RECURRENT = (_STATE, ("batch", "new_tokens"))

_SPARSE = 4

SHAPE_COLUMNS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "gemm": (("n", "k"), ("m",)),
    "attention_prefill": (_ATTENTION, _TOKENS),
    "attention_decode": (_ATTENTION, ("batch", "cached_tokens")),
    "mla_prefill": (_LATENT, _TOKENS),
    "mla_decode": (_LATENT, _TOKENS),
    "moe": (_EXPERTS, ("tokens",)),
    "state_space_prefill": _RECURRENT,
    "state_space_decode": _RECURRENT,
    "state_space_verify": _RECURRENT,
    "short_convolution_prefill": _RECURRENT,
    "short_convolution_decode": _RECURRENT,
    "short_convolution_verify": _RECURRENT,
    "elementwise": ((), ("total_bytes",)),
    "memory_copy": ((), ("total_bytes",)),
    "all_reduce": _COLLECTIVE,
    "all_gather": _COLLECTIVE,
    "reduce_scatter": _COLLECTIVE,
    "all_to_all": _COLLECTIVE,
    "send_recv": _COLLECTIVE,
}
"""Columns of a kind that describe the part, and those that describe the step."""

OPTIONAL_COLUMNS = frozenset({"window", "causal", "cached_tokens", "nodes", "tp", "ep", "gated"})
TEXT_COLUMNS = frozenset({"causal", "gated", "variant", "routing"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What rows do, whichever device they run on.

    Parameters
    ----------
    flop, moved_bytes, message_bytes : numpy.ndarray
        Per row; NaN where the row has a reason. [FLOP], [bytes]
    precision : numpy.ndarray
        Arithmetic of the products, a key of a device's rates.
    reason : numpy.ndarray
        Why a row cannot be counted; empty where it is.
    link_s : numpy.ndarray, optional
        Time of messages over the link they travel on; over the device's own link without it. [s]
    """

    flop: np.ndarray
    moved_bytes: np.ndarray
    message_bytes: np.ndarray
    precision: np.ndarray
    reason: np.ndarray
    link_s: np.ndarray | None = None


def codes_of(columns: Sequence[np.ndarray], rows: int) -> tuple[np.ndarray, list[tuple[Any, ...]]]:
    """Return which distinct combination of cells each row has.

    Parameters
    ----------
    columns : sequence of numpy.ndarray
        Columns of equal length; NaN equals NaN.
    rows : int
        Their length. [1]

    Returns
    -------
    tuple
        Index per row, and the combinations.

    Examples
    --------
    >>> codes, found = codes_of([np.array(["a", "b", "a"], object)], 3)
    >>> codes.tolist(), found
    ([0, 1, 0], [('a',), ('b',)])
    """
    text = [column.tolist() for column in columns if column.dtype == object]
    seen: dict[Any, int] = defaultdict(itertools.count().__next__)
    codes = np.zeros(rows, dtype=np.int64)
    if text:
        cells = zip(*text, strict=True)
        codes = np.fromiter(map(seen.__getitem__, cells), np.int64, rows)
    numbers = [column for column in columns if column.dtype != object]
    if not numbers:
        return codes, list(seen) or [()]
    for column in numbers:
        values, own = np.unique(column, return_inverse=True, equal_nan=True)
        codes = _dense(codes * len(values) + own.reshape(rows))
    first = np.empty(int(codes.max(initial=-1)) + 1, dtype=np.int64)
    first[codes[::-1]] = np.arange(rows)[::-1]
    return codes, [tuple(column[row] for column in columns) for row in first.tolist()]


def _dense(codes: np.ndarray) -> np.ndarray:
    """Codes without gaps, in the same order."""
    most = int(codes.max(initial=0))
    if most > _SPARSE * len(codes):
        return np.unique(codes, return_inverse=True)[1].reshape(len(codes))
    there = np.zeros(most + 1, dtype=bool)
    there[codes] = True
    return np.asarray((np.cumsum(there) - 1)[codes])


def work_of(kind: str, columns: Columns) -> Work:
    """Return FLOP and bytes of rows of one kind, counted by the planner's own parts.

    Parameters
    ----------
    kind : str
        A key of :data:`SHAPE_COLUMNS`.
    columns : mapping
        ``dtype``, for attention ``kv_dtype``, and the kind's shape columns.

    Returns
    -------
    Work
        A row whose shape or format no part accepts has its reason.

    Examples
    --------
    >>> shape = {"m": np.array([1.0, 8.0]), "n": np.full(2, 64.0), "k": np.full(2, 64.0)}
    >>> work_of("gemm", {**shape, "dtype": np.array(["bf16"] * 2, object)}).flop.tolist()
    [8192.0, 65536.0]
    """
    fixed, varying = SHAPE_COLUMNS[kind]
    rows = len(columns["dtype"])
    names = [name for name in ("dtype", "kv_dtype", *fixed) if name in columns]
    codes, shapes = codes_of([columns[name] for name in names], rows)
    figures = np.full((3, rows), np.nan)
    precision, reason = np.full(rows, "", object), np.full(rows, "", object)
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(np.bincount(codes, minlength=len(shapes)))
    for start, end, cells in zip(np.r_[0, ends[:-1]], ends, shapes, strict=True):
        chosen = order[start:end]
        step = {name: columns[name][chosen] for name in varying if name in columns}
        try:
            figures[:, chosen], precision[chosen] = _figures(
                kind, dict(zip(names, cells, strict=True)), step
            )
        except PlannerError as error:
            reason[chosen] = str(error)
    return Work(
        flop=figures[0], moved_bytes=figures[1], message_bytes=figures[2],
        precision=precision, reason=reason,
    )  # fmt: skip


def _figures(
    kind: str, part: Mapping[str, Any], step: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, str]:
    """FLOP, bytes and message of rows that share a part."""
    shape = {name: None if value != value else value for name, value in part.items()}
    execution = load("planner.cost.shapes:execution_of")(
        str(shape.pop("dtype")), kv_dtype=shape.pop("kv_dtype", None) or None
    )
    found = load("planner.cost.shapes:operations_of")(kind, {**shape, **step}, execution)
    rows = len(next(iter(step.values())))
    totals = np.zeros((3, rows))
    for _, operation, times in found:
        moved = operation.read_bytes + operation.write_bytes
        totals += times * np.array(
            [np.broadcast_to(x, rows) for x in (operation.flop, moved, operation.message_bytes)],
            dtype=float,
        )
    return totals, found[0][1].precision
