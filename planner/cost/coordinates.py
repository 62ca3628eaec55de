"""Where an operation stands: the few figures on which its efficiency depends, as powers of two.

Every coordinate is ``log2`` of something physical: a size, the time at peak, how far memory
outweighs compute, how many tiles each multiprocessor gets. A correction curve over such a
coordinate means the same on every device.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from planner.cost.work import Columns

Coordinates = dict[str, np.ndarray]

_TILE = 128
_LEAST = 2.0**-20


def _filled(columns: Columns, name: str, default: float) -> np.ndarray:
    """A column with ``default`` in its empty cells, or all of it where there is none."""
    if name not in columns:
        return np.full(len(columns["dtype"]), default)
    return np.where(np.isnan(columns[name]), default, columns[name])


def _waste(tiles: np.ndarray, slots: np.ndarray) -> np.ndarray:
    """What the last wave leaves idle: waves taken over waves of work."""
    return np.asarray(np.ceil(tiles / slots) * slots / tiles)


def _gemm(columns: Columns, slots: np.ndarray) -> Coordinates:
    m, n, k = columns["m"], columns["n"], columns["k"]
    tiles = np.ceil(m / _TILE) * np.ceil(n / _TILE)
    return {
        "m": m, "n": n, "k": k,
        "tiles": np.ceil(m / 64) * np.ceil(n / _TILE) / slots,
        "waste": _waste(tiles, slots),
    }  # fmt: skip


def _attention(columns: Columns, slots: np.ndarray) -> Coordinates:
    batch, queries, groups = columns["batch"], columns["query_heads"], columns["kv_heads"]
    new = _filled(columns, "new_tokens", 1.0)
    context = new + _filled(columns, "cached_tokens", 0.0)
    window = _filled(columns, "window", np.inf)
    seen = np.minimum(context, window)
    tiles = batch * queries * np.ceil(new / _TILE)
    return {
        "batch": batch, "heads": queries, "kv_heads": groups,
        "share": queries / groups, "head_dim": columns["head_dim"],
        "new": new, "seen": seen, "cached": context - new + 1,
        "windowed": np.minimum(context / seen, 256.0),
        "tiles": tiles / slots, "pairs": batch * groups / slots,
        "waste": _waste(tiles, slots),
    }  # fmt: skip


def _latent(columns: Columns, slots: np.ndarray) -> Coordinates:
    batch, heads = columns["batch"], columns["query_heads"]
    new = _filled(columns, "new_tokens", 1.0)
    cached = _filled(columns, "cached_tokens", 0.0)
    tiles = batch * heads * np.ceil(new / _TILE)
    return {
        "batch": batch, "heads": heads, "new": new,
        "seen": new + cached, "cached": cached + 1,
        "tiles": tiles / slots, "waste": _waste(tiles, slots),
    }  # fmt: skip


def _experts(columns: Columns, slots: np.ndarray) -> Coordinates:
    ep, tp = _filled(columns, "ep", 1.0), _filled(columns, "tp", 1.0)
    tokens, experts = columns["tokens"], columns["experts"]
    visits = tokens * columns["top_k"]
    each = visits / experts
    width = columns["intermediate"] / tp
    tiles = np.minimum(experts / ep, visits / ep) * np.ceil(np.maximum(each, 1) / 64) * width / 64
    return {
        "tokens": tokens, "visits": visits / ep, "each": each,
        "experts": experts / ep, "spread": ep, "top_k": columns["top_k"],
        "hidden": columns["hidden"], "width": width, "tiles": tiles / slots,
    }  # fmt: skip


def _recurrent(columns: Columns, slots: np.ndarray) -> Coordinates:
    batch, new, heads = columns["batch"], columns["new_tokens"], columns["heads"]
    return {
        "batch": batch, "new": new, "heads": heads,
        "tokens": batch * new, "groups": columns["groups"],
        "tiles": batch * heads / slots,
    }  # fmt: skip


def _moved(columns: Columns, slots: np.ndarray) -> Coordinates:
    return {"bytes": columns["total_bytes"]}


def _collective(columns: Columns, slots: np.ndarray) -> Coordinates:
    return {"message": columns["message_bytes"], "ranks": columns["ranks"]}


# Sizes, before their logarithm.
_KINDS: Mapping[str, Callable[[Columns, np.ndarray], Coordinates]] = {
    "gemm": _gemm,
    "attention": _attention,
    "mla": _latent,
    "moe": _experts,
    "state_space": _recurrent,
    "short_convolution": _recurrent,
    "elementwise": _moved,
    "memory_copy": _moved,
    "all": _collective,
    "reduce_scatter": _collective,
    "send_recv": _collective,
}


def coordinates_of(kind: str, columns: Columns, multiprocessors: np.ndarray) -> Coordinates:
    """Return the coordinates of rows that their shape and the device's width give.

    Parameters
    ----------
    kind : str
        Kind of operation.
    columns : mapping
        Its shape columns.
    multiprocessors : numpy.ndarray
        Of each row's device. [1]

    Returns
    -------
    dict
        Powers of two, one array per coordinate.

    Examples
    --------
    >>> shape = {"m": np.array([128.0]), "n": np.array([256.0]), "k": np.array([64.0])}
    >>> {a: float(b[0]) for a, b in coordinates_of("gemm", shape, np.array([2.0])).items()}
    {'m': 7.0, 'n': 8.0, 'k': 6.0, 'tiles': 1.0, 'waste': 0.0}
    """
    family = kind if kind in _KINDS else kind.rpartition("_")[0]
    found = _KINDS.get(family) or _KINDS[family.partition("_")[0]]
    sizes = found(columns, multiprocessors)
    powers = np.log2(np.maximum(np.array(list(sizes.values())), _LEAST))
    return dict(zip(sizes, powers, strict=True))
