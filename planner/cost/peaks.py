"""What spec sheets allow an operation: times at peak, its floor, and where it stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from planner.cost.calibration import Roofline
from planner.cost.coordinates import Coordinates, coordinates_of
from planner.cost.kinship import stand_in
from planner.cost.message_links import row_links
from planner.cost.work import Columns, Work, codes_of, work_of
from planner.hardware import Device

LOW_PRECISION = frozenset({"fp8", "int8", "fp6", "fp4", "int4"})
CACHE_SPEEDUP = 4.0
"""Bandwidth of level-2 caches over that of device memory, at most: the floor of resident sets."""

_MICRO = 1e6
_BALANCE = 8.0
_FILLING = 4.0
_TINY = 1e-30


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
        return np.asarray(np.maximum(self.memory_s, self.link_s))


@dataclass(frozen=True, slots=True)
class Placed:
    """The devices of rows.

    Parameters
    ----------
    devices : tuple of Device
        Distinct ones.
    codes : numpy.ndarray
        Which of them each row runs on. [1]
    measured : mapping
        Those that stand in where a figure of a device is not printed, by id.
    """

    devices: tuple[Device, ...]
    codes: np.ndarray
    measured: Mapping[str, Device]

    def figure(self, field: str) -> np.ndarray:
        """Return a figure of each row's device, or of its kin where its own is not printed.

        Parameters
        ----------
        field : str
            Name of the figure.

        Returns
        -------
        numpy.ndarray
            Per row; 1 where nothing is known.
        """
        found = []
        for device in self.devices:
            kin = device if getattr(device, field) else stand_in(device, self.measured)
            found.append(float(getattr(kin, field) or 1) if kin else 1.0)
        return np.asarray(np.array(found)[self.codes])


def place_rows(
    columns: Columns, devices: Mapping[str, Device], measured: Mapping[str, Device]
) -> Placed:
    """Return the devices of rows.

    Parameters
    ----------
    columns : mapping
        With ``device``.
    devices : mapping
        Device by the name it has in the column.
    measured : mapping
        Those that may stand in for others, by id.

    Returns
    -------
    Placed
        Distinct devices and which of them each row runs on.
    """
    codes, names = codes_of([columns["device"]], len(columns["device"]))
    return Placed(tuple(devices[name] for (name,) in names), codes, measured)


def peaks_of(kind: str, columns: Columns, placed: Placed, work: Work | None = None) -> Peaks:
    """Return what spec sheets allow rows of one kind, and where the rows stand.

    Parameters
    ----------
    kind : str
        Kind of operation.
    columns : mapping
        The columns that :func:`planner.cost.work.work_of` needs.
    placed : Placed
        The devices of the rows.
    work : Work, optional
        FLOP and bytes of the rows; counted from the columns without it.

    Returns
    -------
    Peaks
        A row has a reason where its shape is unusable or its device lacks the precision or a link.
    """
    work = work or work_of(kind, columns)
    bandwidth = placed.figure("memory_bandwidth_bytes_per_s")
    codes, precisions = codes_of([work.precision], len(work.flop))
    rates = _rates([precision for (precision,) in precisions], placed)
    rated = np.where(work.flop == 0, 1.0, rates[placed.codes, codes])
    compute_s, memory_s = work.flop / rated, work.moved_bytes / bandwidth
    link_s = _link_s(kind, columns, work, placed)
    low = np.array([precision in LOW_PRECISION for (precision,) in precisions])[codes]
    launches, quantise_s = _quantising(kind, columns, low, bandwidth)
    cache = placed.figure("l2_cache_bytes")
    coordinates = coordinates_of(kind, columns, placed.figure("multiprocessors"))
    filling = np.log2(np.maximum(work.moved_bytes, 1.0) / cache)
    coordinates["cache"] = np.minimum(np.maximum(filling, -_FILLING), _FILLING)
    cached_s = memory_s / np.where(work.moved_bytes <= cache, CACHE_SPEEDUP, 1.0)
    return Peaks(
        compute_s=compute_s, memory_s=memory_s, link_s=link_s, quantise_s=quantise_s,
        launches=launches, floor_s=np.maximum(np.maximum(compute_s, cached_s), link_s),
        coordinates=coordinates, reason=_reasons(work, compute_s, link_s, placed),
    )  # fmt: skip


def _rates(precisions: Sequence[str], placed: Placed) -> np.ndarray:
    """Peak rates, devices by precisions; NaN where a device does not compute in one."""
    return np.array(
        [[device.rates.get(each, np.nan) for each in precisions] for device in placed.devices],
        dtype=float,
    )


def _link_s(kind: str, columns: Columns, work: Work, placed: Placed) -> np.ndarray:
    """Message over link as the best algorithm sends it; zero for what is no collective."""
    if work.link_s is not None:
        return work.link_s
    if "ranks" not in columns:
        return np.zeros(len(work.flop))
    rates = row_links(columns, placed.devices, placed.codes).bytes_per_s
    ranks = columns["ranks"]
    share = np.ones_like(ranks) if kind == "send_recv" else (ranks - 1) / ranks
    times = 2 if kind == "all_reduce" else 1
    return np.asarray(work.message_bytes * share * times / rates)


def _quantising(
    kind: str, columns: Columns, low: np.ndarray, bandwidth: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Launches of a row, and the time at bandwidth of bringing activations to low precision."""
    if kind != "gemm":
        return np.ones(len(low)), np.zeros(len(low))
    return 1.0 + low, np.where(low, 3 * columns["m"] * columns["k"] / bandwidth, 0.0)


def _reasons(work: Work, compute_s: np.ndarray, link_s: np.ndarray, placed: Placed) -> np.ndarray:
    reason = work.reason.copy()
    for row in np.flatnonzero(np.isnan(compute_s)):
        device = placed.devices[placed.codes[row]]
        reason[row] = reason[row] or f"{device.id} has no {work.precision[row]} rate"
    for row in np.flatnonzero(np.isnan(link_s) & (reason == "")):
        device = placed.devices[placed.codes[row]]
        reason[row] = (
            f"nothing is known about what joins so many {device.id}; a node id brings its network"
        )
    return reason


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
    balance = np.log2(np.maximum(peaks.compute_s, _TINY) / np.maximum(peaks.moving_s, _TINY))
    return {
        **peaks.coordinates,
        "time": np.log2(base * _MICRO),
        "balance": np.minimum(np.maximum(balance, -_BALANCE), _BALANCE),
    }
