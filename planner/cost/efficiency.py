r"""Seconds of operations as measured kernels take them, with a band.

.. math::
    t = \Big(l\,t_0 + \big((c/e_c)^p + (b/e_m)^p\big)^{1/p} + q/e_m\Big)
        \exp\Big(\sum_{levels} \sum_{axes} f(x)\Big)

with ``c`` and ``b`` the times at peak rate and bandwidth, ``l`` launches, ``q`` the time at
bandwidth of quantising activations, and ``f`` the correction curves of a calibration profile.
Never less than the floor: compute at peak, bytes at the bandwidth of the memory they come from.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from planner.cost.calibration import IMPLEMENTATION, Calibration
from planner.cost.correction import Correction
from planner.cost.kinship import family, stand_in
from planner.cost.measured_cells import heard_cells
from planner.cost.message_links import alike, row_links
from planner.cost.own_times import Shipped, Spoken, Voice
from planner.cost.peaks import Peaks, Placed, axes_of, base_s, peaks_of, place_rows
from planner.cost.work import Columns, Work, codes_of
from planner.errors import SpecError
from planner.hardware import Device
from planner.on_demand import load

if TYPE_CHECKING:
    from planner.hardware import Measurements

BOUNDS = ("compute", "memory", "communication", "overhead")
_MICRO = 1e6
_OVERHEAD_SHARE = 0.25
_CELLS = frozenset({"dtype", "kv_dtype", "routing", "variant", "ranks", *IMPLEMENTATION})


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Predicted times of rows.

    Parameters
    ----------
    time_s, p10_s, p90_s, floor_s : numpy.ndarray
        Typical time, its band and its floor; NaN where a row has a reason. [s]
    bound : numpy.ndarray
        What a row waits for: one of :data:`BOUNDS`.
    reason : numpy.ndarray
        Why a row has no time; empty where it has.
    own : tuple of Spoken
        Rows for which a user's own measurements speak, with what they say.
    """

    time_s: np.ndarray
    p10_s: np.ndarray
    p90_s: np.ndarray
    floor_s: np.ndarray
    bound: np.ndarray
    reason: np.ndarray
    own: tuple[Spoken, ...] = ()

    @classmethod
    def without_figures(cls, rows: int) -> Times:
        """Return rows of which nothing is known yet.

        Parameters
        ----------
        rows : int
            How many. [1]

        Returns
        -------
        Times
            To be filled.
        """
        numbers, texts = np.full((4, rows), np.nan), np.full((2, rows), "", object)
        time_s, p10_s, p90_s, floor_s = numbers
        return cls(
            time_s=time_s, p10_s=p10_s, p90_s=p90_s, floor_s=floor_s, bound=texts[0],
            reason=texts[1],
        )  # fmt: skip

    def fill(self, chosen: np.ndarray, found: Times) -> None:
        """Set the figures of some of the rows.

        Parameters
        ----------
        chosen : numpy.ndarray
            Which rows. [1]
        found : Times
            Theirs.
        """
        for name in ("time_s", "p10_s", "p90_s", "floor_s", "bound", "reason"):
            getattr(self, name)[chosen] = getattr(found, name)


def cells_of(kind: str, columns: Columns, placed: Placed) -> dict[str, np.ndarray]:
    """Return the columns by which levels tell groups apart.

    Parameters
    ----------
    kind : str
        Kind of operation.
    columns : mapping
        What the table has.
    placed : Placed
        The devices of the rows.

    Returns
    -------
    dict
        Text per row; ``device`` is the measured one that speaks for the row's, empty where none
        does.
    """
    cells = {
        name: column if column.dtype == object else _whole(column)
        for name, column in columns.items()
        if name in _CELLS
    }
    codes, kin = _speaking(columns, placed)
    labels = {
        "device": [found.id if found else "" for found in kin],
        "family": [family(found) if found else "" for found in kin],
    }
    for name, texts in labels.items():
        cells[name] = np.array(texts, object)[codes]
    cells["kind"] = np.full(len(placed.codes), kind, object)
    return cells


