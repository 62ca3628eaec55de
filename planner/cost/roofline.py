"""Seconds of a step at efficiency 1: the slower of compute and memory per operation, then summed.

One maximum per operation, never one for the whole step: attention waits for memory while products
of the same step wait for compute.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from planner.arrays import Numeric, maximum
from planner.cost.collectives import message_s
from planner.cost.links import Links
from planner.explanation import Explanation, Term
from planner.hardware import Device
from planner.model import Execution, Model, Operation, Step
from planner.units import format_bytes, format_seconds, format_si

Bound = Literal["compute", "memory", "communication"]

FLOORS = (
    "Times are floors: every operation at the device's peak rate or bandwidth (efficiency 1), no "
    "launch time, no overlap between operations."
)
"""What a time without a calibration profile takes for granted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationCost:
    """One operation with the time that each resource needs for it.

    Parameters
    ----------
    layer : str
        Kind of layer it stands in.
    operation : Operation
        FLOP and bytes of one occurrence.
    count : int
        Occurrences in the step. [1]
    compute_s, memory_s, communication_s : numeric
        Time at peak of each resource, one occurrence. [s]
    """

    layer: str
    operation: Operation
    count: int
    compute_s: Numeric
    memory_s: Numeric
    communication_s: Numeric

    @property
    def floor_s(self) -> Numeric:
        """Time of all occurrences at peak: the slowest resource decides. [s]."""
        slowest = maximum(maximum(self.compute_s, self.memory_s), self.communication_s)
        return slowest * self.count

    @property
    def bound(self) -> Bound:
        """The resource that decides; for single numbers only."""
        if self.communication_s > max(self.compute_s, self.memory_s):
            return "communication"
        return "compute" if self.compute_s > self.memory_s else "memory"


