"""vLLM as an engine: defaults, budget, pool."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from planner.engines.allocation import Allocation
from planner.engines.engine import Site
from planner.engines.settings import LONGEST
from planner.engines.version import Version
from planner.engines.vllm.budget import budget, resized
from planner.engines.vllm.limits import resolve_limits
from planner.engines.vllm.planning import plan_pool
from planner.model.stages import pipeline_stages

OPTIONS: Mapping[str, type] = MappingProxyType(
    {
        "async_scheduling": bool,
        "cudagraph_capture_sizes": str,
        "decode_context_parallel_size": int,
        "disable_hybrid_kv_cache_manager": bool,
        "enable_chunked_prefill": bool,
        "enable_prefix_caching": bool,
        "enforce_eager": bool,
        "mamba_block_size": int,
        "mamba_cache_dtype": str,
        "mamba_cache_mode": str,
        "mamba_ssm_cache_dtype": str,
        "num_gpu_blocks_override": int,
        "num_speculative_tokens": int,
    }
)

_ADMISSION = (
    "Each request is charged the most blocks that it may take on the way, as vLLM does when it "
    "starts: windows with the tokens in flight, states with those kept for cached prefixes."
)


class Vllm:
    """vLLM's V0 and V1 engines."""

    name = "vllm"
    versions = (Version((0, 6, 0)), Version((0, 33, 0)))
    options = OPTIONS
    casts_fp32 = True

    def allocate(self, site: Site) -> Allocation:
        """Return what vLLM takes and what it leaves for requests.

        Parameters
        ----------
        site : Site
            Model, formats, devices, flags and version.

        Returns
        -------
        Allocation
            Budget of the fullest device, and the pool in blocks.

        Raises
        ------
        ScenarioError
            A flag is out of range, or not one that vLLM can serve.
        """
        limits = resolve_limits(site)
        stages = pipeline_stages(site.model, site.execution.layout.pp)
        rooms = [budget(replace(site, model=stage), limits) for stage in stages]
        pool = plan_pool(site, limits, tuple(max(0, room.pool_bytes) for room in rooms))
        room = rooms[pool.stage]
        if pool.blocks_given is not None:
            room = resized(room, pool.blocks_given * pool.own_block_bytes)
        return Allocation(
            engine=self.name,
            version=str(site.version),
            budget=room,
            pool=pool,
            step_tokens=limits.step_tokens,
            max_sequences=limits.max_sequences,
            stage=pool.stage,
            longest_asked=limits.max_model_len == LONGEST,
            warnings=room.warnings,
            assumptions=(*room.assumptions, _ADMISSION),
        )


VLLM = Vllm()
