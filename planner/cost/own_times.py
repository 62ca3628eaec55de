r"""A user's own times of a device in place of a profile's numbers for it.

Per kind, format and number of ranks, the overhead and the two efficiencies under a profile's
curves are fitted to what was measured:

.. math::
    \min_a \sum_i w_i \left(\frac{\log y_i - \log t_i(a)}{\sigma}\right)^2 + a^T \Sigma^{-1} a

with ``a`` the logarithms of own over shipped overhead, compute time and memory time. The prior
``Σ`` lets them move together more than apart, so a few rows shift a kind as a whole and many tell
its parts; weights ``w`` keep wild rows from mattering. The band is that of rows that were not
fitted, drawn to the shipped one where they are few.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from planner.cost.calibration import Roofline
from planner.cost.peaks import Peaks, base_s
from planner.cost.work import SHAPE_COLUMNS, TEXT_COLUMNS, Columns
from planner.errors import SpecError
from planner.hardware import Device

if TYPE_CHECKING:
    from planner.hardware.measurements import MeasuredTime, Measurements

ENGINE_KERNELS = frozenset({"nccl:NCCL"})
"""Kernels of the validation module that engines run as well."""

_TOGETHER, _APART = 0.7, 0.35
_NOISE, _NOISE_ROWS = 0.1, 4
_ROUNDS = 25
_HUBER = 1.5
_BAND_ROWS = 4
_MOST_RATIO = 200.0
_BELOW_FLOOR = 0.5
_CACHED_KINDS = ("attention", "mla")
Key = tuple[str, str, str, str, str]
"""Format, format of the cache, variant, ranks and nodes; empty where the kind has none."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Voice:
    """What a user's measurements say of one kind of operation, in one format.

    Parameters
    ----------
    kind : str
        Kind of operation.
    key : tuple of str
        As :data:`Key`.
    line : Roofline
        Own numbers under the profile's curves.
    p10, p90 : float
        Logarithmic deviations of the band. [1]
    kernels : mapping
        Rows by kernel, those fitted and those tested. [1]
    label : MeasuredTime
        A row of the kernel with the most rows.
    fitted, tested : int
        Rows. [1]
    median_fraction, shipped_fraction : float or None
        Median error on the rows not fitted, of the own numbers and of the profile's; None without
        such rows. [1]
    """

    kind: str
    key: Key
    line: Roofline
    p10: float
    p90: float
    kernels: Mapping[str, int]
    label: MeasuredTime
    fitted: int
    tested: int
    median_fraction: float | None
    shipped_fraction: float | None

    @property
    def name(self) -> str:
        """Kind and what tells it apart, for people."""
        dtype, cache, variant, ranks, nodes = self.key
        of_ranks = f"{ranks} ranks" if ranks else ""
        of_nodes = f"{nodes} nodes" if nodes not in ("", "1") else ""
        cached = f"{cache} cache" if cache else ""
        parts = (self.kind, variant, dtype, cached, of_ranks, of_nodes)
        return " ".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class Spoken:
    """Rows of a table, and the voice that speaks for them."""

    rows: np.ndarray
    voice: Voice


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipped:
    """What a profile says of the rows of one voice.

    Parameters
    ----------
    peaks : Peaks
        What the spec sheet allows them.
    line : Roofline
        The profile's numbers.
    log_ratio : numpy.ndarray
        Its curves. [1]
    p10, p90 : float
        Its band, as logarithmic deviations. [1]
    """

    peaks: Peaks
    line: Roofline
    log_ratio: np.ndarray
    p10: float
    p90: float


def own_assumptions(own: Measurements | None, voices: Sequence[Voice]) -> tuple[str, ...]:
    """Return which figures speak from a user's own record, and how far that reaches.

    Parameters
    ----------
    own : Measurements or None
        What was measured on the device.
    voices : sequence of Voice
        What of it was heard.

    Returns
    -------
    tuple of str
        One sentence per matter; none without measurements.
    """
    if own is None:
        return ()
    where = f"{own.name} ({own.origin.device}, {own.origin.versions})"
    if not voices:
        return (f"No operation here is of a kind and format that {where} measured.",)
    heard = ", ".join(
        f"{voice.name} ({voice.fitted + voice.tested} rows of {' and '.join(voice.kernels)})"
        for voice in voices
    )
    said = [f"From your own measurements, {where}: {heard}. All else is from shipped profiles."]
    kernels = sorted({name for voice in voices for name in voice.kernels} - ENGINE_KERNELS)
    if kernels:
        said.append(
            f"Your measurements are of kernels of the validation module ({', '.join(kernels)}), "
            "plain PyTorch and Triton, not of an engine's own, which may be faster."
        )
    return tuple(said)


