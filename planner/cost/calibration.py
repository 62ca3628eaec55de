"""A calibration profile as a file: what was fitted to measured times of one family of operations.

A profile names the kinds of operation it speaks for, a saturating roofline, and correction curves
on *levels*: one for all that share a format, further ones for what is particular to a family of
devices, a kernel, a device. A row adds up the curves of the groups it belongs to.
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from planner.cost.curve import Knots
from planner.hardware import Device, Devices
from planner.hardware.spec import OWN_CALIBRATION
from planner.sources import Source
from planner.spec_folders import folders, read_spec, shown_path, validate

FOLDER = "hardware_specs"
SUBFOLDER = "calibration"
SUFFIXES = (".json", ".yaml")
IMPLEMENTATION = ("backend", "version", "kernel")
"""Columns in which a row may differ from what was measured; in all others it must agree."""

TIMES = " x "
"""Joins the coordinates of a surface in its name."""

_MILLI = 1e-3


class Part(BaseModel):
    """Base of everything in a profile."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Roofline(Part):
    """The saturating roofline under the corrections.

    Parameters
    ----------
    overhead_s : float
        What every launch takes, however small. [s]
    compute_fraction, memory_fraction : float
        Of peak rate and of bandwidth, or of the link's, reached at best. [1]
    norm : float
        How well computing and moving overlap: 1 one after the other, large the maximum. [1]
    """

    overhead_s: float = Field(gt=0)
    compute_fraction: float = Field(gt=0)
    memory_fraction: float = Field(gt=0)
    norm: float = Field(ge=1)


class Axis(Part):
    """A coordinate and the knots over it, in powers of two."""

    of: str
    start: float
    step: float = Field(gt=0)
    count: int = Field(ge=2)

    @property
    def knots(self) -> Knots:
        """Where a curve over this coordinate has its heights."""
        return Knots(start=self.start, step=self.step, count=self.count)


class Group(Part):
    """Correction curves of the rows that share the cells ``key``.

    Parameters
    ----------
    key : tuple of str
        Cells of the level's columns.
    rows : int
        Rows it was fitted on. [1]
    curves : mapping
        Heights by name of the curve, thousandths of a natural logarithm, as text.
    """

    key: tuple[str, ...]
    rows: int
    curves: Mapping[str, str]

    @functools.cached_property
    def heights(self) -> dict[str, np.ndarray]:
        """Natural logarithms by name of the curve. [1]."""
        return {name: heights_of(text) for name, text in self.curves.items()}


class Level(Part):
    """Groups that are told apart by the same columns."""

    by: tuple[str, ...]
    groups: tuple[Group, ...]


class Spread(Part):
    """Typical deviation of a group, as a natural logarithm."""

    key: tuple[str, ...]
    deviation: float = Field(gt=0)


class Bands(Part):
    """How measured times scatter around predicted ones, on rows that were not fitted.

    Parameters
    ----------
    by : tuple of str
        Columns that tell the groups of ``spreads`` apart.
    edges : tuple of float
        Bounds between classes of predicted time, powers of two of microseconds. [1]
    p10, p90 : tuple of float
        Quantiles of the logarithmic deviation over its spread, per class. [1]
    spreads : tuple of Spread
        Of the groups.
    otherwise : float
        Spread of a group that is not listed. [1]
    unmeasured : tuple of float
        Quantiles p10 and p90 of the logarithmic deviation on a device left out of the fit. [1]
    """

    by: tuple[str, ...]
    edges: tuple[float, ...]
    p10: tuple[float, ...]
    p90: tuple[float, ...]
    spreads: tuple[Spread, ...]
    otherwise: float = Field(gt=0)
    unmeasured: tuple[float, float]

    @functools.cached_property
    def _deviations(self) -> dict[tuple[str, ...], float]:
        return {spread.key: spread.deviation for spread in self.spreads}

    def spread_of(self, key: tuple[str, ...]) -> float:
        """Return the typical deviation of a group.

        Parameters
        ----------
        key : tuple of str
            Cells of the columns ``by``.

        Returns
        -------
        float
            As a natural logarithm. [1]
        """
        return self._deviations.get(key, self.otherwise)


class Split(Part):
    """Which rows were fitted and which kept apart.

    Parameters
    ----------
    rule : str
        In words.
    fitted_below : float
        Rows whose place by :func:`place_of_row` is below it were fitted. [1]
    origins : tuple of str
        What stands in the ``source`` column of the rows; others were never seen.
    fitted, tested : int
        How many. [1]
    """

    rule: str
    fitted_below: float
    origins: tuple[str, ...]
    fitted: int
    tested: int


def place_of_row(cells: Iterable[str]) -> float:
    """Return where a row of a table falls between 0 and 1, whatever was measured.

    Parameters
    ----------
    cells : iterable of str
        All cells of the row, as they are written.

    Returns
    -------
    float
        First 8 hex digits of the SHA-256 of the cells joined by ``|``, over 16^8. [1]

    Examples
    --------
    >>> round(place_of_row(["gemm", "h100-sxm"]), 3)
    0.924
    """
    return int(hashlib.sha256("|".join(cells).encode()).hexdigest()[:8], 16) / 16**8