def _speaking(columns: Columns, placed: Placed) -> tuple[np.ndarray, list[Device | None]]:
    """Which measured device speaks for each row; for messages, one with the same sort of link."""
    if "ranks" not in columns:
        return placed.codes, [stand_in(device, placed.measured) for device in placed.devices]
    direct = row_links(columns, placed.devices, placed.codes).direct
    found = [
        stand_in(device, alike(device, placed.measured, direct=sort))
        for device in placed.devices
        for sort in (False, True)
    ]
    return 2 * placed.codes + direct, found


def _whole(column: np.ndarray) -> np.ndarray:
    values, places = np.unique(column, return_inverse=True)
    return np.asarray(np.array([f"{value:.0f}" for value in values], object)[places])


def operation_times(
    kind: str,
    columns: Columns,
    devices: Mapping[str, Device],
    profile: Calibration,
    work: Work | None = None,
) -> Times:
    """Return the times of many operations of one kind.

    Parameters
    ----------
    kind : str
        A kind that the profile speaks for.
    columns : mapping
        ``device`` (text), ``dtype``, the kind's shape columns and, where known, ``kv_dtype``,
        ``routing``, ``backend``, ``version`` and ``kernel``; without the last three the profile's
        most measured implementation is meant.
    devices : mapping
        Device by the name it has in the column.
    profile : Calibration
        Such as ``load_calibrations()[kind]``.
    work : Work, optional
        FLOP and bytes of the rows; counted from the columns without it.

    Returns
    -------
    Times
        Never below the floor. A device nobody measured takes the curves of its next of kin with
        its own spec sheet, and a wider band.

    Examples
    --------
    >>> from planner.cost.calibration import load_calibrations
    >>> from planner.hardware import load_device
    >>> sizes = {name: np.array([4096.0]) for name in ("m", "n", "k")}
    >>> text = {"device": np.array(["h100-sxm"], object), "dtype": np.array(["bf16"], object)}
    >>> devices, profile = {"h100-sxm": load_device("h100-sxm")}, load_calibrations()["gemm"]
    >>> times = operation_times("gemm", {**sizes, **text}, devices, profile)
    >>> times.bound[0], bool(times.floor_s < times.p10_s < times.time_s < times.p90_s)
    ('compute', True)
    """
    placed = place_rows(columns, devices, profile.measured)
    peaks = peaks_of(kind, columns, placed, work)
    spoken = _spoken(kind, columns, placed, profile)
    said = _said(kind, columns, placed, peaks, profile, spoken)
    log_ratio, low, high = said.log_ratio, said.low, said.high
    unknown = said.unknown.copy()
    for own in spoken:
        log_ratio[own.rows] += np.log(base_s(peaks, own.voice.line) / said.base)[own.rows]
        low[own.rows], high[own.rows] = own.voice.p10, own.voice.p90
        unknown[own.rows] = ""
    reason = np.where(peaks.reason == "", unknown, peaks.reason)
    typical_s = np.maximum(said.base * np.exp(log_ratio), peaks.floor_s)
    time_s = np.where(reason == "", typical_s, np.nan)
    return Times(
        time_s=time_s,
        p10_s=np.maximum(time_s * np.exp(np.minimum(low, 0.0)), np.minimum(peaks.floor_s, time_s)),
        p90_s=time_s * np.exp(np.maximum(high, 0.0)),
        floor_s=peaks.floor_s,
        bound=_bound(peaks, time_s),
        reason=reason,
        own=spoken,
    )


@dataclass(frozen=True, slots=True)
class _Said:
    """What a shipped profile says of rows: base times, logarithms, and why it says nothing."""

    base: np.ndarray
    log_ratio: np.ndarray
    low: np.ndarray
    high: np.ndarray
    unknown: np.ndarray


