"""Seconds of a whole step: its operations by their calibration profiles, summed, with a band."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from planner.arrays import Numeric
from planner.cost.calibration import Calibration, load_calibrations
from planner.cost.efficiency import Times, operation_times
from planner.cost.kinship import stand_in
from planner.cost.roofline import FLOORS, OperationCost, StepCost
from planner.cost.work import SHAPE_COLUMNS, TEXT_COLUMNS, Work
from planner.explanation import Explanation, Term
from planner.hardware import Device, load_device
from planner.model import Execution, Operation
from planner.units import format_seconds

STREAMED = ("elementwise", "embedding")
"""Kinds that only move bytes; inside a captured graph they have no profile of their own."""

STREAM_OVERHEAD_S = 3e-6
STREAM_FRACTION = 0.8
"""Fixed time of a memory-bound kernel and its share of bandwidth, as aiconfigurator takes them."""

ALL_REDUCE_KERNELS = ("custom_allreduce:vLLM_custom_graph", "nccl:NCCL")
"""Engines send small messages by a kernel of their own and large ones by NCCL."""

ROUTING = "power_law_1.01"
"""How tokens choose experts where nothing is said."""

_STREAM_BAND = 0.3
Implementation = Mapping[str, Mapping[str, str]]
"""By kind of operation: the ``backend``, ``version`` and ``kernel`` that run it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTimes:
    """Typical time of a step with its band.

    Deviations of operations of one kind are taken to go together, those of different kinds to be
    independent: they add within a kind, and as squares between kinds.

    Parameters
    ----------
    time_s, p10_s, p90_s : numeric
        Of the whole step. [s]
    operations_s : tuple of numeric
        Of each entry of the step's costs, occurrences counted. [s]
    at_floor : tuple of str
        Kinds without a profile, counted at their floor.
    speaks : str
        Id of the measured device whose curves are used.
    """

    time_s: Numeric
    p10_s: Numeric
    p90_s: Numeric
    operations_s: tuple[Numeric, ...]
    at_floor: tuple[str, ...]
    speaks: str


def step_times(
    cost: StepCost, execution: Execution, implementation: Implementation | None = None
) -> StepTimes | None:
    """Return the calibrated time of a step.

    Parameters
    ----------
    cost : StepCost
        The step's operations with their floors; the step's fields may be arrays.
    execution : Execution
        Formats and layout that the operations were made with.
    implementation : mapping, optional
        Which engine's kernels run each kind; the most measured ones without it.

    Returns
    -------
    StepTimes or None
        None where no device of the vendor was measured: only floors are known.

    Examples
    --------
    >>> from planner.cost.roofline import step_cost
    >>> from planner.hardware import load_device
    >>> from planner.importers import load_model
    >>> from planner.model import Step
    >>> from planner.model.execution import half
    >>> device = load_device("h100-sxm")
    >>> cost = step_cost(load_model("llama-3.1-8b"), Step.decode(16, 4096), half(), device, None)
    >>> found = step_times(cost, half())
    >>> bool(cost.floor_s < found.p10_s < found.time_s < found.p90_s)
    True
    """
    profiles = load_calibrations()
    speaks = _speaker(cost.device, profiles)
    if speaks is None:
        return None
    size = np.broadcast(cost.step.batch, cost.step.new_tokens, cost.step.cached_tokens).shape
    seconds: list[Any] = [None] * len(cost.operations)
    low: dict[str, Any] = {}
    high: dict[str, Any] = {}
    at_floor = []
    for kind, entries in _by_kind(cost.operations).items():
        chosen = [cost.operations[at] for at in entries]
        found = _kind_times(kind, chosen, size, cost.device, execution, profiles, implementation)
        if found is None:
            at_floor.append(kind)
            found = (_floors(chosen, size),) * 3
        counts = np.array([item.count for item in chosen]).reshape(-1, *(1,) * len(size))
        time_s, p10_s, p90_s = (counts * part for part in found)
        for at, value in zip(entries, time_s, strict=True):
            seconds[at] = value
        low[kind], high[kind] = (time_s - p10_s).sum(axis=0), (p90_s - time_s).sum(axis=0)
    total = sum(seconds)
    return StepTimes(
        time_s=_plain(total),
        p10_s=_plain(total - _quadrature(low)),
        p90_s=_plain(total + _quadrature(high)),
        operations_s=tuple(_plain(value) for value in seconds),
        at_floor=tuple(at_floor),
        speaks=speaks,
    )


