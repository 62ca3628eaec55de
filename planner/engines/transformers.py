"""Hugging Face Transformers: caches that grow with each token, or are as long as the longest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from planner.arrays import Numeric, minimum
from planner.engines.allocation import Allocation, Budget
from planner.engines.engine import Site
from planner.engines.longest import longest_request
from planner.engines.room import capacity_items, item, room_left, step_bytes
from planner.engines.settings import LONGEST
from planner.engines.tightest import tightest_stage
from planner.engines.token_pool import TokenPool
from planner.engines.version import Version
from planner.errors import ScenarioError
from planner.model.cache import TokenCache

OPTIONS: Mapping[str, type] = MappingProxyType({"cache_implementation": str})
_SOURCE = "transformers-caches"
_KINDS = ("dynamic", "static")

Need = Callable[[Numeric, Numeric], Numeric]


class Transformers:
    """Transformers 5: ``generate`` with a dynamic or a static cache."""

    name = "transformers"
    versions = (Version((4, 57, 0)), Version((5, 23, 0)))
    options = OPTIONS
    casts_fp32 = False

    def allocate(self, site: Site) -> Allocation:
        """Return what Transformers takes and what it leaves for caches.

        Parameters
        ----------
        site : Site
            Model, formats, devices and flags.

        Returns
        -------
        Allocation
            A static cache is allocated at the start, a dynamic one grows.

        Raises
        ------
        ScenarioError
            A flag is out of range, or nothing says how long a request may be.

        References
        ----------
        transformers-caches
        """
        return tightest_stage(site, self._of_stage)

    def _of_stage(self, site: Site) -> Allocation:
        settings = site.settings
        static = _kind(site) == "static"
        many = settings.max_num_seqs or 1
        length, positions = longest_request(site)
        tokens = settings.max_num_batched_tokens or many * min(max(length, 1), positions)
        room = _budget(site, tokens, many)
        pool = TokenPool(
            need=static_need(site) if static else dynamic_need(site),
            room_bytes=max(0, room.pool_bytes),
            block_tokens=1,
            pool_tokens=None,
            asked_model_len=length,
            positions=positions,
            started=many if static else 1,
        )
        return Allocation(
            engine=self.name,
            version=str(site.version),
            budget=room,
            pool=pool,
            step_tokens=tokens,
            max_sequences=many,
            longest_asked=length == LONGEST,
            assumptions=(f"The whole prompt is read at once: {tokens:,} tokens in one step.",),
        )


def _kind(site: Site) -> str:
    kind = site.options.text("cache_implementation") or "dynamic"
    if kind not in _KINDS:
        raise ScenarioError(
            "no such cache",
            where="--engine-option cache_implementation",
            got=kind,
            allowed=", ".join(_KINDS),
        )
    return kind


def static_need(site: Site) -> Need:
    """Return what static caches of a length take: every layer is as long as it can get.

    Parameters
    ----------
    site : Site
        Model and formats.

    Returns
    -------
    callable
        Bytes of tokens and sequences.
    """
    model, execution = site.model, site.execution

    def need(length: Numeric, sequences: Numeric) -> Numeric:
        return sequences * model.cache_bytes(length, execution, layout=execution.layout)

    return need


def dynamic_need(site: Site) -> Need:
    """Return what dynamic caches take at their fullest.

    A layer that grows is copied to a longer one, so that its old and its new half stand side by
    side; a layer with a window keeps one token less than it sees.

    Parameters
    ----------
    site : Site
        Model and formats.

    Returns
    -------
    callable
        Bytes of tokens and sequences.
    """
    model, execution = site.model, site.execution
    tp = execution.layout.tp
    longest = max(
        (
            cache.token_bytes(execution, tp=tp)
            for _, cache, _ in model.caches
            if not isinstance(cache, TokenCache) or cache.window is None
        ),
        default=0,
    )

    def need(length: Numeric, sequences: Numeric) -> Numeric:
        kept: Numeric = 0
        for _, cache, count in model.caches:
            own = length
            if isinstance(cache, TokenCache) and cache.kind == "sliding" and cache.window:
                own = minimum(length, max(cache.window - 1, 1))
            kept = kept + cache.sequence_bytes(own, execution, tp=tp) * count
        return sequences * (kept + length * longest)

    return need


def _budget(site: Site, tokens: int, rows: int) -> Budget:
    layout = site.execution.layout
    weights = site.model.weights_bytes(site.execution, layout=layout)
    activations = step_bytes(site, tokens, rows)
    runtime = site.runtime.context_bytes + site.runtime.collective_bytes(layout.joined_devices)
    items = (
        *capacity_items(site, _SOURCE),
        item("runtime", -runtime, "driver context and collective buffers", _SOURCE),
        item("weights", -weights, "stored tensors of the rank", _SOURCE),
        item(
            "activations", -activations,
            f"a step of {tokens:,} tokens and {rows:,} rows of logits", _SOURCE,
        ),
    )  # fmt: skip
    return room_left(
        site, items, weights_bytes=weights, activations_bytes=activations, runtime_bytes=runtime
    )


TRANSFORMERS = Transformers()
