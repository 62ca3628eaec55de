"""How the figures of an engine's answer came about."""

from __future__ import annotations

from collections.abc import Callable

from planner.engines.allocation import Allocation
from planner.explanation import Explanation, Term

Explain = Callable[[Allocation], Explanation]


def _pool(allocation: Allocation) -> Explanation:
    budget = allocation.budget
    short = [Term(label="short of", value=-budget.pool_bytes)] if budget.pool_bytes < 0 else []
    return Explanation(
        figure="engine.cache_pool_bytes",
        meaning="Room for caches on the fullest device, as the engine finds it.",
        formula="max(0, label capacity - what is taken and left alone)",
        substituted=" + ".join(f"({item.bytes:,})" for item in budget.items),
        value=max(0, budget.pool_bytes),
        unit="bytes",
        terms=(
            *(Term(label=item.name, value=item.bytes, detail=item.rule) for item in budget.items),
            *short,
        ),
        sources=tuple(dict.fromkeys(item.source for item in budget.items)),
    )


def _blocks(allocation: Allocation) -> Explanation:
    items = allocation.pool.items()
    return Explanation(
        figure="engine.blocks",
        meaning="Blocks of the pool.",
        formula="⌊pool / one block⌋, the fewest of any pipeline stage, or as given",
        substituted="; ".join(f"{item.name} {item.bytes:,} B: {item.rule}" for item in items),
        value=allocation.pool.blocks,
        unit="blocks",
        sources=tuple(dict.fromkeys(item.source for item in items)),
    )


def _pool_figure(figure: str, attribute: str, meaning: str, formula: str, unit: str) -> Explain:
    def explain(allocation: Allocation) -> Explanation:
        pool = allocation.pool
        items = pool.items()
        return Explanation(
            figure=figure,
            meaning=meaning,
            formula=formula,
            substituted=f"{pool.blocks:,} blocks; a request of {pool.max_model_len:,} tokens; "
            + "; ".join(f"{item.name}: {item.rule}" for item in items),
            value=getattr(pool, attribute),
            unit=unit,
            sources=tuple(dict.fromkeys(item.source for item in items)),
        )

    return explain


EXPLAIN_ENGINE: dict[str, Explain] = {
    "engine.cache_pool_bytes": _pool,
    "engine.blocks": _blocks,
    "engine.block_tokens": _pool_figure(
        "engine.block_tokens",
        "block_tokens",
        "Tokens of one block, the smallest of any group of layers.",
        "by attention backend, made larger where a state must fit in",
        "tokens",
    ),
    "engine.reported_cache_tokens": _pool_figure(
        "engine.reported_cache_tokens",
        "reported_cache_tokens",
        "Tokens of the pool, as the engine prints them when it starts.",
        "⌊max_concurrency · longest request⌋, or blocks of one group · block in older versions",
        "tokens",
    ),
    "engine.max_concurrency": _pool_figure(
        "engine.max_concurrency",
        "max_concurrency",
        "Requests of the longest length at once, as the engine prints it when it starts.",
        "blocks / blocks of one request",
        "requests",
    ),
    "engine.max_context_tokens": _pool_figure(
        "engine.max_context_tokens",
        "max_context_tokens",
        "Longest request that the pool can hold.",
        "max n with the blocks of one request and the null block ≤ blocks",
        "tokens",
    ),
}
"""Path of a figure in a plan → its explanation under an engine."""
