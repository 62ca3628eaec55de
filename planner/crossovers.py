"""From which context one curve lies below another, and by how much at the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Evaluate = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Contexts → another curve minus the first one; negative where the other is lower."""

_POINTS = 33
_NOISE = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Lower:
    """Contexts over which a curve lies below another.

    Parameters
    ----------
    start : int
        First of them. [tokens]
    end : int or None
        Last of them; None where it stays below up to the end of the range. [tokens]
    """

    start: int
    end: int | None


def lower_ranges(
    evaluate: Evaluate, scale: Evaluate, contexts: NDArray[np.float64]
) -> tuple[Lower, ...]:
    """Return where a curve lies below another, to the token.

    Sign changes are looked for between the given contexts and narrowed down in between; two within
    one interval would go unseen.

    Parameters
    ----------
    evaluate : callable
        Contexts to the difference of the two curves.
    scale : callable
        Contexts to the size of the first curve: differences below 10⁻¹² of it count as none.
    contexts : array, shape (n,)
        Ascending whole numbers. [tokens]

    Returns
    -------
    tuple of Lower
        Ascending; empty where it never does.

    Examples
    --------
    >>> grid = np.array([256.0, 1024.0, 65536.0])
    >>> lower_ranges(lambda n: 5000.0 - n, lambda n: n, grid)
    (Lower(start=5001, end=None),)
    """

    def is_lower(points: NDArray[np.float64]) -> NDArray[np.bool_]:
        return np.asarray(evaluate(points) < -_NOISE * np.abs(scale(points)))

    below = np.broadcast_to(is_lower(contexts), contexts.shape)
    edges = [int(contexts[0])] if below[0] else []
    for i in np.flatnonzero(below[1:] != below[:-1]):
        edges.append(_edge(is_lower, int(contexts[i]), int(contexts[i + 1])))
    starts, ends = edges[::2], edges[1::2]
    lasts: list[int | None] = [end - 1 for end in ends]
    if len(starts) > len(ends):
        lasts.append(None)
    return tuple(Lower(start=s, end=e) for s, e in zip(starts, lasts, strict=True))


def _edge(
    is_lower: Callable[[NDArray[np.float64]], NDArray[np.bool_]], left: int, right: int
) -> int:
    """Return the first context in (left, right] that is on the same side as the right one."""
    while right - left > 1:
        points = np.unique(np.linspace(left, right, _POINTS).round())
        sides = np.broadcast_to(is_lower(points), points.shape)
        turn = int(np.flatnonzero(sides != sides[0])[0])
        left, right = int(points[turn - 1]), int(points[turn])
    return right
