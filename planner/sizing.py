"""What would have to change: concrete ways to make a load fit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from planner.arrays import ceil_div
from planner.cost.limits import largest_context, most_sequences
from planner.deployment import Deployment, rank_memory
from planner.engines import EngineSettings
from planner.fewest import fewest_devices
from planner.layouts import given_sizes
from planner.model import Execution
from planner.model.schemes import weight_scheme
from planner.model.storage import CACHE_FORMATS
from planner.units import format_bytes

_SMALLER_WEIGHTS = ("fp8", "int4")
_LARGE_SHARE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """One change that would help, with what it gives.

    Parameters
    ----------
    text : str
        For people.
    change : dict
        Command-line flags and their new values.
    total_bytes : int
        Memory of the fullest device after the change. [bytes]
    fits : bool
        Whether the load then fits.
    """

    text: str
    change: dict[str, int | str]
    total_bytes: int
    fits: bool


def suggestions(deployment: Deployment) -> tuple[Suggestion, ...]:
    """Return changes that make a load fit, or bring it nearer, cheapest for the user first.

    Parameters
    ----------
    deployment : Deployment
        One that does not fit.

    Returns
    -------
    tuple of Suggestion
        Flags of the engine, smaller cache, fewer sequences, shorter context, smaller weights, more
        devices.
    """
    found = [
        *_engine_flags(deployment),
        *_smaller_cache(deployment),
        *_smaller_load(deployment),
        *_smaller_weights(deployment),
        *_more_devices(deployment),
    ]
    return tuple(sorted(found, key=lambda suggestion: not suggestion.fits))


def _with(deployment: Deployment, execution: Execution) -> tuple[int, bool]:
    memory = rank_memory(deployment.scenario, execution)
    sequences = int(ceil_div(deployment.load.sequences, execution.layout.dp))
    total = int(memory.use(deployment.load.context, sequences).total_bytes)
    return total, total <= memory.capacity_bytes


def _engine_flags(deployment: Deployment) -> Iterator[Suggestion]:
    """What costs nothing: shorter requests admitted, and more of the device for the engine."""
    allocation, settings = deployment.allocation, deployment.scenario.engine
    if allocation is None or settings is None:
        return
    longest = allocation.pool.max_context_tokens
    admitted = allocation.pool.max_model_len
    if longest is not None and deployment.load.context <= longest < admitted:
        yield _flagged(
            deployment,
            replace(settings, max_model_len=longest),
            {"--max-model-len": longest},
            f"Admit requests of at most {longest:,} tokens",
        )
    share = settings.gpu_memory_utilization
    if settings.kv_pool_bytes is None and (share is None or share < _LARGE_SHARE):
        found = _flagged(
            deployment,
            replace(settings, gpu_memory_utilization=_LARGE_SHARE),
            {"--gpu-memory-utilization": f"{_LARGE_SHARE:g}"},
            f"Let the engine take {_LARGE_SHARE:.0%} of the device",
        )
        use = deployment.memory.use(deployment.load.context, deployment.replica_sequences)
        if found.total_bytes < use.total_bytes:
            yield found


def _flagged(
    deployment: Deployment, settings: EngineSettings, change: dict[str, int | str], text: str
) -> Suggestion:
    scenario = replace(deployment.scenario, engine=settings)
    memory = rank_memory(scenario, deployment.execution)
    total = int(memory.use(deployment.load.context, deployment.replica_sequences).total_bytes)
    fits = total <= memory.capacity_bytes
    return Suggestion(
        text=f"{text}: {_phrase(total, fits)}.", change=change, total_bytes=total, fits=fits
    )


def _phrase(total: int, fits: bool) -> str:
    return f"{format_bytes(total)} per device, {'fits' if fits else 'still too much'}"


def _smaller_cache(deployment: Deployment) -> Iterator[Suggestion]:
    cache = CACHE_FORMATS["fp8"]
    if deployment.execution.cache.bits <= cache.bits:
        return
    total, fits = _with(deployment, replace(deployment.execution, cache=cache))
    if (
        total
        < deployment.memory.use(deployment.load.context, deployment.replica_sequences).total_bytes
    ):
        yield Suggestion(
            text=f"Keep keys and values in fp8: {_phrase(total, fits)}.",
            change={"--kv-cache-dtype": "fp8"},
            total_bytes=total,
            fits=fits,
        )


def _smaller_load(deployment: Deployment) -> Iterator[Suggestion]:
    memory, load = deployment.memory, deployment.load
    fewer = most_sequences(memory, load.context).value
    if fewer and fewer < deployment.replica_sequences:
        total = int(memory.use(load.context, fewer).total_bytes)
        sequences = fewer * deployment.layout.dp
        yield Suggestion(
            text=f"Run {sequences:,} sequences at a time: {_phrase(total, True)}.",
            change={"--sequences": sequences},
            total_bytes=total,
            fits=True,
        )
    shorter = largest_context(memory, deployment.replica_sequences).value
    if shorter and shorter < load.context and shorter > (load.osl or 0):
        total = int(memory.use(shorter, deployment.replica_sequences).total_bytes)
        yield Suggestion(
            text=f"Limit the context to {shorter:,} tokens: {_phrase(total, True)}.",
            change={"--context": shorter, **_shorter_prompt(deployment, shorter)},
            total_bytes=total,
            fits=True,
        )


def _shorter_prompt(deployment: Deployment, context: int) -> dict[str, int | str]:
    """What a given prompt length becomes where prompt and output no longer fit together."""
    given, output = deployment.scenario.isl, deployment.load.osl or 0
    if given is None or deployment.load.isl + output <= context:
        return {}
    return {"--isl": context - output}


def _smaller_weights(deployment: Deployment) -> Iterator[Suggestion]:
    now = deployment.execution.weights.quantised.bits
    for name in _SMALLER_WEIGHTS:
        scheme = weight_scheme(deployment.scenario.model, name)
        if scheme.quantised.bits >= now:
            continue
        total, fits = _with(deployment, replace(deployment.execution, weights=scheme))
        yield Suggestion(
            text=f"Store the weights in {name}: {_phrase(total, fits)}.",
            change={"--weights": name},
            total_bytes=total,
            fits=fits,
        )
        if fits:
            return


def _more_devices(deployment: Deployment) -> Iterator[Suggestion]:
    fleet = fewest_devices(deployment)
    if fleet is None:
        return
    total, fits = _with(deployment, replace(deployment.execution, layout=fleet.layout))
    yield Suggestion(
        text=f"Use {fleet.devices:,} devices ({fleet.sizes}): {_phrase(total, fits)}.",
        change={"-n": fleet.devices, **fleet.flags(given_sizes(deployment.scenario))},
        total_bytes=total,
        fits=fits,
    )
