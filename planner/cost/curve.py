"""Curves and surfaces given by heights at even knots: straight in between, level beyond."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, product, zip_longest

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
"""Indices of heights and their weights, each of shape ``(corners, rows)``."""


def weigh(values: np.ndarray, start: np.ndarray, step: np.ndarray, count: np.ndarray) -> Place:
    """Return the knot left of each value and how far on the way to the next it is.

    Parameters
    ----------
    values : numpy.ndarray
        One row per axis; what lies beyond the ends counts as the ends, and what is no number as
        the start. [1]
    start, step, count : numpy.ndarray
        Knots of each axis. [1]

    Returns
    -------
    tuple of numpy.ndarray
        Index of a knot, and a weight in 0–1 of the one after it.

    Examples
    --------
    >>> left, share = weigh(np.array([-1.0, 3.0, 9.0]), *map(np.array, (0, 2, 3)))
    >>> left.tolist(), share.tolist()
    ([0, 1, 1], [0.0, 0.5, 1.0])
    """
    at = np.fmin(np.fmax((values - start) / step, 0.0), count - 1.0)
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
        sizes = [math.prod(each.count for each in knots) for _, knots in curves]
        *firsts, heights = accumulate(sizes, initial=0)
        self.firsts: tuple[int, ...] = tuple(firsts)
        self.heights: int = heights
        pairs = [tuple(zip(*curve, strict=True)) for curve in curves]
        axes = {axis: at for at, axis in enumerate(dict.fromkeys(chain.from_iterable(pairs)))}
        self._names = [name for name, _ in axes]
        self._knots = [
            np.array([[getattr(knots, field)] for _, knots in axes])
            for field in ("start", "step", "count")
        ]
        corners = [
            corner
            for first, curve in zip(firsts, pairs, strict=True)
            for corner in _corners(first, [(axes[axis], axis[1].count) for axis in curve])
        ]
        corners.sort(key=lambda corner: -len(corner[1]))
        self._first = np.array([[first] for first, _ in corners])
        self._sides = [
            np.array([side for side in sides if side is not None]).T
            for sides in zip_longest(*(sides for _, sides in corners))
        ]

    def place(self, coordinates: Mapping[str, np.ndarray], rows: int) -> Place:
        """Return which heights make up the sum of all curves at each row.

        Parameters
        ----------
        coordinates : mapping
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
        >>> index[:, 0].tolist(), weight[:, 0].tolist()
        ([5, 6, 8, 9, 1, 2, 0], [0.5, 0.0, 0.5, 0.0, 0.5, 0.5, 1.0])
        """
        index = np.repeat(self._first, rows, axis=1)
        weight = np.ones(index.shape)
        if self._names:
            left, share = weigh(np.array([coordinates[name] for name in self._names]), *self._knots)
            shares = np.array([1.0 - share, share])
            for axis, stride, side in self._sides:
                index[: len(axis)] += left[axis] * stride[:, None]
                weight[: len(axis)] *= shares[side, axis]
        return index, weight


def _corners(
    first: int, axes: Sequence[tuple[int, int]]
) -> Iterator[tuple[int, list[tuple[int, int, int]]]]:
    """Each corner of a cell: its height, and per axis the number, stride and side of it."""
    strides = [math.prod(count for _, count in axes[at + 1 :]) for at in range(len(axes))]
    for sides in product((0, 1), repeat=len(axes)):
        yield (
            first + sum(side * stride for side, stride in zip(sides, strides, strict=True)),
            [(axis, stride, side)
             for (axis, _), stride, side in zip(axes, strides, sides, strict=True)],
        )  # fmt: skip
