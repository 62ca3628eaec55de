"""The kernel seconds of steps by part, as services pace them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from planner.cost.roofline import StepCost
from planner.cost.step_times import StepTimes
from planner.serving.engine_habits import PARTS

_PART_OF = {
    "gemm": "gemm",
    "all_reduce": "communication",
    "all_gather": "communication",
    "reduce_scatter": "communication",
    "all_to_all": "communication",
    "send_recv": "communication",
}


def step_parts_s(
    cost: StepCost, times: StepTimes | None, shape: tuple[int, ...]
) -> NDArray[np.float64]:
    """Return the kernel seconds of a step by part.

    Parameters
    ----------
    cost : StepCost
        The step.
    times : StepTimes or None
        Its calibrated seconds; floors without them.
    shape : tuple of int
        Of the step's fields together. [1]

    Returns
    -------
    array, shape (parts, ...)
        The p50 of calibrated operations, else their floors. [s]
    """
    each = times.operations_s if times else [item.floor_s for item in cost.operations]
    parts = np.zeros((len(PARTS), *shape))
    for item, seconds in zip(cost.operations, each, strict=True):
        parts[PARTS.index(_part(item.operation.kind))] += seconds
    return parts


def _part(kind: str) -> str:
    if kind.startswith("moe"):
        return "moe"
    if kind.startswith(("attention", "mla", "state_space")):
        return "attention"
    return _PART_OF.get(kind, "other")


__all__ = ["step_parts_s"]
