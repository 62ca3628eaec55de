r"""Seconds of operations as measured kernels take them, with a band.

.. math::
    t = \Big(l\,t_0 + \big((c/e_c)^p + (b/e_m)^p\big)^{1/p} + q/e_m\Big)
        \exp\Big(\sum_{levels} \sum_{axes} f(x)\Big)

with ``c`` and ``b`` the times at peak rate and bandwidth, ``l`` launches, ``q`` the time at
bandwidth of quantising activations, and ``f`` the correction curves of a calibration profile.
Never less than the floor: compute at peak, bytes at the bandwidth of the memory they come from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from planner.cost.calibration import (
    IMPLEMENTATION,
    Axis,
    Calibration,
    Level,
    Roofline,
    heights_of,
)
from planner.cost.coordinates import Coordinates, coordinates_of
from planner.cost.curve import Place, place
from planner.cost.kinship import family, stand_in
from planner.cost.work import Columns, Work, codes_of, work_of
from planner.hardware import Device, load_device

LOW_PRECISION = ("fp8", "int8", "fp6", "fp4", "int4")
BOUNDS = ("compute", "memory", "communication", "overhead")
CACHE_SPEEDUP = 4.0
"""Bandwidth of level-2 caches over that of device memory, at most: the floor of resident sets."""

_MICRO = 1e6
_BALANCE = 8.0
_FILLING = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Peaks:
    """What the spec sheets allow rows of one kind.

    Parameters
    ----------
    compute_s, memory_s, link_s : numpy.ndarray
        At peak rate, bandwidth and one-way link bandwidth. [s]
    quantise_s : numpy.ndarray
        Quantising activations, at bandwidth. [s]
    launches : numpy.ndarray
        Kernels per row. [1]
    floor_s : numpy.ndarray
        No kernel is faster. [s]
    coordinates : dict
        Of the correction curves.
    reason : numpy.ndarray
        Why a row has none; empty where it has.
    """

    compute_s: np.ndarray
    memory_s: np.ndarray
    link_s: np.ndarray
    quantise_s: np.ndarray
    launches: np.ndarray
    floor_s: np.ndarray
    coordinates: Coordinates
    reason: np.ndarray

    @property
    def moving_s(self) -> np.ndarray:
        """Over memory or the link, whichever is slower. [s]."""
        return np.maximum(self.memory_s, self.link_s)


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
    """

    time_s: np.ndarray
    p10_s: np.ndarray
    p90_s: np.ndarray
    floor_s: np.ndarray
    bound: np.ndarray
    reason: np.ndarray


def _per_device(columns: Columns, devices: Mapping[str, Device], field: str) -> np.ndarray:
    values = {name: getattr(device, field) for name, device in devices.items()}
    return np.array([values[name] for name in columns["device"]], dtype=float)


def _rates(columns: Columns, work: Work, devices: Mapping[str, Device]) -> np.ndarray:
    codes, pairs = codes_of([columns["device"], work.precision], len(work.flop))
    rates = [devices[name].rates.get(precision, np.nan) for name, precision in pairs]
    return np.array(rates, dtype=float)[codes]


def _link_s(kind: str, columns: Columns, work: Work, devices: Mapping[str, Device]) -> np.ndarray:
    """Message over link as the best algorithm sends it; zero for what is no collective."""
    if "ranks" not in columns:
        return np.zeros(len(work.flop))
    links = {name: device.scale_up or device.host for name, device in devices.items()}
    rates = {
        name: link.per_direction_bytes_per_s if link else np.nan for name, link in links.items()
    }
    rate = np.array([rates[name] for name in columns["device"]], dtype=float)
    ranks = columns["ranks"]
    share = np.ones_like(ranks) if kind == "send_recv" else (ranks - 1) / ranks
    return np.asarray(work.message_bytes * share * (2 if kind == "all_reduce" else 1) / rate)


