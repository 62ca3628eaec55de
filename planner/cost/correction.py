"""What a profile's curves add to a row: the heights of its groups, summed once, then looked up.

All levels share the knots of a curve, so the groups of a row add up to one list of heights.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from planner.cost.calibration import IMPLEMENTATION, Axis, Calibration, Group, Level
from planner.cost.coordinates import Coordinates
from planner.cost.curve import Grid
from planner.cost.work import codes_of

_CHUNK_ROWS = 65_536


class Correction:
    """The curves of a profile, ready to be evaluated.

    Parameters
    ----------
    profile : Calibration
        With levels, groups and heights.
    """

    def __init__(self, profile: Calibration) -> None:
        self._levels = profile.levels
        self._cells = tuple(dict.fromkeys(name for level in profile.levels for name in level.by))
        self._grid = grid_of(profile.curves)
        self._first = dict(zip(profile.curves, self._grid.firsts, strict=True))
        self._sums: dict[tuple[str, ...], np.ndarray] = {}

    def log_ratio(self, coordinates: Coordinates, cells: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the logarithm of measured over base time.

        Parameters
        ----------
        coordinates : dict
            Of the rows.
        cells : mapping
            The columns that tell groups apart.

        Returns
        -------
        numpy.ndarray
            Per row; nothing is added where no group agrees. [1]
        """
        rows = len(cells["kind"])
        empty = np.full(rows, "", object)
        codes, found = codes_of([cells.get(name, empty) for name in self._cells], rows)
        sums = np.stack([self._summed(wanted) for wanted in found])
        parts = []
        for start in range(0, rows, _CHUNK_ROWS):
            chosen = slice(start, start + _CHUNK_ROWS)
            here = {name: values[chosen] for name, values in coordinates.items()}
            index, weight = self._grid.place(here, len(codes[chosen]))
            parts.append((sums[codes[chosen], index] * weight).sum(axis=0))
        return np.concatenate(parts)

    def _summed(self, wanted: tuple[str, ...]) -> np.ndarray:
        """Heights of all curves for rows with these cells."""
        if wanted not in self._sums:
            cells = dict(zip(self._cells, wanted, strict=True))
            total = np.zeros(self._grid.heights)
            for level in self._levels:
                group = nearest(level, tuple(cells[name] for name in level.by))
                for name, heights in group.heights.items() if group else ():
                    first = self._first[name]
                    total[first : first + len(heights)] += heights
            self._sums[wanted] = total
        return self._sums[wanted]


def grid_of(curves: Mapping[str, tuple[Axis, ...]]) -> Grid:
    """Return the curves of a profile as one grid, in their order.

    Parameters
    ----------
    curves : mapping
        Axes by name of the curve.

    Returns
    -------
    Grid
        With the heights of all curves in one list.
    """
    return Grid(
        [
            (tuple(axis.of for axis in axes), tuple(axis.knots for axis in axes))
            for axes in curves.values()
        ]
    )


def nearest(level: Level, wanted: tuple[str, ...]) -> Group | None:
    """Return the group that speaks for a row.

    It must agree in all columns but those of the implementation, and of these in as many of the
    first as possible; the most measured one decides between equals.

    Parameters
    ----------
    level : Level
        Groups, the most measured first.
    wanted : tuple of str
        Cells of the row.

    Returns
    -------
    Group or None
        None where nothing like the row was measured.
    """
    may = [at for at, name in enumerate(level.by) if name in IMPLEMENTATION]
    must = [at for at in range(len(level.by)) if at not in may]
    kin = [g for g in level.groups if all(g.key[at] == wanted[at] for at in must)]
    return max(kin, key=lambda g: [g.key[at] == wanted[at] for at in may], default=None)
