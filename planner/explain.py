"""Explanations of every figure of a plan, by the figure's path."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from planner.cost.memory import explain_cache, explain_weights
from planner.cost.step_times import explain_times
from planner.engines.explained import EXPLAIN_ENGINE
from planner.explanation import Explanation, Term
from planner.model.placement import checkpoint_bytes, copied_bytes, multi_token_bytes
from planner.units import format_bytes

if TYPE_CHECKING:
    from planner.fewest import Fewest
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


def _offload_bandwidth(plan: Plan) -> Explanation:
    link = plan.deployment.links.offload
    given = plan.deployment.execution.offload.bandwidth_bytes_per_s
    return Explanation(
        figure="memory.offload.bandwidth_bytes_per_s",
        meaning="What one device draws from where the offloaded part lives, at the link's peak.",
        formula="the host link's bandwidth, or what was given where that is less",
        substituted="nothing is offloaded"
        if link is None
        else f"{link.kind}" + (f", {given:,} B/s given" if given else ""),
        value=None if link is None else link.per_direction_bytes_per_s,
        unit="bytes/s",
    )


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


def _pool_tokens(figure: str) -> Explain:
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


def _by_engine(ideal: Mapping[str, Explain]) -> dict[str, Explain]:
    """Return the engine's own explanations where one was named, else those of none."""

    def either(figure: str) -> Explain:
        def explain(plan: Plan) -> Explanation:
            allocation = plan.deployment.allocation
            if allocation is None:
                return ideal[figure](plan)
            return EXPLAIN_ENGINE[figure](allocation)

        return explain

    return {figure: either(figure) for figure in ideal}


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


def _largest_context(figure: str) -> Explain:
    def explain(plan: Plan) -> Explanation:
        limit = plan.largest_context
        return Explanation(
            figure=figure,
            meaning="Longest context at which the given sequences fit together, at most what the "
            "model's positions are good for.",
            formula="max n ≤ usable context with total_bytes(n, sequences) ≤ capacity",
            substituted=f"{plan.deployment.replica_sequences:,} sequences per replica; "
            f"limited by {limit.limited_by}",
            value=limit.value,
            unit="tokens",
        )

    return explain


def _most_sequences(plan: Plan) -> Explanation:
    limit = plan.most_sequences
    return Explanation(
        figure="capacity.most_sequences",
        meaning="Most sequences of the given context over all replicas.",
        formula="dp · max s with total_bytes(context, s) ≤ capacity",
        substituted=f"{plan.deployment.layout.dp} replicas at "
        f"{plan.deployment.load.context:,} tokens; limited by {limit.limited_by}",
        value=limit.value,
        unit="sequences",
    )


def _fewest_devices(figure: str, value: Callable[[Fewest], int]) -> Explain:
    def explain(plan: Plan) -> Explanation:
        fleet = plan.fewest_devices
        return Explanation(
            figure=figure,
            meaning="Fewest devices of this kind that hold the load.",
            formula="min over admitted tp · pp · attention_dp ≤ 64 of tp · pp · dp, "
            "dp = attention_dp · ⌈sequences / (attention_dp · most sequences of a rank)⌉",
            substituted="none holds one sequence" if fleet is None else fleet.sizes,
            value=value(fleet) if fleet else None,
            unit="devices",
        )

    return explain


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


def _step(phase: str, field: str) -> Explain:
    return lambda plan: getattr(plan, phase).explain(field)


TIMES = ("time_s", "time_p10_s", "time_p90_s")


def _time(phase: str, field: str) -> Explain:
    def explain(plan: Plan) -> Explanation:
        times = getattr(plan, f"{phase}_times")
        if times is None:
            return replace(getattr(plan, phase).explain("floor_s"), figure=field)
        return explain_times(getattr(plan, phase), times, field)

    return explain


def _tokens_per_s(phase: str) -> Explain:
    def explain(plan: Plan) -> Explanation:
        cost, times = getattr(plan, phase), getattr(plan, f"{phase}_times")
        time_s = float(times.time_s if times else cost.floor_s)
        return Explanation(
            figure=f"{phase}.tokens_per_s",
            meaning="Tokens per second of one replica at the step's time."
            if times
            else "Tokens per second of one replica at the floor time; a ceiling.",
            formula="tokens of the step / time_s",
            substituted=f"{cost.step.tokens:,} / {time_s:.6g}",
            value=cost.step.tokens / time_s,
            unit="tokens/s",
        )

    return explain


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
    "memory.offload.bandwidth_bytes_per_s": _offload_bandwidth,
    **_by_engine(
        {
            "engine.cache_pool_bytes": _pool,
            "engine.block_tokens": _block,
            "engine.blocks": _pool_tokens("engine.blocks"),
            "engine.reported_cache_tokens": _pool_tokens("engine.reported_cache_tokens"),
            "engine.max_concurrency": _concurrency,
            "engine.max_context_tokens": _largest_context("engine.max_context_tokens"),
        }
    ),
    **{
        f"{phase}.{field}": _step(phase, field)
        for phase in ("prefill", "decode")
        for field in ("flop", "read_bytes", "write_bytes", "floor_s", "bound")
    },
    **{
        f"{phase}.{field}": _time(phase, field)
        for phase in ("prefill", "decode")
        for field in TIMES
    },
    "prefill.tokens_per_s": _tokens_per_s("prefill"),
    "decode.tokens_per_s": _tokens_per_s("decode"),
    "capacity.largest_context_tokens": _largest_context("capacity.largest_context_tokens"),
    "capacity.most_sequences": _most_sequences,
    "capacity.fewest_devices": _fewest_devices(
        "capacity.fewest_devices", lambda fleet: fleet.devices
    ),
    "capacity.fewest_devices_tp": _fewest_devices(
        "capacity.fewest_devices_tp", lambda fleet: fleet.layout.tp
    ),
    "capacity.fewest_devices_pp": _fewest_devices(
        "capacity.fewest_devices_pp", lambda fleet: fleet.layout.pp
    ),
    "capacity.fewest_devices_dp": _fewest_devices(
        "capacity.fewest_devices_dp", lambda fleet: fleet.layout.dp
    ),
    "capacity.fewest_devices_ep": _fewest_devices(
        "capacity.fewest_devices_ep", lambda fleet: fleet.layout.ep
    ),
    "verdict.fits": _fits,
    "verdict.headroom_bytes": _headroom,
}
"""Path of a figure in :meth:`planner.plan.Plan.to_dict` → its explanation."""