def time_assumptions(cost: StepCost, times: StepTimes | None) -> tuple[str, ...]:
    """Return what the times of a step take for granted.

    Parameters
    ----------
    cost : StepCost
        The step.
    times : StepTimes or None
        Its calibrated times, if any.

    Returns
    -------
    tuple of str
        Which profile speaks, or that times are floors; what has no profile; how bands add up.
    """
    device = cost.device
    if times is None:
        return (f"No calibration profile covers {device.name}. {FLOORS}",)
    said = [
        f"Times come from calibration profiles measured on {times.speaks}, kernels captured in "
        "graphs, operations one after another; floor_s is the same step at efficiency 1."
    ]
    if times.speaks != device.id:
        said.append(
            f"Nobody measured {device.name} for these profiles: the efficiencies of its next of "
            f"kin, {times.speaks}, stand in on its own spec sheet, with a wider band."
        )
    if times.at_floor:
        kinds = ", ".join(times.at_floor)
        said.append(f"No profile knows operations of kind {kinds}: they count at their floor.")
    said.append(
        "Bands of operations of one kind are taken to deviate together, those of different kinds "
        "independently."
    )
    return tuple(said)


def explain_times(cost: StepCost, times: StepTimes, figure: str) -> Explanation:
    """Return how a calibrated time of a step came about.

    Parameters
    ----------
    cost : StepCost
        The step.
    times : StepTimes
        Its times.
    figure : {"time_s", "time_p10_s", "time_p90_s"}
        Which of them.

    Returns
    -------
    Explanation
        With one term per operation.
    """
    value = {"time_s": times.time_s, "time_p10_s": times.p10_s, "time_p90_s": times.p90_s}[figure]
    return Explanation(
        figure=figure,
        meaning="Time of the step as measured kernels take it, with the band of their scatter.",
        formula="Σ over operations: occurrences · (launches · t0 + ((FLOP/(e_c·rate))^p + "
        "(bytes/(e_m·bandwidth))^p)^(1/p)) · exp(Σ correction curves), never below the floor",
        substituted=f"{len(cost.operations)} operations by the profiles of {times.speaks}; p10 "
        f"{format_seconds(times.p10_s)}, p90 {format_seconds(times.p90_s)}, floor "
        f"{format_seconds(float(cost.floor_s))}",
        value=float(value),
        unit="s",
        terms=tuple(
            Term(
                label=f"{item.layer} · {item.operation.name}",
                value=float(seconds),
                detail=f"{item.count} × {format_seconds(seconds / item.count)}, floor "
                f"{format_seconds(item.floor_s / item.count)}",
            )
            for item, seconds in zip(cost.operations, times.operations_s, strict=True)
        ),
        sources=("williams-2009",),
    )


def _speaker(device: Device, profiles: Mapping[str, Calibration]) -> str | None:
    measured = {name for profile in profiles.values() for name in profile.devices}
    found = stand_in(device, [load_device(name) for name in sorted(measured)])
    return found.id if found else None


def _by_kind(operations: Sequence[OperationCost]) -> dict[str, list[int]]:
    """Entries that one call predicts: of one kind, streamed ones together."""
    found: dict[str, list[int]] = {}
    for at, item in enumerate(operations):
        kind = item.operation.kind
        found.setdefault("elementwise" if kind in STREAMED else kind, []).append(at)
    return found


def _quadrature(parts: Mapping[str, Any]) -> Any:
    return np.sqrt(sum(np.square(part) for part in parts.values()))


def _plain(value: Any) -> Numeric:
    return value if np.ndim(value) else float(value)


def _floors(chosen: Sequence[OperationCost], size: tuple[int, ...]) -> np.ndarray:
    return np.stack([np.broadcast_to(item.floor_s / item.count, size) for item in chosen])


Triple = tuple[np.ndarray, np.ndarray, np.ndarray]


