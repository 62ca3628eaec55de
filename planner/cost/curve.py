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

    def weigh(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the knot left of each value and how far on the way to the next it is.

        Parameters
        ----------
        x : numpy.ndarray
            Values; those beyond the ends count as the ends. [1]

        Returns
        -------
        tuple of numpy.ndarray
            Index of a knot, and a weight in 0–1 of the one after it.

        Examples
        --------
        >>> left, weight = Knots(start=0, step=2, count=3).weigh(np.array([-1.0, 3.0, 9.0]))
        >>> left.tolist(), weight.tolist()
        ([0, 1, 1], [0.0, 0.5, 1.0])
        """
        place = np.clip((x - self.start) / self.step, 0.0, self.count - 1)
        left = np.minimum(place.astype(np.int64), self.count - 2)
        return left, place - left


Place = tuple[np.ndarray, np.ndarray]
"""Indices of heights and their weights, each of shape ``(rows, corners)``."""


def place(rows: int, values: Sequence[np.ndarray], knots: Sequence[Knots]) -> Place:
    """Return which heights of a constant, a curve or a surface make up its value at each row.

    Parameters
    ----------
    rows : int
        How many rows. [1]
    values : sequence of numpy.ndarray
        One coordinate per dimension; none for a constant.
    knots : sequence of Knots
        Of each dimension.

    Returns
    -------
    tuple of numpy.ndarray
        Indices into the heights, the last dimension running fastest, and their weights.

    Examples
    --------
    >>> grid = Knots(start=0, step=1, count=3)
    >>> index, weight = place(1, [np.array([0.5]), np.array([1.0])], [grid, grid])
    >>> index.tolist(), weight.tolist()
    ([[1, 2, 4, 5]], [[0.5, 0.0, 0.5, 0.0]])
    """
    index, weight = np.zeros((rows, 1), dtype=np.int64), np.ones((rows, 1))
    for value, grid in zip(values, knots, strict=True):
        left, share = grid.weigh(value)
        base = index * grid.count + left[:, None]
        index = np.stack([base, base + 1], axis=2).reshape(rows, -1)
        shares = np.stack([1.0 - share, share], axis=1)
        weight = (weight[:, :, None] * shares[:, None, :]).reshape(rows, -1)
    return index, weight