def key_cells(kind: str, columns: Columns) -> dict[str, np.ndarray]:
    """Return what tells voices apart, for each row of a table.

    Parameters
    ----------
    kind : str
        Kind of operation.
    columns : mapping
        Columns of the rows.

    Returns
    -------
    dict
        Text by part of :data:`Key`, in order.
    """
    rows = len(columns["dtype"])
    empty = np.full(rows, "", object)
    dtype = columns["dtype"]
    cache = columns.get("kv_dtype", empty) if kind.startswith(_CACHED_KINDS) else empty
    stream = np.array([_stream(text) for text in dtype], object)
    return {
        "dtype": dtype,
        "kv_dtype": np.where(cache == "", stream, cache) if cache is not empty else empty,
        "variant": columns.get("variant", empty),
        "ranks": _whole(columns["ranks"]) if "ranks" in columns else empty,
        "nodes": _whole(columns["nodes"]) if "nodes" in columns else empty,
    }


def _stream(dtype: str) -> str:
    """Format of a cache of which nothing is said."""
    return dtype if dtype in ("fp32", "fp16") else "bf16"


def _whole(column: np.ndarray) -> np.ndarray:
    return np.array(["" if value != value else f"{value:.0f}" for value in column], object)


def columns_of_times(device: Device, kind: str, times: Sequence[MeasuredTime]) -> Columns:
    """Return measured times as the columns of a table of operations.

    Parameters
    ----------
    device : Device
        What they were measured on.
    kind : str
        Their kind.
    times : sequence of MeasuredTime
        The rows.

    Returns
    -------
    mapping
        Column by name.

    Raises
    ------
    SpecError
        A shape column holds text where a number belongs.
    """
    columns: dict[str, np.ndarray] = {"device": np.full(len(times), device.id, object)}
    for name in ("dtype", "kv_dtype", "backend", "kernel"):
        columns[name] = np.array([getattr(each, name) for each in times], object)
    for name in (name for part in SHAPE_COLUMNS[kind] for name in part):
        values = [each.shape.get(name) for each in times]
        if name in TEXT_COLUMNS:
            columns[name] = np.array(["" if v is None else str(v) for v in values], object)
            continue
        wrong = next((v for v in values if isinstance(v, str)), None)
        if wrong is not None:
            raise SpecError("text where a number belongs", where=f"{kind}: {name}", got=wrong)
        columns[name] = np.array([np.nan if v is None else v for v in values], dtype=float)
    return columns


def voice_of(
    kind: str, key: Key, times: Sequence[MeasuredTime], shipped: Shipped, own: Measurements
) -> Voice:
    """Fit own numbers on all times; band and errors are those of a fit on half of them.

    Parameters
    ----------
    kind : str
        Kind of operation.
    key : tuple of str
        What tells the voice apart.
    times : sequence of MeasuredTime
        Its rows, of which one, at least, may be fitted.
    shipped : Shipped
        What the profile says of them.
    own : Measurements
        Where they come from, for errors.

    Returns
    -------
    Voice
        Own numbers, band and errors.

    Raises
    ------
    SpecError
        The times are impossible on the device, or as long as in another unit.
    """
    measured = np.array([each.measured_s for each in times])
    fit = np.array([each.half == "fit" for each in times])
    before = _seconds(shipped, np.zeros(3))
    _check_unit(f"{own.name}: {kind} {key[0]}", measured, before, shipped.peaks.floor_s)
    after = _seconds(shipped, _fitted(shipped, measured, fit))
    numbers = _fitted(shipped, measured, np.ones_like(fit))
    off = np.log(measured / after)[~fit]
    p10, p90 = shipped.p10, shipped.p90
    if len(off):
        found = np.quantile(off, [0.1, 0.9], method="weibull")
        trust = len(off) / (len(off) + _BAND_ROWS)
        p10, p90 = (trust * found + (1 - trust) * np.array([p10, p90])).tolist()
    kernels = {name: sum(each.kernel == name for each in times) for name in _kernels(times)}
    most = max(kernels, key=lambda name: kernels[name])
    return Voice(
        kind=kind, key=key, line=_line(shipped.line, numbers), p10=p10, p90=p90, kernels=kernels,
        label=next(each for each in times if each.kernel == most),
        fitted=int(fit.sum()), tested=len(off),
        median_fraction=_median(after / measured, ~fit),
        shipped_fraction=_median(before / measured, ~fit),
    )  # fmt: skip


