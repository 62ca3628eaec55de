"""Explanations of the pool of caches: of the engine that was named, or of none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from planner.engines.explained import EXPLAIN_ENGINE
from planner.explanation import Explanation, Term
from planner.units import format_bytes

if TYPE_CHECKING:
    from planner.plan import Plan

Explain = Callable[["Plan"], Explanation]


def _pool(plan: Plan) -> Explanation:
    memory = plan.memory
    taken = {
        "weights": memory.weights_bytes,
        "activations": int(memory.activations_bytes),
        "runtime": memory.runtime_bytes,
        "graphs": memory.graphs_bytes,
        "left alone": int(memory.reserve_bytes),
    }
    return Explanation(
        figure="engine.cache_pool_bytes",
        meaning="What is left for caches on the fullest device.",
        formula="max(0, capacity - " + " - ".join(taken) + ")",
        substituted=f"{format_bytes(plan.capacity_bytes)} - "
        + " - ".join(format_bytes(value) for value in taken.values()),
        value=plan.cache_pool_bytes,
        unit="bytes",
        terms=(
            Term(label="capacity", value=plan.capacity_bytes),
            *(Term(label=name, value=-value) for name, value in taken.items()),
        ),
    )


def _concurrency(plan: Plan) -> Explanation:
    size = plan.sequence_bytes
    return Explanation(
        figure="engine.max_concurrency",
        meaning="Sequences of the given context that the pool of one replica holds.",
        formula="cache_pool_bytes / bytes of one sequence",
        substituted=f"{plan.cache_pool_bytes:,} / {size:,}",
        value=plan.max_concurrency,
        unit="sequences",
    )


def _tokens(figure: str) -> Explain:
    def explain(plan: Plan) -> Explanation:
        context, concurrency = plan.deployment.load.context, plan.max_concurrency
        return Explanation(
            figure=figure,
            meaning="Tokens that the pool holds in sequences of the given context; a block of the "
            "ideal engine is one token.",
            formula="⌊max_concurrency · context⌋",
            substituted=f"{concurrency} · {context:,}",
            value=None if concurrency is None else int(concurrency * context),
            unit="tokens",
        )

    return explain


def _block(plan: Plan) -> Explanation:
    del plan
    return Explanation(
        figure="engine.block_tokens",
        meaning="Tokens of one cache block; the ideal engine has no blocks.",
        formula="1",
        substituted="1",
        value=1,
        unit="tokens",
    )


EXPLAIN_POOL: Mapping[str, Explain] = {
    "engine.cache_pool_bytes": _pool,
    "engine.block_tokens": _block,
    "engine.blocks": _tokens("engine.blocks"),
    "engine.reported_cache_tokens": _tokens("engine.reported_cache_tokens"),
    "engine.max_concurrency": _concurrency,
}
"""Path of a figure → its explanation where no engine was named."""


def by_engine(ideal: Mapping[str, Explain]) -> dict[str, Explain]:
    """Return explanations that leave the word to the engine where one was named.

    Parameters
    ----------
    ideal : mapping
        Path of a figure → its explanation where none was.

    Returns
    -------
    dict
        The same paths.
    """

    def either(figure: str) -> Explain:
        def explain(plan: Plan) -> Explanation:
            allocation = plan.deployment.allocation
            if allocation is None:
                return ideal[figure](plan)
            return EXPLAIN_ENGINE[figure](allocation)

        return explain

    return {figure: either(figure) for figure in ideal}