def operation_cost(
    layer: str, operation: Operation, count: int, device: Device, links: Links
) -> OperationCost:
    r"""Return what one operation costs on a device at efficiency 1.

    .. math::
        t = \max(\mathrm{FLOP} / F, \mathrm{bytes} / B)

    Parameters
    ----------
    layer : str
        Kind of layer it stands in.
    operation : Operation
        FLOP and bytes.
    count : int
        Occurrences in the step. [1]
    device : Device
        Peak rates and memory bandwidth.
    links : Links
        What joins the ranks; without a link the time of messages is not counted.

    Returns
    -------
    OperationCost
        Times of one occurrence.

    Raises
    ------
    PrecisionError
        The device has no rate for the operation's precision.

    References
    ----------
    williams-2009
    """
    communication_s: Numeric = 0.0
    link = links.carrying(operation)
    if link is not None:
        communication_s = message_s(
            operation.kind,
            operation.message_bytes,
            ranks=int(operation.shape.get("ranks", 1)),
            link_bytes_per_s=link.per_direction_bytes_per_s,
        )
    moved = operation.read_bytes + operation.write_bytes
    return OperationCost(
        layer=layer,
        operation=operation,
        count=count,
        compute_s=operation.flop / device.rate(operation.precision),
        memory_s=moved / device.memory_bandwidth_bytes_per_s,
        communication_s=communication_s,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class StepCost:
    """One forward pass on one rank, operation by operation.

    Parameters
    ----------
    step : Step
        The forward pass.
    device : Device
        Where it runs.
    operations : tuple of OperationCost
        In order; equal layers are one entry with a count.
    """

    step: Step
    device: Device
    operations: tuple[OperationCost, ...]

    @property
    def flop(self) -> Numeric:
        """FLOP of one rank. [FLOP]."""
        return sum(cost.operation.flop * cost.count for cost in self.operations)

    @property
    def read_bytes(self) -> Numeric:
        """Bytes one rank reads. [bytes]."""
        return sum(cost.operation.read_bytes * cost.count for cost in self.operations)

    @property
    def write_bytes(self) -> Numeric:
        """Bytes one rank writes. [bytes]."""
        return sum(cost.operation.write_bytes * cost.count for cost in self.operations)

    @property
    def floor_s(self) -> Numeric:
        """Sum over operations, each at its peak. [s]."""
        return sum(cost.floor_s for cost in self.operations)

    def time_by_bound(self) -> dict[Bound, float]:
        """Return the seconds that wait for each resource; for single numbers only.

        Returns
        -------
        dict
            Seconds by resource. [s]
        """
        seconds: dict[Bound, float] = {"compute": 0.0, "memory": 0.0, "communication": 0.0}
        for cost in self.operations:
            seconds[cost.bound] += float(cost.floor_s)
        return seconds

    @property
    def bound(self) -> Bound:
        """The resource that most of the time waits for; for single numbers only."""
        seconds = self.time_by_bound()
        return max(seconds, key=lambda name: seconds[name])

    def explain(self, figure: str) -> Explanation:
        """Return how a figure of this step came about.

        Parameters
        ----------
        figure : {"flop", "read_bytes", "write_bytes", "floor_s", "bound"}
            The figure.

        Returns
        -------
        Explanation
            With one term per operation.
        """
        return _EXPLAIN[figure](self)


def step_cost(
    model: Model, step: Step, execution: Execution, device: Device, links: Links
) -> StepCost:
    """Return what a step costs on the fullest rank at efficiency 1.

    Parameters
    ----------
    model : Model
        The model.
    step : Step
        The forward pass; its fields may be arrays.
    execution : Execution
        Formats and layout.
    device : Device
        Where it runs.
    links : Links
        What joins the ranks.

    Returns
    -------
    StepCost
        All operations with their times.

    Raises
    ------
    LayoutError
        The ranks do not divide the model.
    PrecisionError
        The device has no rate for a precision.
    """
    return StepCost(
        step=step,
        device=device,
        operations=tuple(
            operation_cost(layer, operation, count, device, links)
            for layer, operation, count in model.operations(step, execution)
        ),
    )


def _terms(cost: StepCost, field: str, unit: str) -> tuple[Term, ...]:
    terms = []
    for item in cost.operations:
        value = getattr(item.operation, field)
        if value:
            times = f"{item.count} × " if item.count > 1 else ""
            amount = format_si(value, unit) if unit == "FLOP" else format_bytes(value)
            label = f"{item.layer} · {item.operation.name}"
            terms.append(Term(label=label, value=value * item.count, detail=f"{times}{amount}"))
    return tuple(terms)


def _explain_flop(cost: StepCost) -> Explanation:
    return Explanation(
        figure="flop",
        meaning="Multiply-adds of one device in this step, each counted as two.",
        formula="Σ over operations: occurrences · FLOP; products 2·m·n·k, attention "
        "4·pairs·query_heads·head_dim",
        substituted=f"{len(cost.operations)} operations, {_step_text(cost.step)}",
        value=float(cost.flop),
        unit="FLOP",
        terms=_terms(cost, "flop", "FLOP"),
        sources=("vaswani-2017", "dao-2024"),
    )


def _explain_read(cost: StepCost) -> Explanation:
    return Explanation(
        figure="read_bytes",
        meaning="Compulsory reads of one device: weights once, caches of all sequences, inputs.",
        formula="Σ over operations: occurrences · (weights + cache + inputs)",
        substituted=_step_text(cost.step),
        value=float(cost.read_bytes),
        unit="bytes",
        terms=_terms(cost, "read_bytes", "B"),
        sources=("williams-2009", "dao-2022"),
    )


def _explain_write(cost: StepCost) -> Explanation:
    return Explanation(
        figure="write_bytes",
        meaning="Compulsory writes of one device: outputs and cache entries.",
        formula="Σ over operations: occurrences · (outputs + cache)",
        substituted=_step_text(cost.step),
        value=float(cost.write_bytes),
        unit="bytes",
        terms=_terms(cost, "write_bytes", "B"),
        sources=("williams-2009",),
    )


def _explain_floor(cost: StepCost) -> Explanation:
    device = cost.device
    return Explanation(
        figure="floor_s",
        meaning="A floor: no kernel reaches its peak, so the real step takes longer.",
        formula="Σ over operations: occurrences · max(FLOP / rate, bytes / bandwidth, "
        "message / link)",
        substituted=f"{_step_text(cost.step)}; memory "
        f"{format_si(device.memory_bandwidth_bytes_per_s, 'B/s')}",
        value=float(cost.floor_s),
        unit="s",
        terms=tuple(
            Term(
                label=f"{item.layer} · {item.operation.name}",
                value=float(item.floor_s),
                detail=f"{item.bound}: max({format_seconds(item.compute_s * item.count)} compute, "
                f"{format_seconds(item.memory_s * item.count)} memory, "
                f"{format_seconds(item.communication_s * item.count)} link)",
            )
            for item in cost.operations
        ),
        sources=("williams-2009", "patarasuk-2009"),
    )


def _explain_bound(cost: StepCost) -> Explanation:
    seconds = cost.time_by_bound()
    return Explanation(
        figure="bound",
        meaning="The resource that most of the step's time waits for.",
        formula="argmax over resources of the seconds of the operations it decides",
        substituted=", ".join(f"{name} {format_seconds(s)}" for name, s in seconds.items()),
        value=cost.bound,
        unit="1",
        terms=tuple(Term(label=name, value=s) for name, s in seconds.items()),
        sources=("williams-2009",),
    )


def _step_text(step: Step) -> str:
    new = f"{step.batch:,} sequences × {step.new_tokens:,} new tokens"
    return f"{new} on {step.cached_tokens:,} cached"


_EXPLAIN = {
    "flop": _explain_flop,
    "read_bytes": _explain_read,
    "write_bytes": _explain_write,
    "floor_s": _explain_floor,
    "bound": _explain_bound,
}
