"""From a device's capacity to vLLM's pool of cache blocks."""

from __future__ import annotations

import math

from planner.cost.activations import activation_peak
from planner.engines.allocation import Budget, LineItem
from planner.engines.engine import Site
from planner.engines.version import Version
from planner.engines.vllm.limits import Limits
from planner.errors import ScenarioError

_NEW_UTILIZATION = Version((0, 21, 0))


def budget(site: Site, limits: Limits) -> Budget:
    """Return the room that vLLM finds for caches, or the pool that was given.

    Parameters
    ----------
    site : Site
        Model, formats, device, flags and version.
    limits : Limits
        Most tokens and sequences of a step.

    Returns
    -------
    Budget
        Line items from the label capacity down.

    Raises
    ------
    ScenarioError
        The utilisation is no share.
    """
    weights = site.model.weights_bytes(site.execution, tp=site.execution.layout.tp)
    rows = min(limits.max_sequences, limits.step_tokens)
    activations = int(activation_peak(site.model, site.execution).bytes(limits.step_tokens, rows))
    runtime = site.runtime.context_bytes + site.runtime.collective_bytes(site.execution.layout.tp)
    taken = (
        _item("weights", -weights, "stored tensors of the fullest rank", "vllm-kv-planning"),
        _item(
            "activations",
            -activations,
            f"one step of {limits.step_tokens:,} tokens and {rows:,} rows of logits",
            "vllm-kv-planning",
        ),
        _item("runtime", -runtime, "driver context and collective buffers", "vllm-kv-planning"),
    )
    before = _capacity_items(site)
    if site.settings.kv_pool_bytes is None:
        before = (*before, _left_alone(site), *taken)
        pool = sum(item.bytes for item in before)
    else:
        pool = site.settings.kv_pool_bytes
        before = (*before, *taken)
        rest = pool - sum(item.bytes for item in before)
        before = (*before, _item("not used", rest, "the pool was given", "vllm-kv-planning"))
    return Budget(
        items=before,
        weights_bytes=weights,
        activations_bytes=activations,
        runtime_bytes=runtime,
        graphs_bytes=0,
        pool_bytes=pool,
    )


def utilization(site: Site) -> float:
    """Return the share of the device's memory that vLLM may take.

    Parameters
    ----------
    site : Site
        Flags and version; the default is 0.92 from 0.21 on, 0.90 before.

    Returns
    -------
    float
        Between 0 and 1. [1]

    Raises
    ------
    ScenarioError
        The given one is out of range.
    """
    given = site.settings.gpu_memory_utilization
    if given is None:
        return 0.92 if site.version >= _NEW_UTILIZATION else 0.9
    if not 0 < given <= 1:
        raise ScenarioError(
            "not a share of the device's memory",
            where="--gpu-memory-utilization",
            got=given,
            allowed="above 0 and at most 1",
        )
    return given


def _capacity_items(site: Site) -> tuple[LineItem, ...]:
    device = site.hardware.device
    label, visible = device.vendor_capacity_bytes, device.capacity_bytes
    return (
        _item("label capacity", label, "as the vendor prints it", "vllm-kv-planning"),
        _item("driver", visible - label, "what a program does not see", "vllm-kv-planning"),
    )


def _left_alone(site: Site) -> LineItem:
    visible, share = site.hardware.device.capacity_bytes, utilization(site)
    requested = math.ceil(visible * share)
    return _item(
        "left alone",
        requested - visible,
        f"total · (1 - gpu_memory_utilization) = {visible:,} · (1 - {share:g})",
        "vllm-kv-planning",
    )


def _item(name: str, size: int, rule: str, source: str) -> LineItem:
    return LineItem(name=name, bytes=size, rule=rule, versions="all", source=source)
