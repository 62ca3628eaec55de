"""Random replicas under random loads, drawn by a seed, with figures of both ways to answer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from planner import Scenario, load_hardware, load_model
from planner.cost.roofline import step_cost
from planner.deployment import resolve
from planner.serving.arrivals import ClosedLoop, Poisson
from planner.serving.capacity import Capacity, ReplicaCapacity
from planner.serving.lengths import Exponential, Fixed, Lengths, Lognormal
from planner.serving.load_shape import LoadShape, load_shape
from planner.serving.outcome import Outcome
from planner.serving.paged_pool import CachePool
from planner.serving.replica import ReplicaSettings
from planner.serving.simulator import simulate
from planner.serving.step_table import StepTable, tabulate
from planner.serving.workload import Workload

MACHINES = (
    ("llama-3.1-8b", "h100-sxm"),
    ("llama-3.1-8b", "l40s"),
    ("llama-3.1-70b", "8x-h100-sxm"),
)


@cache
def machine(at: int) -> StepTable:
    """Floor times of a model on a machine, all of it one replica."""
    model, hardware = load_model(MACHINES[at][0]), load_hardware(MACHINES[at][1])
    deployment = resolve(Scenario(model=model, hardware=hardware, tp=hardware.devices))
    return tabulate(
        lambda step: (
            step_cost(model, step, deployment.execution, hardware.device, deployment.links).floor_s
        ),
        max_batch=256,
        max_step_tokens=8192,
        max_context=131_072,
    )


@dataclass(frozen=True)
class Compared:
    """One scenario, answered twice."""

    name: str
    shape: LoadShape
    closed: Capacity
    simulated: Outcome
    rate_per_s: float


def _lengths(draw: np.random.Generator, mean: float) -> Lengths:
    kind = draw.integers(3)
    if kind == 0:
        return Fixed(int(mean))
    if kind == 1:
        return Exponential(mean, most=int(8 * mean))
    sigma = draw.uniform(0.3, 1.0)
    return Lognormal(mean / np.exp(sigma**2 / 2), sigma, most=int(10 * mean))


def _longest(lengths: Lengths) -> int:
    return lengths.tokens if isinstance(lengths, Fixed) else int(getattr(lengths, "most"))  # noqa: B009


def compared(seed: int, *, requests: int = 5000) -> Compared:
    """Draw a scenario; most loads are between a tenth and 85 % of what the replica bears."""
    draw = np.random.default_rng(seed)
    times = machine(int(draw.integers(len(MACHINES))))
    prompt = _lengths(draw, float(np.exp(draw.uniform(np.log(50), np.log(8000)))))
    output = _lengths(draw, float(np.exp(draw.uniform(np.log(20), np.log(1500)))))
    slots, tokens = int(draw.choice([16, 64, 128, 256])), int(draw.choice([512, 2048, 8192]))
    room = max(
        (prompt.mean + output.mean) * slots * draw.uniform(0.3, 3),
        1.05 * (_longest(prompt) + _longest(output)),
        10 * (prompt.mean + output.mean),
    )
    settings = ReplicaSettings(
        max_num_seqs=slots,
        max_num_batched_tokens=tokens,
        pool=CachePool(blocks=int(room / 16)),
    )
    load = Workload(prompt=prompt, output=output, arrivals=Poisson(1))
    shape = load_shape(load)
    replica = ReplicaCapacity.of(times, shape, settings)
    if draw.random() < 0.5:
        users = max(1, int(slots * draw.uniform(0.1, 1.5)))
        answer = replica.at_users(users)
        load = Workload(prompt=prompt, output=output, arrivals=ClosedLoop(users))
    else:
        rate = float(draw.uniform(0.1, 0.85)) * replica.most_rate_per_s
        answer = replica.at_rate(rate)
        load = load.at_rate(rate)
    outcome = simulate(times, settings, load.draw(requests, seed=seed))
    finished = np.sort(outcome.finish_s)
    start, end = finished[int(0.15 * requests)], finished[int(0.9 * requests)]
    measured = 0.75 * requests / (end - start)
    return Compared(
        name=f"{seed}: {prompt} {output} {settings} {load.arrivals}",
        shape=shape,
        closed=answer,
        simulated=outcome,
        rate_per_s=measured,
    )