def peaks_of(
    kind: str,
    columns: Columns,
    devices: Mapping[str, Device],
    measured: tuple[Device, ...],
    work: Work | None = None,
) -> Peaks:
    """Return what spec sheets allow rows of one kind, and where the rows stand.

    Parameters
    ----------
    kind : str
        Kind of operation.
    columns : mapping
        ``device`` and the columns that :func:`planner.cost.work.work_of` needs.
    devices : mapping
        Device by the name it has in the column.
    measured : tuple of Device
        Those that stand in where the width of a device is not known.
    work : Work, optional
        FLOP and bytes of the rows; counted from the columns without it.

    Returns
    -------
    Peaks
        A row has a reason where its shape is unusable or its device lacks the precision or a link.
    """
    work = work or work_of(kind, columns)
    bandwidth = _per_device(columns, devices, "memory_bandwidth_bytes_per_s")
    compute_s, memory_s = work.flop / _rates(columns, work, devices), work.moved_bytes / bandwidth
    link_s = _link_s(kind, columns, work, devices)
    quantised = np.isin(work.precision, LOW_PRECISION) & (kind == "gemm")
    quantise_s = np.zeros(len(work.flop))
    if kind == "gemm":
        quantise_s = np.where(quantised, 3 * columns["m"] * columns["k"] / bandwidth, 0.0)
    cache = _printed("l2_cache_bytes", columns, devices, measured)
    width = _printed("multiprocessors", columns, devices, measured)
    coordinates = coordinates_of(kind, columns, width)
    filling = np.log2(np.maximum(work.moved_bytes, 1.0) / cache)
    coordinates["cache"] = np.clip(filling, -_FILLING, _FILLING)
    cached_s = memory_s / np.where(work.moved_bytes <= cache, CACHE_SPEEDUP, 1.0)
    floor_s = np.maximum(np.maximum(compute_s, cached_s), link_s)
    return Peaks(
        compute_s=compute_s, memory_s=memory_s, link_s=link_s, quantise_s=quantise_s,
        launches=1.0 + quantised, floor_s=floor_s, coordinates=coordinates,
        reason=_reasons(work, compute_s, link_s, columns, devices),
    )  # fmt: skip


def _reasons(
    work: Work,
    compute_s: np.ndarray,
    link_s: np.ndarray,
    columns: Columns,
    devices: Mapping[str, Device],
) -> np.ndarray:
    reason = work.reason.copy()
    for row in np.flatnonzero(np.isnan(compute_s) & (reason == "")):
        device = devices[columns["device"][row]]
        reason[row] = f"{device.id} has no {work.precision[row]} rate"
    for row in np.flatnonzero(np.isnan(link_s) & (reason == "")):
        reason[row] = f"nothing is known about what joins {columns['device'][row]}"
    return reason


def _printed(
    field: str, columns: Columns, devices: Mapping[str, Device], measured: tuple[Device, ...]
) -> np.ndarray:
    """A figure of each row's device, or of its kin where its own is not printed."""
    found: dict[str, float] = {}
    for name, device in devices.items():
        kin = device if getattr(device, field) else stand_in(device, measured)
        found[name] = float(getattr(kin, field) or 1) if kin else 1.0
    return np.array([found[name] for name in columns["device"]])


def base_s(peaks: Peaks, line: Roofline) -> np.ndarray:
    """Return the saturating roofline, before its corrections.

    Parameters
    ----------
    peaks : Peaks
        Of the rows.
    line : Roofline
        Its numbers.

    Returns
    -------
    numpy.ndarray
        Per row. [s]
    """
    powers = (peaks.compute_s / line.compute_fraction) ** line.norm
    powers = powers + (peaks.moving_s / line.memory_fraction) ** line.norm
    quantise_s = peaks.quantise_s / line.memory_fraction
    return np.asarray(peaks.launches * line.overhead_s + powers ** (1 / line.norm) + quantise_s)


def axes_of(peaks: Peaks, base: np.ndarray) -> Coordinates:
    """Return every coordinate that a curve may run over.

    Parameters
    ----------
    peaks : Peaks
        Of the rows.
    base : numpy.ndarray
        As :func:`base_s` gives it. [s]

    Returns
    -------
    dict
        Those of the shape, ``time`` and ``balance``.
    """
    tiny = np.finfo(float).tiny
    balance = np.log2(np.maximum(peaks.compute_s, tiny) / np.maximum(peaks.moving_s, tiny))
    return {
        **peaks.coordinates,
        "time": np.log2(base * _MICRO),
        "balance": np.clip(balance, -_BALANCE, _BALANCE),
    }


def cells_of(
    kind: str, columns: Columns, devices: Mapping[str, Device], measured: tuple[Device, ...]
) -> dict[str, np.ndarray]:
    """Return the columns by which levels tell groups apart.

    Parameters
    ----------
    kind : str
        Kind of operation.
    columns : mapping
        ``device`` and what else the table has.
    devices : mapping
        Device by the name it has in the column.
    measured : tuple of Device
        Those that may stand in for another one.

    Returns
    -------
    dict
        Text per row; ``device`` is the measured one that speaks for the row's.
    """
    rows = len(columns["device"])
    kin = {name: stand_in(device, measured) for name, device in devices.items()}
    cells = {
        name: column if column.dtype == object else _whole(column)
        for name, column in columns.items()
        if name in {"dtype", "kv_dtype", "routing", "variant", "ranks", *IMPLEMENTATION}
    }
    cells["kind"] = np.full(rows, kind, object)
    cells["device"] = np.array(
        [found.id if (found := kin[name]) else "" for name in columns["device"]], object
    )
    cells["family"] = np.array([family(devices[name]) for name in columns["device"]], object)
    return cells


