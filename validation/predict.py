"""From a case to its floor on a device, by the planner's own roofline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from planner.cost.links import Links
from planner.cost.roofline import OperationCost, operation_cost
from planner.cost.shapes import Counted, NoModelError, operations_of, reading, step_of
from planner.hardware import Device, Link, load_device
from planner.model import Execution, Model
from planner.units import format_bytes, format_seconds, format_si
from validation.entries import Ceilings, Environment, Prediction

Shape = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What the planner says of a case on a device.

    Parameters
    ----------
    operations : tuple
        Layer, operation and occurrences.
    costs : tuple of OperationCost
        With their floors; empty where the device is not known.
    """

    operations: tuple[Counted, ...]
    costs: tuple[OperationCost, ...] = ()

    @property
    def floor_s(self) -> float | None:
        """Sum of the operations' floors; None where the device is not known. [s]."""
        return sum(float(cost.floor_s) for cost in self.costs) if self.costs else None

    @property
    def bound(self) -> str | None:
        """The resource that most of the floor waits for."""
        if not self.costs:
            return None
        seconds: dict[str, float] = {}
        for cost in self.costs:
            seconds[cost.bound] = seconds.get(cost.bound, 0.0) + float(cost.floor_s)
        return max(seconds, key=lambda name: seconds[name])

    def total(self, figure: str) -> float:
        """Return the sum of a figure over the operations.

        Parameters
        ----------
        figure : {"flop", "read_bytes", "write_bytes", "message_bytes"}
            A figure of an operation.

        Returns
        -------
        float
            The sum, occurrences counted. [FLOP or bytes]
        """
        return float(sum(getattr(op, figure) * count for _, op, count in self.operations))

    def prediction(self) -> Prediction:
        """Return what is kept in a record.

        Returns
        -------
        Prediction
            Counts and the floor.
        """
        return Prediction(
            flop=self.total("flop"),
            read_bytes=self.total("read_bytes"),
            write_bytes=self.total("write_bytes"),
            floor_s=self.floor_s,
            bound=self.bound,
            operations=sum(count for _, _, count in self.operations),
        )

    def explain(self) -> str:
        """Return where the floor comes from, in one line.

        Returns
        -------
        str
            The operations that take most of it, with FLOP, bytes and bound.
        """
        ranked = sorted(self.costs, key=lambda cost: -float(cost.floor_s))
        parts = []
        for cost in ranked[:2]:
            operation = cost.operation
            moved = operation.read_bytes + operation.write_bytes
            times = f"{cost.count} × " if cost.count > 1 else ""
            message = f", message {format_bytes(operation.message_bytes)}"
            parts.append(
                f"{times}{operation.name}: {format_si(float(operation.flop), 'FLOP')}, "
                f"{format_bytes(moved)}{message if operation.message_bytes else ''}; compute "
                f"{format_seconds(float(cost.compute_s))}, memory "
                f"{format_seconds(float(cost.memory_s))}, {cost.bound} bound"
            )
        rest = len(ranked) - 2
        return "; ".join(parts) + (f"; and {rest} more operations" if rest > 0 else "")


def forecast(
    kind: str,
    shape: Shape,
    execution: Execution,
    device: Device | None,
    link: Link | None = None,
    *,
    model: Model | None = None,
) -> Forecast:
    """Return what the planner says of a case on a device.

    Parameters
    ----------
    kind : str
        Kind of operation, or ``model_prefill`` and ``model_decode``.
    shape : mapping
        Its shape columns.
    execution : Execution
        Formats.
    device : Device or None
        Where it runs; None where no floor is known.
    link : Link, optional
        What joins the ranks; the device's own without it.
    model : Model, optional
        The model of a whole step.

    Returns
    -------
    Forecast
        Operations and floors.

    Raises
    ------
    NoModelError
        The planner has no model of it yet, or does not know what joins the ranks.
    PlannerError
        The shape is unusable, or the device has no rate for the precision.
    """
    if model is not None:
        with reading(kind, shape):
            step = step_of(shape, decode=kind.endswith("decode"))
        operations = tuple(model.operations(step, execution))
    else:
        operations = operations_of(kind, shape, execution)
    if device is None:
        return Forecast(operations=operations)
    joined = link or device.scale_up
    if joined is None and any(op.message_bytes for _, op, _ in operations):
        raise NoModelError("nothing is known about what joins the ranks", where=device.id)
    costs = tuple(
        operation_cost(layer, operation, count, device, Links(otherwise=joined))
        for layer, operation, count in operations
    )
    return Forecast(operations=operations, costs=costs)


def host_device(ceilings: Ceilings, environment: Environment) -> Device:
    """Return a host as the planner sees a device, made from its measured ceilings.

    Parameters
    ----------
    ceilings : Ceilings
        What it reaches at best.
    environment : Environment
        What it is.

    Returns
    -------
    Device
        Without figures or sources: nobody has printed them.
    """
    rate = ceilings.link_bytes_per_s
    return Device(
        id="host",
        name=environment.device_name,
        vendor="",
        architecture=environment.operating_system,
        form_factor="host",
        compute_capability=None,
        launch_year=0,
        memory_kind="host memory",
        vendor_capacity_bytes=environment.memory_bytes or 0,
        reported_capacity_bytes=None,
        visible_capacity_bytes=environment.memory_bytes,
        memory_bandwidth_bytes_per_s=ceilings.memory_bytes_per_s,
        rates=dict(ceilings.flops_per_s),
        multiprocessors=environment.cores,
        boost_clock_hz=environment.clock_hz,
        l2_cache_bytes=environment.cache_bytes,
        shared_memory_per_multiprocessor_bytes=None,
        registers_per_multiprocessor_bytes=None,
        scale_up=Link(kind="processes of the host", per_direction_bytes_per_s=rate)
        if rate
        else None,
        host=None,
        power_w=None,
        figures={},
        sources={},
    )


def device_of(environment: Environment, ceilings: Ceilings | None) -> Device | None:
    """Return the device that floors are computed for.

    Parameters
    ----------
    environment : Environment
        What a run ran on.
    ceilings : Ceilings or None
        A host's ceilings.

    Returns
    -------
    Device or None
        None where the catalog has no such device and no ceilings were measured.
    """
    if environment.spec_id is not None:
        return load_device(environment.spec_id)
    return host_device(ceilings, environment) if ceilings else None
