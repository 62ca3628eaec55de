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


def _log2(values: np.ndarray) -> np.ndarray:
    return np.asarray(np.log2(np.maximum(values, 2.0**-20)))


def _filled(columns: Columns, name: str, default: float) -> np.ndarray:
    """A column with ``default`` in its empty cells, or all of it where there is none."""
    if name not in columns:
        return np.full(len(columns["dtype"]), default)
    return np.where(np.isnan(columns[name]), default, columns[name])


def _waste(tiles: np.ndarray, slots: np.ndarray) -> np.ndarray:
    """What the last wave leaves idle: waves taken over waves of work."""
    return _log2(np.ceil(tiles / slots) * slots / tiles)


def _gemm(columns: Columns, slots: np.ndarray) -> Coordinates:
    m, n, k = columns["m"], columns["n"], columns["k"]
    tiles = np.ceil(m / _TILE) * np.ceil(n / _TILE)
    return {
        "m": _log2(m), "n": _log2(n), "k": _log2(k),
        "tiles": _log2(np.ceil(m / 64) * np.ceil(n / _TILE) / slots),
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
        "batch": _log2(batch), "heads": _log2(queries), "kv_heads": _log2(groups),
        "share": _log2(queries / groups), "head_dim": _log2(columns["head_dim"]),
        "new": _log2(new), "seen": _log2(seen), "cached": _log2(context - new + 1),
        "windowed": np.clip(_log2(context / seen), 0.0, 8.0),
        "tiles": _log2(tiles / slots), "pairs": _log2(batch * groups / slots),
        "waste": _waste(tiles, slots),
    }  # fmt: skip


def _latent(columns: Columns, slots: np.ndarray) -> Coordinates:
    batch, heads = columns["batch"], columns["query_heads"]
    new = _filled(columns, "new_tokens", 1.0)
    cached = _filled(columns, "cached_tokens", 0.0)
    tiles = batch * heads * np.ceil(new / _TILE)
    return {
        "batch": _log2(batch), "heads": _log2(heads), "new": _log2(new),
        "seen": _log2(new + cached), "cached": _log2(cached + 1),
        "tiles": _log2(tiles / slots), "waste": _waste(tiles, slots),
    }  # fmt: skip


def _experts(columns: Columns, slots: np.ndarray) -> Coordinates:
    ep, tp = _filled(columns, "ep", 1.0), _filled(columns, "tp", 1.0)
    tokens, experts = columns["tokens"], columns["experts"]
    visits = tokens * columns["top_k"]
    each = visits / experts
    width = columns["intermediate"] / tp
    tiles = np.minimum(experts / ep, visits / ep) * np.ceil(np.maximum(each, 1) / 64) * width / 64
    return {
        "tokens": _log2(tokens), "visits": _log2(visits / ep), "each": _log2(each),
        "experts": _log2(experts / ep), "spread": _log2(ep), "top_k": _log2(columns["top_k"]),
        "hidden": _log2(columns["hidden"]), "width": _log2(width), "tiles": _log2(tiles / slots),
    }  # fmt: skip


def _recurrent(columns: Columns, slots: np.ndarray) -> Coordinates:
    batch, new, heads = columns["batch"], columns["new_tokens"], columns["heads"]
    return {
        "batch": _log2(batch), "new": _log2(new), "heads": _log2(heads),
        "tokens": _log2(batch * new), "groups": _log2(columns["groups"]),
        "tiles": _log2(batch * heads / slots),
    }  # fmt: skip


def _moved(columns: Columns, slots: np.ndarray) -> Coordinates:
    return {"bytes": _log2(columns["total_bytes"])}


def _collective(columns: Columns, slots: np.ndarray) -> Coordinates:
    return {"message": _log2(columns["message_bytes"]), "ranks": _log2(columns["ranks"])}


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
    return found(columns, multiprocessors)
