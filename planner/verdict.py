"""The verdict in words."""

from __future__ import annotations

from planner.cost.memory import MemoryUse
from planner.deployment import Deployment
from planner.units import format_bytes


def sentence(deployment: Deployment, use: MemoryUse) -> str:
    """Return whether a load fits, and by how much, in one sentence.

    Parameters
    ----------
    deployment : Deployment
        What runs where.
    use : MemoryUse
        Of the fullest device.

    Returns
    -------
    str
        With the model, the devices and the load.
    """
    load, hardware = deployment.load, deployment.scenario.hardware
    name = hardware.device.name
    devices = f"{hardware.devices} × {name}" if hardware.devices > 1 else f"one {name}"
    many = "sequences" if load.sequences > 1 else "sequence"
    what = (
        f"{deployment.scenario.model.name} ({deployment.execution.weights.name} weights, "
        f"{deployment.execution.cache.name} cache) with {load.sequences:,} {many} of "
        f"{load.context:,} tokens"
    )
    capacity_bytes = deployment.memory.capacity_bytes
    total, capacity = format_bytes(use.total_bytes), format_bytes(capacity_bytes)
    left_bytes = int(capacity_bytes - use.total_bytes)
    if left_bytes >= 0:
        away = use.offloaded_weights_bytes + use.offloaded_cache_bytes
        where = deployment.execution.offload.to
        rest = f" {format_bytes(away)} more live in its {where} memory." if away else ""
        return (
            f"{what} fits on {devices}: {total} of {capacity} on the fullest device, "
            f"{format_bytes(left_bytes)} to spare.{rest}"
        )
    return (
        f"{what} does not fit on {devices}: {total} are needed on the fullest device, "
        f"{capacity} are there, {format_bytes(-left_bytes)} too little."
    )