def _kind_times(
    kind: str,
    chosen: Sequence[OperationCost],
    size: tuple[int, ...],
    device: Device,
    execution: Execution,
    profiles: Mapping[str, Calibration],
    implementation: Implementation | None,
) -> Triple | None:
    """Time, p10 and p90 of one occurrence of each operation; None without a profile."""
    if kind in STREAMED:
        time_s = STREAM_OVERHEAD_S + _floors(chosen, size) / STREAM_FRACTION
        return time_s, time_s * (1 - _STREAM_BAND), time_s * (1 + _STREAM_BAND)
    if kind not in profiles:
        return None
    operations = [item.operation for item in chosen]
    columns = _columns(kind, operations, size, device, execution, (implementation or {}).get(kind))
    work = _work(operations, size)
    kernels = ALL_REDUCE_KERNELS if kind == "all_reduce" and "kernel" not in columns else (None,)
    candidates = [
        _times(kind, _with_kernel(columns, kernel), device, profiles[kind], work)
        for kernel in kernels
    ]
    shape = (len(chosen), *size)
    fastest = np.argmin([times.time_s for times in candidates], axis=0)
    parts = (
        np.choose(fastest, [getattr(times, name) for times in candidates]).reshape(shape)
        for name in ("time_s", "p10_s", "p90_s")
    )
    time_s, p10_s, p90_s = parts
    return time_s, p10_s, p90_s


def _with_kernel(columns: dict[str, np.ndarray], kernel: str | None) -> dict[str, np.ndarray]:
    if kernel is None:
        return columns
    return {**columns, "kernel": np.full(len(columns["dtype"]), kernel, object)}


def _times(
    kind: str, columns: Mapping[str, np.ndarray], device: Device, profile: Calibration, work: Work
) -> Times:
    return operation_times(kind, columns, {device.id: device}, profile, work)


def _spread(values: Sequence[Any], size: tuple[int, ...], kind: type) -> np.ndarray:
    """One value per operation, at every point of the step's grid, as one column."""
    if kind is object or not size:
        column = np.empty(len(values), kind)
        column[:] = values
        return np.repeat(column, int(np.prod(size)))
    return np.stack([np.broadcast_to(value, size) for value in values]).ravel().astype(float)


def _columns(
    kind: str,
    operations: Sequence[Operation],
    size: tuple[int, ...],
    device: Device,
    execution: Execution,
    implementation: Mapping[str, str] | None,
) -> dict[str, np.ndarray]:
    fixed, varying = SHAPE_COLUMNS[kind]
    columns: dict[str, np.ndarray] = {}
    for name in (*fixed, *varying):
        values = [operation.shape.get(name) for operation in operations]
        if name in TEXT_COLUMNS:
            columns[name] = _spread([str(value) for value in values], size, object)
        elif name in operations[0].shape:
            numbers = [np.nan if value is None else value for value in values]
            columns[name] = _spread(numbers, size, float)
    labels = {
        "device": device.id,
        "kv_dtype": "fp8" if execution.cache.bits <= 8 else "bf16",
        **({"routing": ROUTING} if kind == "moe" else {}),
        **(implementation or {}),
    }
    for name, label in labels.items():
        columns[name] = _spread([label] * len(operations), size, object)
    columns["dtype"] = _spread([_label(each, execution) for each in operations], size, object)
    return columns


def _label(operation: Operation, execution: Execution) -> str:
    """The ``dtype`` under which tables list an operation."""
    if operation.kind not in ("gemm", "moe"):
        return "half" if operation.kind == "all_reduce" else "bf16"
    weights = execution.weights.quantised
    wide = execution.weights.base.bits >= 16 and weights.bits >= 16
    if operation.precision in ("fp4", "fp6"):
        return "nvfp4"
    if operation.precision == "int8":
        return "sq"
    if operation.precision == "fp8":
        if weights.name == "mxfp4":
            return "w4a8_mxfp4_mxfp8"
        return "fp8_block" if weights.name == "fp8_block" else "fp8"
    if wide or _weight_bits(operation) >= 12:
        return "bf16"
    if operation.kind == "moe" and weights.name == "mxfp4":
        return "w4a16_mxfp4"
    return "int8_wo" if weights.bits > 6 else "int4_wo"


def _weight_bits(operation: Operation) -> float:
    """Bits per element of a product's weights; small for experts, which are read in part."""
    if operation.kind != "gemm":
        return 0.0
    return float(operation.weight_bytes * 8 / (operation.shape["n"] * operation.shape["k"]))


def _work(operations: Sequence[Operation], size: tuple[int, ...]) -> Work:
    rows = len(operations) * int(np.prod(size))
    moved = [operation.read_bytes + operation.write_bytes for operation in operations]
    return Work(
        flop=_spread([operation.flop for operation in operations], size, float),
        moved_bytes=_spread(moved, size, float),
        message_bytes=_spread([operation.message_bytes for operation in operations], size, float),
        precision=_spread([operation.precision for operation in operations], size, object),
        reason=np.full(rows, "", object),
    )
