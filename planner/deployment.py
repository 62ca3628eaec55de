"""A scenario with every open choice made: formats, layout, load. Each choice is on record."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from planner.arrays import ceil_div
from planner.assumptions import standing_assumptions
from planner.cost.limits import MOST_SEQUENCES, MOST_TOKENS
from planner.cost.links import Links
from planner.cost.memory import RankMemory
from planner.engines import LONGEST, Allocation, EngineMemory, allocate, casts_fp32
from planner.equipment import at_rest, equipped, image_tokens_in_prompt
from planner.errors import PrecisionError, ScenarioError
from planner.hardware import Device, load_runtime
from planner.layouts import given_sizes, possible_layouts
from planner.model import Execution, Layout
from planner.model.admission import check_layout
from planner.model.schemes import weight_scheme
from planner.model.storage import (
    COMPUTE_FORMATS,
    Format,
    WeightScheme,
    cache_format,
    find_format,
)
from planner.offloading import check_room, offload_link
from planner.scenario import DEFAULT_CONTEXT_TOKENS, DEFAULT_STEP_TOKENS, Scenario
from planner.units import parse_count

AUTO = "auto"
"""A format of the cache that leaves the choice to the engine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What is in flight.

    Parameters
    ----------
    context : int
        Tokens in each cache. [tokens]
    isl : int
        Prompt tokens. [tokens]
    osl : int or None
        Output tokens, where given. [tokens]
    sequences : int
        Sequences over all replicas. [1]
    """

    context: int
    isl: int
    osl: int | None
    sequences: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A scenario ready to be computed.

    Parameters
    ----------
    scenario : Scenario
        The question as asked.
    execution : Execution
        Formats and layout.
    load : Load
        What is in flight.
    links : Links
        What joins the ranks of each group.
    memory : RankMemory or EngineMemory
        Memory of the fullest rank.
    assumptions, warnings : tuple of str
        What was assumed, and what the reader should know.
    """

    scenario: Scenario
    execution: Execution
    load: Load
    links: Links
    memory: RankMemory | EngineMemory
    assumptions: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def layout(self) -> Layout:
        """Parallel sizes."""
        return self.execution.layout

    @property
    def allocation(self) -> Allocation | None:
        """What the engine takes; None without an engine."""
        return self.memory.allocation if isinstance(self.memory, EngineMemory) else None

    @property
    def replica_sequences(self) -> int:
        """Sequences of the fullest replica. [1]."""
        return int(ceil_div(self.load.sequences, self.layout.dp))


def resolve(scenario: Scenario) -> Deployment:
    """Make every choice that a scenario leaves open.

    Parameters
    ----------
    scenario : Scenario
        The question.

    Returns
    -------
    Deployment
        With the choices named in ``assumptions``.

    Raises
    ------
    ScenarioError
        A number is out of range, or numbers contradict each other.
    LayoutError
        The model or the devices do not admit the layout.
    PrecisionError
        A format is unknown, or the device has no rate for it.
    """
    assumptions: list[str] = []
    scenario = equipped(scenario)
    warnings = list(scenario.model.warnings)
    load = _resolve_load(scenario, assumptions, warnings)
    execution = _resolve_formats(scenario, assumptions)
    memory = _resolve_layout(scenario, execution, load, assumptions)
    device = scenario.hardware.device
    links = replace(
        Links.of(scenario.hardware, memory.layout),
        offload=offload_link(scenario.offload, scenario.hardware),
    )
    sequences = int(ceil_div(load.sequences, memory.layout.dp))
    use = memory.use(load.context, sequences)
    warnings.extend(check_room(scenario.offload, scenario.hardware, use))
    warnings.extend(dict.fromkeys(links.notes(scenario.hardware)))
    if device.capacity_basis != "visible":
        warnings.append(
            f"No driver-visible capacity is known for {device.name}; the "
            f"{device.capacity_basis} figure is used and may be too high."
        )
    warnings.extend(_unverified(device, memory.execution))
    if isinstance(memory, EngineMemory):
        warnings.extend(memory.allocation.warnings)
        _check_load(load, memory)
    return Deployment(
        scenario=scenario,
        execution=memory.execution,
        load=load,
        links=links,
        memory=memory,
        assumptions=(
            *assumptions,
            *at_rest(scenario.model),
            *standing_assumptions(memory, load.sequences * load.context),
        ),
        warnings=tuple(warnings),
    )


