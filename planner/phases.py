"""A step of prefill or decode as plain data."""

from __future__ import annotations

from typing import Any

from planner.cost.roofline import OperationCost, StepCost
from planner.cost.step_times import StepTimes


def phase_figures(cost: StepCost, times: StepTimes | None) -> dict[str, Any]:
    """Return work and times of a step; the floor, without a band, where nothing was measured.

    Parameters
    ----------
    cost : StepCost
        The step, operation by operation.
    times : StepTimes or None
        Typical times with their bands.

    Returns
    -------
    dict
        Plain data, ready for JSON.
    """
    time_s = float(times.time_s if times else cost.floor_s)
    each = times.operations_s if times else [item.floor_s for item in cost.operations]
    return {
        "flop": float(cost.flop),
        "read_bytes": float(cost.read_bytes),
        "write_bytes": float(cost.write_bytes),
        "floor_s": float(cost.floor_s),
        "time_s": time_s,
        "time_p10_s": float(times.p10_s) if times else None,
        "time_p90_s": float(times.p90_s) if times else None,
        "bound": cost.bound,
        "tokens_per_s": cost.step.tokens / time_s,
        "operations": [
            _operation(item, float(seconds))
            for item, seconds in zip(cost.operations, each, strict=True)
        ],
    }


def _operation(item: OperationCost, time_s: float) -> dict[str, Any]:
    operation = item.operation
    return {
        "layer": item.layer,
        "name": operation.name,
        "kind": operation.kind,
        "precision": operation.precision,
        "count": item.count,
        "flop": float(operation.flop * item.count),
        "read_bytes": float(operation.read_bytes * item.count),
        "write_bytes": float(operation.write_bytes * item.count),
        "message_bytes": float(operation.message_bytes * item.count),
        "floor_s": float(item.floor_s),
        "time_s": time_s,
        "bound": item.bound,
    }
