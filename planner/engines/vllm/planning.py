"""From flags and a version to vLLM's pool."""

from __future__ import annotations

from planner.engines.engine import Site
from planner.engines.vllm import versions
from planner.engines.vllm.backends import capability
from planner.engines.vllm.grouping import group_layers
from planner.engines.vllm.layers import CacheRules, layer_specs
from planner.engines.vllm.limits import Limits
from planner.engines.vllm.pool import VllmPool, stage_ranges
from planner.engines.vllm.specs import Demand
from planner.engines.vllm.states import StateRules
from planner.model.feed_forward import MixtureOfExperts
from planner.model.mixers.compressed import CompressedAttention
from planner.model.stages import layers_per_stage


def plan_pool(site: Site, limits: Limits, rooms_bytes: tuple[int, ...]) -> VllmPool:
    """Return how vLLM lays a model's caches out in a pool.

    Parameters
    ----------
    site : Site
        Model, formats, device, flags and version.
    limits : Limits
        Longest request and step.
    rooms_bytes : tuple of int
        Bytes for caches on a device of each pipeline stage. [bytes]

    Returns
    -------
    VllmPool
        Groups and blocks.

    Raises
    ------
    ScenarioError
        A flag that vLLM cannot serve, or a cache that it has no rule for.
    """
    options, version = site.options, site.version
    layout = site.execution.layout
    token_ranks = options.count("decode_context_parallel_size") or layout.dcp
    specs = layer_specs(site.model, _rules(site, token_ranks))
    hybrid = version >= versions.HYBRID_MANAGER
    if options.flag("disable_hybrid_kv_cache_manager"):
        hybrid = False
    packed = any(isinstance(part, CompressedAttention) for _, part, _ in site.model.parts)
    return VllmPool(
        groups=group_layers(
            specs, hybrid=hybrid, packed=packed, even=version >= versions.EVEN_GROUPS
        )
        if specs
        else (),
        stages=stage_ranges(layers_per_stage(len(site.model.layers), layout.pp)),
        rooms_bytes=rooms_bytes,
        blocks_given=options.count("num_gpu_blocks_override"),
        demand=Demand(
            in_flight_tokens=concurrent_batches(site) * limits.step_tokens,
            encoder_tokens=limits.step_tokens,
        ),
        asked_model_len=limits.max_model_len,
        positions=limits.positions,
        by_request=version >= versions.REPORTED_BY_REQUEST,
        token_ranks=token_ranks,
        null_blocks=int(version >= versions.NULL_BLOCK),
    )


def _rules(site: Site, token_ranks: int) -> CacheRules:
    major = capability(site.hardware.device)
    return CacheRules(
        execution=site.execution,
        major=major,
        block_size=site.settings.block_size,
        states=StateRules(
            caching=caches_prefixes(site),
            speculative_blocks=site.options.count("num_speculative_tokens") or 0,
            major=major,
            version=site.version,
            architecture=site.model.architecture,
        ),
        token_ranks=token_ranks,
        brought=not site.cache_given,
    )


def caches_prefixes(site: Site) -> bool:
    """Return whether prefixes are cached, as given or by default.

    Parameters
    ----------
    site : Site
        Model, flags and version.

    Returns
    -------
    bool
        Not by default for models of states alone or with an encoder, and in older versions not
        for states beside attention either.
    """
    given = site.options.flag("enable_prefix_caching")
    if given is not None:
        return given
    kinds = {cache.kind for _, cache, _ in site.model.caches}
    states = bool(kinds & {"state", "convolution"})
    if states and site.version < versions.STATES_CACHED:
        return False
    return bool(kinds - {"state", "convolution"}) and "encoder" not in kinds


def concurrent_batches(site: Site) -> int:
    """Return how many steps may be scheduled at once.

    Parameters
    ----------
    site : Site
        Layout, flags and version.

    Returns
    -------
    int
        One per stage, and one more with asynchronous scheduling. [1]
    """
    if site.version < versions.IN_FLIGHT:
        return 1
    pp = site.execution.layout.pp
    if site.options.flag("async_scheduling") is False:
        return pp
    return pp + 1 if pp == 1 or _second_runner(site) else pp


def _second_runner(site: Site) -> bool:
    """Whether the model runner is the one that schedules ahead over pipeline stages."""
    if site.version >= versions.V2_RUNNER:
        return True
    states = any(cache.kind in ("state", "convolution") for _, cache, _ in site.model.caches)
    experts = any(isinstance(part, MixtureOfExperts) for _, part, _ in site.model.parts)
    return not states and not experts