def _whole(column: np.ndarray) -> np.ndarray:
    return np.array([f"{value:.0f}" for value in column], object)


def _best(level: Level, wanted: tuple[str, ...]) -> int | None:
    """The group that agrees in all but the implementation, and there in most; None without one."""
    must = [at for at, name in enumerate(level.by) if name not in IMPLEMENTATION]
    may = [at for at, name in enumerate(level.by) if name in IMPLEMENTATION]
    near = [
        (sum((group.key[at] == wanted[at]) << (len(may) - i) for i, at in enumerate(may)), -number)
        for number, group in enumerate(level.groups)
        if all(group.key[at] == wanted[at] for at in must)
    ]
    return -max(near)[1] if near else None


def correction(
    profile: Calibration, axes: Coordinates, cells: Mapping[str, np.ndarray]
) -> np.ndarray:
    """Return the sum of the correction curves of rows.

    Parameters
    ----------
    profile : Calibration
        With the curves.
    axes : dict
        As :func:`axes_of` gives them.
    cells : mapping
        As :func:`cells_of` gives them.

    Returns
    -------
    numpy.ndarray
        Natural logarithm of measured over base time. [1]
    """
    rows = len(cells["kind"])
    total = np.zeros(rows)
    places = places_of(profile.curves, axes, rows)
    empty = np.full(rows, "", object)
    for level in profile.levels:
        codes, found = codes_of([cells.get(name, empty) for name in level.by], rows)
        for code, wanted in enumerate(found):
            number = _best(level, wanted)
            if number is None:
                continue
            chosen = np.flatnonzero(codes == code)
            for name, text in level.groups[number].curves.items():
                index, weight = places[name]
                total[chosen] += (heights_of(text)[index[chosen]] * weight[chosen]).sum(axis=1)
    return total


def places_of(
    curves: Mapping[str, tuple[Axis, ...]], coordinates: Coordinates, rows: int
) -> dict[str, Place]:
    """Return where rows stand on every curve.

    Parameters
    ----------
    curves : mapping
        Axes by name of the curve.
    coordinates : dict
        As :func:`axes_of` gives them.
    rows : int
        How many. [1]

    Returns
    -------
    dict
        By name of the curve.
    """
    return {
        name: place(rows, [coordinates[axis.of] for axis in axes], [axis.knots for axis in axes])
        for name, axes in curves.items()
    }


def _band(
    profile: Calibration, time_s: np.ndarray, cells: Mapping[str, np.ndarray], measured: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Logarithmic deviations p10 and p90 of rows."""
    bands = profile.bands
    rows = len(time_s)
    spreads = {spread.key: spread.deviation for spread in bands.spreads}
    empty = np.full(rows, "", object)
    codes, found = codes_of([cells.get(name, empty) for name in bands.by], rows)
    spread = np.array([spreads.get(key, bands.otherwise) for key in found])[codes]
    place = np.searchsorted(bands.edges, np.log2(time_s * _MICRO))
    low = np.where(measured, np.array(bands.p10)[place] * spread, bands.unmeasured[0])
    high = np.where(measured, np.array(bands.p90)[place] * spread, bands.unmeasured[1])
    return low, high


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
    """
    measured = tuple(load_device(name) for name in profile.devices)
    peaks = peaks_of(kind, columns, devices, measured, work)
    cells = cells_of(kind, columns, devices, measured)
    alien = cells["device"] == ""
    reason = peaks.reason.copy()
    reason[alien & (reason == "")] = "no calibration profile for devices of this vendor"
    base = base_s(peaks, profile.rooflines[kind])
    with np.errstate(invalid="ignore"):
        time_s = base * np.exp(correction(profile, axes_of(peaks, base), cells))
        time_s = np.maximum(time_s, peaks.floor_s)
    time_s[reason != ""] = np.nan
    low, high = _band(profile, time_s, cells, cells["device"] == columns["device"])
    return Times(
        time_s=time_s,
        p10_s=np.maximum(time_s * np.exp(np.minimum(low, 0.0)), np.minimum(peaks.floor_s, time_s)),
        p90_s=time_s * np.exp(np.maximum(high, 0.0)),
        floor_s=peaks.floor_s,
        bound=_bound(peaks, time_s),
        reason=reason,
    )


def _bound(peaks: Peaks, time_s: np.ndarray) -> np.ndarray:
    """The slowest resource at peak; overhead where more than half of the time is none of them."""
    resources = np.stack([peaks.compute_s, peaks.memory_s, peaks.link_s, time_s / 4])
    safe = np.nan_to_num(resources)
    return np.array(BOUNDS, object)[np.argmax(safe, axis=0)]
