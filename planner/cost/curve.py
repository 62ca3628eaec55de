"""Curves and surfaces given by heights at even knots: straight in between, level beyond."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class Knots:
    """Where a curve has its heights.

    Parameters
    ----------
    start, step : float
        First knot, and the distance between two. [1]
    count : int
        How many. [1]
    """

    start: float
    step: float
    count: int


Place = tuple[np.ndarray, np.ndarray]
"""Indices of heights and their weights, each of shape ``(rows, corners)``."""


def weigh(values: np.ndarray, start: np.ndarray, step: np.ndarray, count: np.ndarray) -> Place:
    """Return the knot left of each value and how far on the way to the next it is.

    Parameters
    ----------
    values : numpy.ndarray
        One column per axis; what lies beyond the ends counts as the ends. [1]
    start, step, count : numpy.ndarray
        Knots of each axis. [1]

    Returns
    -------
    tuple of numpy.ndarray
        Index of a knot, and a weight in 0–1 of the one after it.

    Examples
    --------
    >>> left, share = weigh(np.array([[-1.0], [3.0], [9.0]]), *map(np.array, ([0], [2], [3])))
    >>> left.ravel().tolist(), share.ravel().tolist()
    ([0, 1, 1], [0.0, 0.5, 1.0])
    """
    at = np.minimum(np.maximum((values - start) / step, 0.0), count - 1.0)
    left = np.minimum(at.astype(np.int64), count - 2)
    return left, at - left


class Grid:
    """Many constants, curves and surfaces over shared coordinates, their heights in one list.

    Parameters
    ----------
    curves : sequence of tuple
        For each, the names of its coordinates and their knots: none, one or two.
    """

    def __init__(self, curves: Sequence[tuple[tuple[str, ...], tuple[Knots, ...]]]) -> None:
        sizes = [int(np.prod([k.count for k in knots], dtype=int)) for _, knots in curves]
        firsts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        self.firsts: tuple[int, ...] = tuple(firsts[:-1].tolist())
        self.heights = int(firsts[-1])
        self._parts = tuple(
            _Part([(at, *curve) for at, curve in zip(firsts, curves, strict=False)
                   if len(curve[0]) == dimensions], dimensions)
            for dimensions in (0, 1, 2)
        )  # fmt: skip

    def place(self, coordinates: dict[str, np.ndarray], rows: int) -> Place:
        """Return which heights make up the sum of all curves at each row.

        Parameters
        ----------
        coordinates : dict
            Values by name, one per row.
        rows : int
            How many rows. [1]

        Returns
        -------
        tuple of numpy.ndarray
            Indices and weights.

        Examples
        --------
        >>> knots = Knots(start=0, step=1, count=3)
        >>> grid = Grid([((), ()), (("x",), (knots,)), (("x", "y"), (knots, knots))])
        >>> index, weight = grid.place({"x": np.array([0.5]), "y": np.array([1.0])}, 1)
        >>> index[0].tolist(), weight[0].tolist()
        ([0, 1, 2, 5, 6, 8, 9], [1.0, 0.5, 0.5, 0.5, 0.0, 0.5, 0.0])
        """
        found = [part.place(coordinates, rows) for part in self._parts if part.curves]
        return (
            np.concatenate([index for index, _ in found], axis=1),
            np.concatenate([weight for _, weight in found], axis=1),
        )


class _Part:
    """The curves of one number of dimensions."""

    def __init__(self, curves: Sequence[tuple[int, tuple[str, ...], tuple[Knots, ...]]],
                 dimensions: int) -> None:  # fmt: skip
        self.curves = len(curves)
        self._firsts = np.array([first for first, _, _ in curves], dtype=np.int64)
        self._names = [[names[at] for _, names, _ in curves] for at in range(dimensions)]
        self._knots = [
            tuple(
                np.array([getattr(knots[at], name) for _, _, knots in curves])
                for name in ("start", "step", "count")
            )
            for at in range(dimensions)
        ]

    def place(self, coordinates: dict[str, np.ndarray], rows: int) -> Place:
        """Indices and weights, corner after corner."""
        indices = [np.broadcast_to(np.zeros_like(self._firsts), (rows, self.curves))]
        weights = [np.ones((rows, self.curves))]
        for names, knots in zip(self._names, self._knots, strict=True):
            values = np.stack([coordinates[name] for name in names], axis=1)
            left, share = weigh(values, *knots)
            indices = [index * knots[2] + left + more for index in indices for more in (0, 1)]
            weights = [w * part for w in weights for part in (1.0 - share, share)]
        return np.concatenate([i + self._firsts for i in indices], axis=1), np.concatenate(
            weights, axis=1
        )