def _resolve_load(scenario: Scenario, assumptions: list[str], warnings: list[str]) -> Load:
    isl = _count(scenario.isl, "--isl")
    osl = _count(scenario.osl, "--osl")
    context = _count(scenario.context, "--context")
    usable = scenario.model.usable_context
    longest = _longest_request(scenario, usable)
    asked = (isl or 0) + (osl or 0)
    if context is None and isl is not None:
        context = asked
    elif context is None:
        context = min(DEFAULT_CONTEXT_TOKENS, longest or DEFAULT_CONTEXT_TOKENS)
        assumptions.append(f"No context was given: {context:,} tokens are assumed.")
    elif asked > context:
        raise ScenarioError(
            "prompt and output do not fit into the context",
            where="--isl + --osl",
            got=asked,
            allowed=f"at most --context = {context:,}",
            fix="Raise --context, or leave it away.",
        )
    if usable is not None and context > usable:
        positions = scenario.model.positions
        why = f" {positions.beyond(context)}" if positions else ""
        warnings.append(
            f"{context:,} tokens are beyond the {usable:,} that the positions of "
            f"{scenario.model.name} are good for.{why}"
        )
    prompt = isl if isl is not None else max(context - (osl or 0), 1)
    seen = image_tokens_in_prompt(scenario)
    if seen > prompt:
        raise ScenarioError(
            "the images do not fit into the prompt",
            where="--images · --image-tokens",
            got=seen,
            allowed=f"at most the prompt of {prompt:,} tokens, which holds images and text",
            fix="Raise --isl or --context.",
        )
    return Load(
        context=context,
        isl=prompt,
        osl=osl,
        sequences=parse_count(scenario.sequences, where="--sequences", most=MOST_SEQUENCES),
    )


def _check_load(load: Load, memory: EngineMemory) -> None:
    allocation = memory.allocation
    longest = allocation.pool.max_model_len
    if load.context > longest and not allocation.longest_asked:
        raise ScenarioError(
            "longer than the longest request that the engine admits",
            where="--context",
            got=load.context,
            allowed=f"at most --max-model-len = {longest:,}",
            fix="Raise --max-model-len, or shorten the context.",
        )


def _longest_request(scenario: Scenario, usable: int | None) -> int | None:
    """The engine's longest request where one was given, else what the positions admit."""
    given = None if scenario.engine is None else scenario.engine.max_model_len
    return usable if given is None or given == LONGEST else given


def _count(value: int | None, where: str) -> int | None:
    return None if value is None else parse_count(value, where=where, most=MOST_TOKENS - 1)


def _resolve_formats(scenario: Scenario, assumptions: list[str]) -> Execution:
    device = scenario.hardware.device
    scheme = weight_scheme(scenario.model, _loaded_format(scenario, assumptions))
    given = scenario.activations
    if given is not None:
        activations = find_format("activations", given, COMPUTE_FORMATS)
        stream = activations if activations.bits >= 16 else scheme.base
    else:
        stream = scheme.base
        activations = _operand(scheme, stream, device)
        if activations is not stream:
            assumptions.append(
                f"{scheme.name} weights are multiplied in {activations.name}, the activations "
                f"being quantised on the way."
            )
        elif scheme.quantised.bits < 16:
            assumptions.append(
                f"{scheme.name} weights are widened to {stream.name} before they are multiplied."
            )
    for fmt in {stream.name: stream, activations.name: activations}.values():
        device.rate(fmt.precision)
    cache = _cache_format(scenario, assumptions) or stream
    return Execution(
        weights=scheme,
        activations=activations,
        stream=stream,
        cache=cache,
        offload=scenario.offload,
    )


def _loaded_format(scenario: Scenario, assumptions: list[str]) -> str | None:
    """What is given, or what an engine makes of weights that it or the device cannot take."""
    checkpoint, rates = scenario.model.checkpoint, scenario.hardware.device.rates
    if scenario.weights is not None or scenario.engine is None or checkpoint.quantised is not None:
        return scenario.weights
    engine, loaded = scenario.engine.engine, checkpoint.dtype
    if loaded == "fp32" and casts_fp32(scenario.engine):
        loaded = "bf16"
    if loaded == "bf16" and "bf16" not in rates and "fp16" in rates:
        loaded = "fp16"
    if loaded == checkpoint.dtype:
        return None
    assumptions.append(
        f"The weights are published in {checkpoint.dtype}; {engine} loads them in {loaded}."
    )
    return loaded


