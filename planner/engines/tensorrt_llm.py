"""TensorRT-LLM with its PyTorch back end: a share of what is left after a trial step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from planner.arrays import Numeric, ceil_div
from planner.engines.allocation import Allocation, Budget
from planner.engines.engine import Site
from planner.engines.longest import longest_request
from planner.engines.room import capacity_items, item, room_left, step_bytes
from planner.engines.rotary_tables import rotary_bytes
from planner.engines.settings import LONGEST
from planner.engines.tightest import tightest_stage
from planner.engines.token_pool import TokenPool
from planner.engines.version import Version
from planner.errors import ScenarioError
from planner.model.cache import StateCache

OPTIONS: Mapping[str, type] = MappingProxyType(
    {"free_gpu_memory_fraction": float, "tokens_per_block": int}
)
_SOURCE = "tensorrt-llm-memory"
_FRACTION = 0.9
_BLOCK_TOKENS = 32
_STEP_TOKENS = 8192
_SEQUENCES = 2048


class TensorRtLlm:
    """TensorRT-LLM 1.x."""

    name = "tensorrt-llm"
    versions = (Version((1, 0, 0)), Version((1, 3, 0)))
    options = OPTIONS
    casts_fp32 = True

    def allocate(self, site: Site) -> Allocation:
        """Return what TensorRT-LLM takes and what it leaves for requests.

        Parameters
        ----------
        site : Site
            Model, formats, devices and flags.

        Returns
        -------
        Allocation
            Its share is one of what is left, not of the device.

        Raises
        ------
        ScenarioError
            A flag is out of range, or nothing says how long a request may be.

        References
        ----------
        tensorrt-llm-memory
        """
        return tightest_stage(site, self._of_stage)

    def _of_stage(self, site: Site) -> Allocation:
        settings = site.settings
        step = settings.max_num_batched_tokens or _STEP_TOKENS
        many = settings.max_num_seqs or _SEQUENCES
        length, positions = longest_request(site)
        room = _budget(site, step, min(many, step))
        block = site.options.count("tokens_per_block") or settings.block_size or _BLOCK_TOKENS
        need = _need(site, block)
        one = int(need(block, 1) - need(0, 1))
        blocks = max(0, room.pool_bytes) // one if one else 0
        pool = TokenPool(
            need=need,
            room_bytes=max(0, room.pool_bytes),
            block_tokens=block,
            pool_tokens=blocks * block if one else None,
            asked_model_len=length,
            positions=positions,
            parts=(item("blocks", -blocks * one, f"{blocks:,} of {block} tokens", _SOURCE),),
        )
        return Allocation(
            engine=self.name,
            version=str(site.version),
            budget=room,
            pool=pool,
            step_tokens=step,
            max_sequences=many,
            longest_asked=length == LONGEST,
            assumptions=("Every layer keeps every token; no window is taken into account.",),
        )


def _need(site: Site, block: int) -> Callable[[Numeric, Numeric], Numeric]:
    model, execution = site.model, site.execution
    tp = execution.layout.tp
    states = sum(
        cache.sequence_bytes(0, execution, tp=tp) * count
        for _, cache, count in model.caches
        if isinstance(cache, StateCache)
    )
    token = model.cache_bytes_per_token(execution, layout=execution.layout)

    def need(length: Numeric, sequences: Numeric) -> Numeric:
        return sequences * (ceil_div(length, block) * block * token + states)

    return need


def _budget(site: Site, step: int, rows: int) -> Budget:
    layout = site.execution.layout
    share = site.options.number("free_gpu_memory_fraction")
    share = site.settings.gpu_memory_utilization if share is None else share
    share = _FRACTION if share is None else share
    if not 0 < share <= 1:
        raise ScenarioError(
            "not a share of what is left",
            where="--engine-option free_gpu_memory_fraction",
            got=share,
            allowed="above 0 and at most 1",
        )
    weights = site.model.weights_bytes(site.execution, layout=layout)
    weights += rotary_bytes(site.model, site.execution)
    activations = step_bytes(site, step, rows)
    runtime = site.runtime.context_bytes + site.runtime.collective_bytes(layout.joined_devices)
    items = [
        *capacity_items(site, _SOURCE),
        item("runtime", -runtime, "driver context and collective buffers", _SOURCE),
        item("weights", -weights, "stored tensors of the rank and rotary tables", _SOURCE),
        item("activations", -activations, f"a trial step of {step:,} tokens", _SOURCE),
    ]
    left = max(0, sum(each.bytes for each in items))
    items.append(
        item(
            "left alone", int(left * share) - left,
            f"what is left · (1 - free_gpu_memory_fraction) = {left:,} · (1 - {share:g})", _SOURCE,
        )
    )  # fmt: skip
    return room_left(
        site, items, weights_bytes=weights, activations_bytes=activations, runtime_bytes=runtime
    )


TENSORRT_LLM = TensorRtLlm()