def _said(
    kind: str,
    columns: Columns,
    placed: Placed,
    peaks: Peaks,
    profile: Calibration,
    spoken: tuple[Spoken, ...] = (),
) -> _Said:
    """A profile's say; of rows that own measurements speak for, with the labels they have."""
    cells = cells_of(kind, columns, placed)
    if spoken:
        cells = load("planner.cost.own_rows:relabelled")(cells, spoken)
    heard = heard_cells(profile, cells)
    base = base_s(peaks, profile.rooflines[kind])
    log_ratio = _correction(profile).log_ratio(axes_of(peaks, base), heard.cells)
    ids = np.array([device.id for device in placed.devices], object)[placed.codes]
    typical_s = np.maximum(base * np.exp(log_ratio), peaks.floor_s)
    low, high = _band(profile, typical_s, heard.cells, (cells["device"] == ids) & heard.exact)
    unknown = np.full(len(base), "", object)
    for row in np.flatnonzero(heard.lacking):
        unknown[row] = f"no format like {cells['dtype'][row]} was measured"
    unknown[cells["device"] == ""] = "its vendor has no calibration profile"
    return _Said(base, log_ratio, low, high, unknown)


def _spoken(
    kind: str, columns: Columns, placed: Placed, profile: Calibration
) -> tuple[Spoken, ...]:
    """Rows for which users' own measurements of the devices speak."""
    found = {
        at: own_voices(kind, device, device.measured, profile)
        for at, device in enumerate(placed.devices)
        if device.measured is not None
    }
    if not found:
        return ()
    rows: tuple[Spoken, ...] = load("planner.cost.own_rows:spoken_for")(
        kind, columns, placed, found
    )
    return rows


@functools.lru_cache(maxsize=256)
def own_voices(
    kind: str, device: Device, measured: Measurements, profile: Calibration
) -> tuple[Voice, ...]:
    """Return what a user's measurements of a device say of a kind of operation.

    Parameters
    ----------
    kind : str
        A kind that the profile speaks for.
    device : Device
        The device.
    measured : Measurements
        Those of the device.
    profile : Calibration
        The shipped profile.

    Returns
    -------
    tuple of Voice
        Own numbers with their bands, fitted once.
    """
    voices = load("planner.cost.own_rows:voices")
    found: tuple[Voice, ...] = voices(kind, replace(device, measured=measured), profile, _shipped)
    return found


def _shipped(kind: str, columns: Columns, device: Device, profile: Calibration) -> Shipped:
    """What a profile says of rows on a device, its own measurements aside."""
    bare = replace(device, measured=None)
    placed = place_rows(columns, {device.id: bare}, profile.measured)
    peaks = peaks_of(kind, columns, placed)
    unusable = np.flatnonzero(peaks.reason != "")
    if len(unusable):
        raise SpecError("measured rows that cannot be followed", where=kind,
                        got=peaks.reason[unusable[0]])  # fmt: skip
    said = _said(kind, columns, placed, peaks, profile)
    return Shipped(
        peaks=peaks,
        line=profile.rooflines[kind],
        log_ratio=said.log_ratio,
        p10=min(float(np.median(said.low)), 0.0),
        p90=max(float(np.median(said.high)), 0.0),
    )


@functools.lru_cache(maxsize=32)
def _correction(profile: Calibration) -> Correction:
    """The profile's curves, made ready once."""
    return Correction(profile)


def _band(
    profile: Calibration, time_s: np.ndarray, cells: Mapping[str, np.ndarray], measured: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Logarithmic deviations p10 and p90 of rows."""
    bands, rows = profile.bands, len(time_s)
    empty = np.full(rows, "", object)
    codes, found = codes_of([cells.get(name, empty) for name in bands.by], rows)
    spread = np.array([bands.spread_of(key) for key in found])[codes]
    place = np.searchsorted(bands.edges, np.log2(time_s * _MICRO))
    low = np.where(measured, np.array(bands.p10)[place] * spread, bands.unmeasured[0])
    high = np.where(measured, np.array(bands.p90)[place] * spread, bands.unmeasured[1])
    return low, high


def _bound(peaks: Peaks, time_s: np.ndarray) -> np.ndarray:
    """The slowest resource at peak; overhead where all of them leave three quarters unexplained."""
    resources = [peaks.compute_s, peaks.memory_s, peaks.link_s, time_s * _OVERHEAD_SHARE]
    slowest = np.argmax(np.fmax(np.stack(resources), 0.0), axis=0)
    return np.asarray(np.array(BOUNDS, object)[slowest])