def _kernels(times: Sequence[MeasuredTime]) -> list[str]:
    return list(dict.fromkeys(each.kernel for each in times))


def _median(ratio: np.ndarray, chosen: np.ndarray) -> float | None:
    return float(np.median(np.abs(ratio[chosen] - 1))) if chosen.any() else None


def _check_unit(
    where: str, measured: np.ndarray, expected: np.ndarray, floor_s: np.ndarray
) -> None:
    """Times in another unit are a thousand times off; no single kernel is."""
    ratio = float(np.median(measured / expected))
    below = float(np.median(measured / floor_s)) < _BELOW_FLOOR
    if below or ratio > _MOST_RATIO:
        raise SpecError(
            "times that cannot be seconds of this device", where=where,
            got=f"{ratio:.3g} times what is expected of it",
            allowed="seconds, none far below what its peak rate and bandwidth allow",
            fix="Check the unit, and that the record is of this device.",
        )  # fmt: skip


def _line(line: Roofline, numbers: np.ndarray) -> Roofline:
    """A profile's numbers, moved by logarithms of overhead, compute time and memory time."""
    overhead, compute, memory = np.exp(numbers)
    return Roofline(
        overhead_s=line.overhead_s * overhead,
        compute_fraction=line.compute_fraction / compute,
        memory_fraction=line.memory_fraction / memory,
        norm=line.norm,
    )


def _seconds(shipped: Shipped, numbers: np.ndarray) -> np.ndarray:
    base = base_s(shipped.peaks, _line(shipped.line, numbers))
    return np.asarray(np.maximum(base * np.exp(shipped.log_ratio), shipped.peaks.floor_s))


def _fitted(shipped: Shipped, measured: np.ndarray, fit: np.ndarray) -> np.ndarray:
    """The logarithms with the most support, by reweighted Gauss-Newton steps."""
    prior = np.linalg.inv(_TOGETHER**2 * np.ones((3, 3)) + _APART**2 * np.eye(3))
    numbers = np.zeros(3)
    for _ in range(_ROUNDS):
        shares = _shares(shipped.peaks, _line(shipped.line, numbers))[fit]
        off = (np.log(measured) - np.log(_seconds(shipped, numbers)))[fit]
        typical = float(np.median(np.abs(off))) * 1.4826
        trust = len(off) / (len(off) + _NOISE_ROWS)
        noise = np.sqrt(trust * typical**2 + (1 - trust) * _NOISE**2)
        weight = np.minimum(1.0, _HUBER * noise / np.maximum(np.abs(off), 1e-12)) / noise**2
        left = (shares * weight[:, None]).T @ shares + prior
        right = (shares * weight[:, None]).T @ off - prior @ numbers
        numbers = numbers + np.clip(np.linalg.solve(left, right), -1.0, 1.0)
    return numbers


def _shares(peaks: Peaks, line: Roofline) -> np.ndarray:
    """How a base time grows with overhead, compute time and memory time: shares, one row each."""
    base = base_s(peaks, line)
    compute = (peaks.compute_s / line.compute_fraction) ** line.norm
    moving = (peaks.moving_s / line.memory_fraction) ** line.norm
    both = compute + moving
    joined = both ** (1 / line.norm)
    of_compute = joined * compute / np.maximum(both, 1e-300)
    moving_s = joined - of_compute + peaks.quantise_s / line.memory_fraction
    parts = np.stack([peaks.launches * line.overhead_s, of_compute, moving_s], axis=1)
    return np.asarray(parts / base[:, None])
