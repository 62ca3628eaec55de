"""Explanations of every figure of a plan, by the figure's path."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from planner.cost.memory import explain_cache, explain_weights
from planner.explain_limits import LIMITS, largest_context, offload_bandwidth
from planner.explain_pool import EXPLAIN_POOL, by_engine
from planner.explain_steps import STEPS
from planner.explanation import Explanation, Term
from planner.model.placement import checkpoint_bytes, copied_bytes, multi_token_bytes
from planner.units import format_bytes

if TYPE_CHECKING:
    from planner.plan import Plan

Explain = Callable[["Plan"], Explanation]


def _parameters(plan: Plan, *, active: bool) -> Explanation:
    model = plan.model
    terms = [
        Term(
            label=f"{layer} · {tensor.name}",
            value=(tensor.active_elements if active else tensor.parameters) * count,
            detail=f"{count} × {'×'.join(map(str, tensor.shape))}"
            + (
                f", {tensor.visited[0]} of {tensor.visited[1]} experts"
                if active and tensor.visited
                else ""
            ),
        )
        for layer, tensor, count in model.tensors
        if tensor.parameters
    ]
    value = model.active_parameters if active else model.parameters
    return Explanation(
        figure="model.active_parameters" if active else "model.parameters",
        meaning="Parameters without the routed experts that a token does not visit."
        if active
        else "All parameters, a tied head counted once.",
        formula="Σ over tensors: occurrences · Π shape"
        + (" · top_k / experts for routed experts" if active else ""),
        substituted=f"{len(terms)} kinds of tensor",
        value=value,
        unit="parameters",
        terms=tuple(terms),
        sources=tuple(model.sources),
    )


def _layers(plan: Plan) -> Explanation:
    groups = plan.model.groups
    return Explanation(
        figure="model.layers",
        meaning="Layers of the stack.",
        formula="Σ over kinds of layer: occurrences",
        substituted=" + ".join(f"{count} {layer.name}" for layer, count in groups),
        value=len(plan.model.layers),
        unit="layers",
        terms=tuple(Term(label=layer.name, value=count) for layer, count in groups),
        sources=tuple(plan.model.sources),
    )


def _usable_context(plan: Plan) -> Explanation:
    usable = plan.model.usable_context
    positions = plan.model.positions
    said = "none" if usable is None else f"{usable:,}"
    return Explanation(
        figure="model.usable_context_tokens",
        meaning="Tokens that the model's positions are declared good for.",
        formula="as the configuration declares; none where nothing limits positions",
        substituted=said if positions is None else f"{said}. {positions.basis()}",
        value=usable,
        unit="tokens",
        sources=tuple(plan.model.sources),
    )


def _per_token(plan: Plan) -> Explanation:
    execution = plan.deployment.execution
    terms = tuple(
        Term(
            label=f"{layer} · {cache.kind}",
            value=cache.token_bytes(execution, tp=1) * count,
            detail=f"{count} layers × {cache.token_bytes(execution, tp=1):,} B",
        )
        for layer, cache, count in plan.model.caches
    )
    return Explanation(
        figure="memory.architectural.cache_bytes_per_token",
        meaning="What one token leaves in all layers while every window still has room.",
        formula="Σ over caches: layers · kv_heads · (key_dim + value_dim) · bytes",
        substituted=" + ".join(f"{term.value:,.0f}" for term in terms) or "0",
        value=plan.model.cache_bytes_per_token(execution),
        unit="bytes/token",
        terms=terms,
        sources=("ainslie-2023", "shazeer-2019"),
    )


def _state(plan: Plan) -> Explanation:
    execution = plan.deployment.execution
    terms = tuple(
        Term(
            label=f"{layer} · {cache.kind}",
            value=cache.sequence_bytes(0, execution, tp=1) * count,
            detail=f"{count} layers",
        )
        for layer, cache, count in plan.model.caches
        if cache.sequence_bytes(0, execution, tp=1)
    )
    return Explanation(
        figure="memory.architectural.state_bytes_per_sequence",
        meaning="What a sequence takes at any context: recurrent states, convolution columns.",
        formula="Σ over states: layers · elements · bytes",
        substituted=" + ".join(format_bytes(term.value) for term in terms) or "0",
        value=plan.model.state_bytes(execution),
        unit="bytes",
        terms=terms,
        sources=("dao-2024",),
    )


def _architectural_cache(plan: Plan) -> Explanation:
    deployment = plan.deployment
    load = deployment.load
    return explain_cache(plan.model, deployment.execution, load.context, load.sequences)


def _per_device(field: str) -> Explain:
    def explain(plan: Plan) -> Explanation:
        deployment = plan.deployment
        return deployment.memory.explain(
            field, deployment.load.context, deployment.replica_sequences
        )

    return explain


def _capacity(plan: Plan) -> Explanation:
    device = plan.deployment.scenario.hardware.device
    return device.explain(f"memory.{device.capacity_basis}_capacity")


def _headroom(plan: Plan) -> Explanation:
    return Explanation(
        figure="verdict.headroom_bytes",
        meaning="Capacity left on the fullest device; negative if the load does not fit.",
        formula="capacity_bytes - total_bytes",
        substituted=f"{plan.capacity_bytes:,} - {int(plan.memory.total_bytes):,}",
        value=plan.headroom_bytes,
        unit="bytes",
    )


def _fits(plan: Plan) -> Explanation:
    return Explanation(
        figure="verdict.fits",
        meaning="Whether the fullest device holds its share.",
        formula="total_bytes ≤ capacity_bytes",
        substituted=f"{int(plan.memory.total_bytes):,} ≤ {plan.capacity_bytes:,}",
        value=plan.fits,
        unit="1",
    )


def _architectural_weights(plan: Plan) -> Explanation:
    return explain_weights(plan.model, plan.deployment.execution)


def _checkpoint(plan: Plan) -> Explanation:
    execution = plan.deployment.execution
    scheme = execution.weights
    sizes = {
        "weights": plan.model.weights_bytes(execution),
        "multi-token prediction, not loaded": multi_token_bytes(plan.model, scheme),
        "copies of token table and head": copied_bytes(plan.model, scheme),
    }
    terms = tuple(Term(label=name, value=size) for name, size in sizes.items() if size)
    return Explanation(
        figure="model.checkpoint_bytes",
        meaning="What the files of the checkpoint hold, without their headers.",
        formula=" + ".join(term.label for term in terms),
        substituted=" + ".join(f"{term.value:,}" for term in terms),
        value=checkpoint_bytes(plan.model, scheme),
        unit="bytes",
        terms=terms,
        sources=tuple(plan.model.sources),
    )


EXPLAIN: Mapping[str, Explain] = {
    "model.parameters": lambda plan: _parameters(plan, active=False),
    "model.active_parameters": lambda plan: _parameters(plan, active=True),
    "model.layers": _layers,
    "model.usable_context_tokens": _usable_context,
    "model.checkpoint_bytes": _checkpoint,
    "memory.architectural.weights_bytes": _architectural_weights,
    "memory.architectural.cache_bytes": _architectural_cache,
    "memory.architectural.cache_bytes_per_token": _per_token,
    "memory.architectural.state_bytes_per_sequence": _state,
    **{
        f"memory.per_device.{field}": _per_device(field)
        for field in (
            "weights_bytes",
            "cache_bytes",
            "activations_bytes",
            "runtime_bytes",
            "graphs_bytes",
            "reserve_bytes",
            "total_bytes",
        )
    },
    "memory.per_device.capacity_bytes": _capacity,
    "memory.offload.weights_bytes": _per_device("offloaded_weights_bytes"),
    "memory.offload.cache_bytes": _per_device("offloaded_cache_bytes"),
    "memory.offload.bandwidth_bytes_per_s": offload_bandwidth,
    **by_engine(
        {
            **EXPLAIN_POOL,
            "engine.max_context_tokens": largest_context("engine.max_context_tokens"),
        }
    ),
    **STEPS,
    **LIMITS,
    "verdict.fits": _fits,
    "verdict.headroom_bytes": _headroom,
}
"""Path of a figure in :meth:`planner.plan.Plan.to_dict` → its explanation."""