def _cache_format(scenario: Scenario, assumptions: list[str]) -> Format | None:
    """What is given, or what a checkpoint brings scales for where an engine uses them."""
    name = scenario.kv_cache_dtype
    if name is not None and name != AUTO:
        return cache_format(name)
    brought = scenario.model.checkpoint.cache
    if scenario.engine is None or brought is None:
        return None
    assumptions.append(f"The checkpoint brings scales for a cache in {brought}, which is used.")
    return cache_format(brought)


def _operand(scheme: WeightScheme, stream: Format, device: Device) -> Format:
    """Eight-bit weights are multiplied in eight bits where the device can, others widened."""
    small = {fmt.precision for fmt in scheme.formats if fmt.bits < 16}
    bits = {fmt.bits for fmt in scheme.formats if fmt.bits < 16}
    precision = scheme.quantised.precision
    if small == {precision} and bits == {8} and precision in device.rates:
        return COMPUTE_FORMATS[precision]
    return stream


def rank_memory(scenario: Scenario, execution: Execution) -> RankMemory | EngineMemory:
    """Return the memory of the fullest rank under a layout.

    Parameters
    ----------
    scenario : Scenario
        Gives model, device, chunk size and engine.
    execution : Execution
        Formats and layout.

    Returns
    -------
    RankMemory or EngineMemory
        A function of context and sequences.

    Raises
    ------
    LayoutError
        The ranks do not divide the model.
    ScenarioError
        The engine does not admit its flags.
    """
    runtime, hardware = load_runtime(), scenario.hardware
    step_tokens = scenario.max_num_batched_tokens
    if step_tokens is not None:
        step_tokens = parse_count(step_tokens, where="--max-num-batched-tokens", most=2**24)
    if scenario.engine is not None and scenario.offload:
        raise ScenarioError(
            "an engine offloads by its own flags, which are not modelled",
            where="--offload-weights, --offload-cache",
            got=scenario.engine.engine,
            fix="Leave --engine away to plan with parts outside the device.",
        )
    if scenario.engine is None:
        return RankMemory.of(
            scenario.model,
            execution,
            runtime,
            capacity_bytes=hardware.device.capacity_bytes,
            step_tokens=step_tokens or DEFAULT_STEP_TOKENS,
        )
    if scenario.offload:
        raise ScenarioError(
            "what an engine keeps outside the device is not modelled",
            where="--offload-weights, --offload-cache",
            got=f"with --engine {scenario.engine.engine}",
            fix="Leave --engine away; llama.cpp's split is --engine-option n_gpu_layers=N.",
        )
    allocation = allocate(
        replace(scenario.engine, max_num_batched_tokens=step_tokens),
        scenario.model,
        execution,
        hardware,
        runtime,
        cache_given=scenario.kv_cache_dtype not in (None, AUTO),
    )
    return EngineMemory(
        model=scenario.model,
        execution=execution,
        runtime=runtime,
        capacity_bytes=hardware.device.capacity_bytes,
        allocation=allocation,
    )


def _resolve_layout(
    scenario: Scenario, execution: Execution, load: Load, assumptions: list[str]
) -> RankMemory | EngineMemory:
    layouts = possible_layouts(scenario)
    if len(layouts) > 1:
        admitted = [layout for layout in layouts if scenario.model.admits(layout)]
        layouts = tuple(admitted) or layouts[:1]
    for layout in layouts:
        check_layout(scenario.model, layout)
        memory = rank_memory(scenario, replace(execution, layout=layout))
        if memory.fits(load.context, ceil_div(load.sequences, layout.dp)):
            break
    if not given_sizes(scenario).keys() & {"tp", "dp"} and scenario.hardware.devices > 1:
        assumptions.append(
            f"The layout was chosen: the fewest tensor-parallel ranks that hold the load, or the "
            f"most the model admits (tp {layout.tp}, dp {layout.dp})."
        )
    return memory


def _unverified(device: Device, execution: Execution) -> Iterable[str]:
    rates = {f"rates.{fmt.precision}" for fmt in (execution.stream, execution.activations)}
    used = rates | {"memory.bandwidth", f"memory.{device.capacity_basis}_capacity"}
    for key in sorted(used & set(device.unverified)):
        yield f"{device.name}: the figure {key} has not been verified in its source."


__all__ = ["Deployment", "Load", "PrecisionError", "rank_memory", "resolve", "weight_scheme"]
