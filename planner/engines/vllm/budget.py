"""From a device's capacity to vLLM's pool of cache blocks."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from planner.engines.allocation import Budget, LineItem
from planner.engines.engine import Site
from planner.engines.vllm.limits import Limits
from planner.engines.vllm.outside import graphs_bytes, outside_bytes
from planner.engines.vllm.profile_run import Conditions, ProfileRun, profile_run
from planner.engines.vllm.versions import UTILIZATION_92
from planner.engines.vllm.weights import LoadedWeights, loaded_weights
from planner.errors import ScenarioError
from planner.units import format_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Rank:
    """What one rank takes before it looks for room.

    Parameters
    ----------
    weights : LoadedWeights
        Its weights.
    run : ProfileRun
        The peak of its profile run.
    outside_bytes : int
        What PyTorch does not account for. [bytes]
    graphs_bytes : int
        CUDA graphs. [bytes]
    """

    weights: LoadedWeights
    run: ProfileRun
    outside_bytes: int
    graphs_bytes: int

    @property
    def taken_bytes(self) -> int:
        """All of it. [bytes]."""
        held = self.weights.total_bytes + self.run.peak_bytes
        return held + self.outside_bytes + self.graphs_bytes


def budget(site: Site, limits: Limits) -> Budget:
    """Return the room that vLLM finds for caches, or the pool that was given.

    Parameters
    ----------
    site : Site
        The model, or the pipeline stage of a rank; formats, device, flags and version.
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

    References
    ----------
    vllm-memory-budget
    """
    rank = rank_of(site, limits)
    inside = site.version >= UTILIZATION_92
    before = [*_capacity_items(site), *_taken_items(rank, limits, graphs_inside=inside)]
    given = site.settings.kv_pool_bytes
    if given is None:
        before.insert(2, _left_alone(site))
        pool = sum(item.bytes for item in before)
    else:
        pool = given
        rest = pool - sum(item.bytes for item in before)
        before.append(_item("not used", rest, "the pool was given"))
    return Budget(
        items=tuple(before),
        weights_bytes=rank.weights.total_bytes,
        activations_bytes=rank.run.peak_bytes,
        runtime_bytes=rank.outside_bytes,
        graphs_bytes=rank.graphs_bytes if inside else 0,
        pool_bytes=pool,
    )


def resized(room: Budget, pool_bytes: int) -> Budget:
    """Return a budget whose pool is as large as the blocks that were given.

    Parameters
    ----------
    room : Budget
        As the engine finds it.
    pool_bytes : int
        What the blocks take. [bytes]

    Returns
    -------
    Budget
        With one more item.
    """
    item = _item("blocks given", pool_bytes - room.pool_bytes, "num_gpu_blocks_override")
    return replace(room, items=(*room.items, item), pool_bytes=pool_bytes)


def rank_of(site: Site, limits: Limits) -> Rank:
    """Return what a rank takes.

    Parameters
    ----------
    site : Site
        The model, or the pipeline stage of the rank; formats, device, flags and version.
    limits : Limits
        Most tokens and sequences of a step.

    Returns
    -------
    Rank
        Its weights, its profile run and what stands beside them.
    """
    layout, stage = site.execution.layout, site.model
    eager = site.options.flag("enforce_eager") is True
    conditions = Conditions(
        execution=site.execution,
        device=site.hardware.device,
        version=site.version,
        tokens=limits.step_tokens,
        rows=min(limits.max_sequences, limits.step_tokens),
    )
    return Rank(
        weights=loaded_weights(stage, site.execution, site.version),
        run=profile_run(stage, conditions, stages=layout.pp),
        outside_bytes=outside_bytes(site.hardware.device, layout, layout.pp, site.version),
        graphs_bytes=0 if eager else graphs_bytes(stage, estimated=site.version >= UTILIZATION_92),
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
        return 0.92 if site.version >= UTILIZATION_92 else 0.9
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
        _item("label capacity", label, "as the vendor prints it"),
        _item("driver", visible - label, "what a program does not see"),
    )


def _left_alone(site: Site) -> LineItem:
    visible, share = site.hardware.device.capacity_bytes, utilization(site)
    requested = math.ceil(visible * share)
    return _item(
        "left alone",
        requested - visible,
        f"total · (1 - gpu_memory_utilization) = {visible:,} · (1 - {share:g}); the driver context "
        "and whatever vLLM does not count stand here",
        versions="default 0.92 from 0.21 on, 0.90 before",
    )


def _taken_items(rank: Rank, limits: Limits, *, graphs_inside: bool) -> tuple[LineItem, ...]:
    weights, run = rank.weights, rank.run
    rows = min(limits.max_sequences, limits.step_tokens)
    shown = format_bytes(rank.graphs_bytes)
    return (
        _item("weights", -weights.stored_bytes, "stored tensors of the fullest rank"),
        _item(
            "kernel padding", -weights.padding_bytes, "experts padded for mxfp4 kernels",
            source="vllm-mxfp4",
        ),
        _item(
            "allocator", -weights.rounding_bytes, "blocks in steps of 2 MiB for 10 MiB and more",
            source="pytorch-allocator",
        ),
        _item(
            "rotary tables", -weights.rotary_bytes,
            "positions · rotated elements · stream, for each kind of rotation",
            source="vllm-rotary",
        ),
        _item(
            "activations",
            -run.peak_bytes,
            f"{format_bytes(run.kept_bytes)} kept + max({limits.step_tokens:,} tokens through "
            f"{run.widest}: {format_bytes(run.forward_bytes)}, {rows:,} rows sampled: "
            f"{format_bytes(run.sampler_bytes)}{_tower_words(run)})",
            source="vllm-profile-run",
        ),
        _item(
            "outside PyTorch", -rank.outside_bytes, "libraries and collectives, fitted",
            source="vllm-start-up-logs",
        ),
        _item(
            "CUDA graphs",
            -rank.graphs_bytes if graphs_inside else 0,
            f"{shown} by layers, fitted" + ("" if graphs_inside else "; in what is left alone"),
            source="vllm-start-up-logs",
            versions="inside the budget from 0.21 on",
        ),
    )  # fmt: skip


def _tower_words(run: ProfileRun) -> str:
    return f", the tower at work: {format_bytes(run.tower_bytes)}" if run.tower_bytes else ""


def _item(
    name: str,
    size: int,
    rule: str,
    *,
    source: str = "vllm-memory-budget",
    versions: str = "all",
) -> LineItem:
    return LineItem(name=name, bytes=size, rule=rule, versions=versions, source=source)
