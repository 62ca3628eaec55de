"""A curve given by its heights at evenly spaced knots: straight in between, level beyond."""

from __future__ import annotations

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


def heights_at(left: np.ndarray, weight: np.ndarray, heights: np.ndarray) -> np.ndarray:
    """Return the heights of curves, one curve per row.

    Parameters
    ----------
    left, weight : numpy.ndarray
        As :meth:`Knots.weigh` gives them, shape ``(rows,)``.
    heights : numpy.ndarray
        One curve for all rows, shape ``(knots,)``.

    Returns
    -------
    numpy.ndarray
        Shape ``(rows,)``. [1]
    """
    return np.asarray(heights[left] * (1.0 - weight) + heights[left + 1] * weight)