class Errors(Part):
    """Errors on the rows that were kept apart, of one kind and format.

    Parameters
    ----------
    key : tuple of str
        Kind, format, format of the cache, and device.
    rows : int
        How many. [1]
    median_fraction, p90_fraction : float
        Of ``|predicted - measured| / measured``. [1]
    in_band_fraction : float
        Rows between p10 and p90. [1]
    floor_fraction, constant_fraction : float
        Median error of the roofline at peak, and of the best constant share of it. [1]
    """

    key: tuple[str, ...]
    rows: int
    median_fraction: float
    p90_fraction: float
    in_band_fraction: float
    floor_fraction: float
    constant_fraction: float


class Calibration(Part):
    """One profile.

    Parameters
    ----------
    kinds : tuple of str
        Kinds of operation it speaks for.
    devices : tuple of str
        Devices that were measured.
    rooflines : mapping
        By kind of operation.
    curves : mapping
        By name, the coordinates that a curve runs over: none for a constant, two for a surface.
    """

    schema_version: Literal[1]
    kind: Literal["calibration"]
    id: str
    kinds: tuple[str, ...]
    devices: tuple[str, ...]
    formula: str
    rooflines: Mapping[str, Roofline]
    curves: Mapping[str, tuple[Axis, ...]]
    levels: tuple[Level, ...]
    bands: Bands
    split: Split
    errors: tuple[Errors, ...]
    source_note: str
    sources: Mapping[str, Source]

    def __hash__(self) -> int:
        return id(self)

    @functools.cached_property
    def measured(self) -> Mapping[str, Device]:
        """The devices that were measured, by id."""
        return Devices(self.devices)


def heights_of(text: str) -> np.ndarray:
    """Return the heights of a curve.

    Parameters
    ----------
    text : str
        Whole numbers, thousandths.

    Returns
    -------
    numpy.ndarray
        Natural logarithms. [1]

    Examples
    --------
    >>> heights_of("0 -250 40").tolist()
    [0.0, -0.25, 0.04]
    """
    return np.array(text.split(), dtype=float) * _MILLI


class Calibrations(Mapping[str, Calibration]):
    """Profiles by kind of operation, each checked when it is first asked for.

    Parameters
    ----------
    files : tuple
        Name of every file and when it was last changed, the most important first. [-], [ns]
    """

    def __init__(self, files: tuple[tuple[str, int], ...]) -> None:
        self._files: dict[str, tuple[Path, int]] = {}
        self._devices: dict[tuple[Path, int], Iterable[str]] = {}
        for file, mtime_ns in files:
            path = Path(file)
            spec = read_spec(path)
            if spec.get("kind") == OWN_CALIBRATION:
                continue
            kinds, devices = (
                _texts(spec.get(name)) or getattr(load_calibration(path, mtime_ns), name)
                for name in ("kinds", "devices")
            )
            for kind in kinds:
                self._files.setdefault(kind, (path, mtime_ns))
            self._devices[path, mtime_ns] = devices

    @functools.cached_property
    def measured(self) -> Mapping[str, Device]:
        """The devices that were measured for any profile, by id."""
        return Devices(name for file in self._files.values() for name in self._devices[file])

    def __getitem__(self, kind: str) -> Calibration:
        return load_calibration(*self._files[kind])

    def __contains__(self, kind: object) -> bool:
        return kind in self._files

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


def _texts(cells: Any) -> list[str] | None:
    """A list of texts as it is, None for anything else."""
    good = isinstance(cells, list) and all(isinstance(cell, str) for cell in cells)
    return cells if good else None


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """What lies in a folder; nothing where there is none."""
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return []


def load_calibrations() -> Calibrations:
    """Return the profiles by kind of operation.

    Returns
    -------
    Calibrations
        Where two speak for a kind, the one in the user's own folder.

    Raises
    ------
    SpecError
        A file cannot be read.
    """
    files: dict[str, tuple[str, int]] = {}
    for root in folders(FOLDER):
        for entry in _entries(root / SUBFOLDER):
            name, suffix = os.path.splitext(entry.name)
            if suffix in SUFFIXES:
                files.setdefault(name, (entry.path, entry.stat().st_mtime_ns))
    return _by_kind(tuple(files[name] for name in sorted(files)))


_by_kind = functools.lru_cache(maxsize=8)(Calibrations)


@functools.lru_cache(maxsize=64)
def load_calibration(path: Path, mtime_ns: int) -> Calibration:
    """Read one profile.

    Parameters
    ----------
    path : pathlib.Path
        A JSON or YAML file.
    mtime_ns : int
        When it was last changed; a later reading is not the same profile. [ns]

    Returns
    -------
    Calibration
        Its content.

    Raises
    ------
    SpecError
        It cannot be read or is not a profile.
    """
    return validate(Calibration, read_spec(path), shown_path(path))
