"""llama.cpp as an engine: model, context and compute buffers of the fullest device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from planner.engines.allocation import Allocation, Budget
from planner.engines.engine import Site
from planner.engines.llama_cpp.compute import compute_bytes
from planner.engines.llama_cpp.context import Context
from planner.engines.llama_cpp.placing import Placing
from planner.engines.llama_cpp.pool import LlamaCppPool
from planner.engines.longest import longest_request
from planner.engines.room import capacity_items, item, room_left
from planner.engines.settings import LONGEST
from planner.engines.version import Version
from planner.model import Execution
from planner.model.storage import FP16
from planner.units import format_bytes

OPTIONS: Mapping[str, type] = MappingProxyType(
    {
        "flash_attn": bool, "kv_unified": bool, "n_gpu_layers": int, "swa_full": bool,
        "ubatch_size": int,
    }
)  # fmt: skip
_SOURCE = "llama-cpp"
_STEP_TOKENS = 512


class LlamaCpp:
    """llama.cpp; its versions are the builds of its libraries."""

    name = "llama.cpp"
    versions = (Version((0,)), Version((0, 5, 0)))
    options = OPTIONS
    casts_fp32 = False

    def allocate(self, site: Site) -> Allocation:
        """Return what llama.cpp takes and what it leaves for longer contexts.

        Parameters
        ----------
        site : Site
            Model, formats, devices and flags.

        Returns
        -------
        Allocation
            The buffers of the fullest device.

        Raises
        ------
        ScenarioError
            A flag is out of range, or nothing says how long a request may be.
        """
        settings = site.settings
        execution = site.execution if site.cache_given else replace(site.execution, cache=FP16)
        layout = site.execution.layout
        placing = Placing.of(
            site.model, site.options.count("n_gpu_layers"), layout.devices // layout.dp
        )
        context = _context(site)
        length, positions = longest_request(site)
        asked = positions if length == LONGEST else length
        room = _budget(site, execution, placing, context, asked)
        pool = LlamaCppPool(
            stack=placing.stack,
            execution=execution,
            context=context,
            room_bytes=max(0, room.pool_bytes),
            max_model_len=asked,
            positions=positions,
        )
        if length == LONGEST:
            pool = replace(pool, max_model_len=pool.max_context_tokens)
        host = format_bytes(placing.host_bytes(execution))
        return Allocation(
            engine=self.name,
            version=str(site.version),
            budget=room,
            pool=pool,
            step_tokens=context.step_tokens,
            max_sequences=settings.max_num_seqs or context.sequences,
            longest_asked=length == LONGEST,
            assumptions=(
                f"{len(placing.layers)} of {len(site.model.layers)} layers stand on the fullest "
                f"device; {host} of weights stay in host memory.",
            ),
        )


def _context(site: Site) -> Context:
    options = site.options
    flash = options.flag("flash_attn")
    step = options.count("ubatch_size") or site.settings.max_num_batched_tokens or _STEP_TOKENS
    return Context(
        sequences=site.settings.max_num_seqs or 1,
        step_tokens=step,
        unified=options.flag("kv_unified") or False,
        whole_windows=options.flag("swa_full") or False,
        flash=True if flash is None else flash,
    )


def _budget(
    site: Site, execution: Execution, placing: Placing, context: Context, length: int
) -> Budget:
    weights = placing.weights_bytes(execution)
    computing = int(compute_bytes(site.model, execution, context, length))
    outside = site.runtime.context_bytes
    layers, tokens = len(placing.layers), context.step_tokens
    items = (
        *capacity_items(site, _SOURCE),
        item("runtime", -outside, "driver context", _SOURCE),
        item("model buffer", -weights, f"{layers} layers of the fullest device", _SOURCE),
        item(
            "compute buffer", -computing,
            f"the widest moment of a step of {tokens:,} tokens, in fp32", _SOURCE,
        ),
    )  # fmt: skip
    return room_left(
        site, items, weights_bytes=weights, activations_bytes=computing, runtime_bytes=outside
    )


LLAMA_CPP = LlamaCpp()
