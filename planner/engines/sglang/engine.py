"""SGLang as an engine."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from planner.engines.allocation import Allocation, Budget, LineItem
from planner.engines.engine import Site
from planner.engines.longest import longest_request
from planner.engines.room import capacity_items, item, room_left
from planner.engines.rotary_tables import rotary_bytes
from planner.engines.settings import LONGEST
from planner.engines.sglang.fraction import Step, default_step, static_fraction
from planner.engines.sglang.pools import Cells, Shares
from planner.engines.tightest import tightest_stage
from planner.engines.token_pool import TokenPool
from planner.engines.version import Version
from planner.errors import ScenarioError
from planner.model.latent_cache import LatentCache

OPTIONS: Mapping[str, type] = MappingProxyType(
    {
        "chunked_prefill_size": int,
        "cuda_graph_max_bs": int,
        "disable_radix_cache": bool,
        "mamba_full_memory_ratio": float,
        "mem_fraction_static": float,
        "swa_full_tokens_ratio": float,
    }
)
_SOURCE = "sglang-memory"
_STATE_RATIO = 0.9
_WINDOW_RATIO = 0.8
_SLOTS_WITH_PREFIXES = 3


class Sglang:
    """SGLang's scheduler with its radix cache."""

    name = "sglang"
    versions = (Version((0, 5, 0)), Version((0, 5, 23)))
    options = OPTIONS
    casts_fp32 = True

    def allocate(self, site: Site) -> Allocation:
        """Return what SGLang takes and what it leaves for requests.

        Parameters
        ----------
        site : Site
            Model, formats, devices and flags.

        Returns
        -------
        Allocation
            Budget of a rank, and its pools.

        Raises
        ------
        ScenarioError
            A flag is out of range, or nothing says how long a request may be.
        """
        return tightest_stage(site, self._of_stage)

    def _of_stage(self, site: Site) -> Allocation:
        step = _step(site)
        length, positions = longest_request(site)
        room = _budget(site, step)
        shares = _shares(site)
        tokens = shares.tokens(max(0, room.pool_bytes))
        pool = TokenPool(
            need=shares.need_bytes,
            room_bytes=max(0, room.pool_bytes),
            block_tokens=shares.page_tokens,
            pool_tokens=tokens if shares.token_bytes else None,
            asked_model_len=length,
            positions=positions,
            parts=_parts(shares, max(0, room.pool_bytes)),
        )
        return Allocation(
            engine=self.name,
            version=str(site.version),
            budget=room,
            pool=pool,
            step_tokens=step.chunk_tokens,
            max_sequences=site.settings.max_num_seqs or step.graph_sequences,
            longest_asked=length == LONGEST,
            assumptions=(
                "What mem_fraction_static leaves free counts as activations, CUDA graphs included.",
            ),
        )


def _step(site: Site) -> Step:
    own = default_step(site.hardware.device, site.execution.layout.tp)
    given = site.options.count("chunked_prefill_size") or site.settings.max_num_batched_tokens
    return Step(
        chunk_tokens=given or own.chunk_tokens,
        graph_sequences=site.options.count("cuda_graph_max_bs") or own.graph_sequences,
    )


def _fraction(site: Site, step: Step) -> float:
    given = site.options.number("mem_fraction_static") or site.settings.gpu_memory_utilization
    if given is None:
        return static_fraction(
            site.hardware.device,
            step,
            site.execution.layout.tp * site.execution.layout.pp,
            latent=any(isinstance(cache, LatentCache) for _, cache, _ in site.model.caches),
            tower=any(tower.name == "vision" for tower in site.model.towers),
        )
    if not 0 < given < 1:
        raise ScenarioError(
            "not a share of the device's memory",
            where="--engine-option mem_fraction_static",
            got=given,
            allowed="above 0 and below 1",
        )
    return given


def _budget(site: Site, step: Step) -> Budget:
    device, layout = site.hardware.device, site.execution.layout
    share = _fraction(site, step)
    stored = site.model.weights_bytes(site.execution, layout=layout)
    weights = stored + rotary_bytes(site.model, site.execution)
    runtime = site.runtime.context_bytes + site.runtime.collective_bytes(layout.joined_devices)
    free = device.capacity_bytes - runtime
    kept = free - int(free * share)
    items = (
        *capacity_items(site, _SOURCE),
        item("runtime", -runtime, "driver context and collective buffers", _SOURCE),
        item(
            "activations and graphs", -kept,
            f"free at the start · (1 - mem_fraction_static) = {free:,} · (1 - {share:g})", _SOURCE,
        ),
        item("weights", -weights, "stored tensors of the rank and rotary tables", _SOURCE),
    )  # fmt: skip
    return room_left(
        site, items, weights_bytes=weights, activations_bytes=kept, runtime_bytes=runtime
    )


def _shares(site: Site) -> Shares:
    options = site.options
    prefixes = options.flag("disable_radix_cache") is not True
    window = options.number("swa_full_tokens_ratio")
    state = options.number("mamba_full_memory_ratio")
    return Shares(
        cells=Cells.of(site.model, site.execution),
        page_tokens=site.settings.block_size or 1,
        window_ratio=_WINDOW_RATIO if window is None else window,
        state_ratio=_STATE_RATIO if state is None else state,
        slots=_SLOTS_WITH_PREFIXES if prefixes else 1,
    )


def _parts(shares: Shares, room_bytes: int) -> tuple[LineItem, ...]:
    cells, tokens = shares.cells, shares.tokens(room_bytes)
    found: list[LineItem] = []
    if cells.full_bytes:
        found.append(
            item("full layers", -int(tokens * cells.full_bytes), f"{tokens:,} tokens", _SOURCE)
        )
    if cells.window_bytes:
        own = int(tokens * (shares.window_ratio if cells.full_bytes else 1))
        found.append(item("windows", -int(own * cells.window_bytes), f"{own:,} tokens", _SOURCE))
    if cells.state_bytes:
        used = sum(each.bytes for each in found)
        slots = max(0, room_bytes + used) // cells.state_bytes
        rule = f"{slots:,} slots, {shares.slots} a request"
        found.append(item("states", -slots * cells.state_bytes, rule, _SOURCE))
    return tuple(found)


SGLANG = Sglang()
