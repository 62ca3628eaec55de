"""The simulator where theory is exact: one server, M/G/infinity and a closed loop, within 2 %."""

from __future__ import annotations

from math import factorial

import pytest

from planner.serving.arrivals import ClosedLoop, Poisson
from planner.serving.lengths import Exponential, Fixed, Lengths
from planner.serving.paged_pool import CachePool
from planner.serving.replica import ReplicaSettings
from planner.serving.simulator import simulate
from planner.serving.workload import Workload
from tests.serving.made_up_times import constant_times

STEP_S = 0.01
OUTPUT = 400
ONE = ReplicaSettings(max_num_seqs=1, max_num_batched_tokens=64, pool=CachePool(blocks=None))


@pytest.mark.slow
@pytest.mark.parametrize("output", [Exponential(OUTPUT), Fixed(OUTPUT)], ids=["M/M/1", "M/D/1"])
@pytest.mark.parametrize("load", [0.3, 0.6])
def test_wait_of_one_server(output: Lengths, load: float) -> None:
    rate = load / (OUTPUT * STEP_S)
    workload = Workload(prompt=Fixed(1), output=output, arrivals=Poisson(rate))
    outcome = simulate(constant_times(STEP_S), ONE, workload.draw(400_000, seed=4))
    wait_s = rate * output.second_moment * STEP_S**2 / (2 * (1 - load))
    assert outcome.values("queue_s").mean() == pytest.approx(wait_s, rel=0.02)
    assert outcome.mean_queue == pytest.approx(rate * wait_s, rel=0.02)
    assert outcome.utilisation == pytest.approx(load, rel=0.02)


@pytest.mark.parametrize("users", [1, 3, 10, 40])
def test_throughput_of_a_closed_loop(users: int) -> None:
    service_s, think_s = OUTPUT * STEP_S, 10 * OUTPUT * STEP_S
    workload = Workload(
        prompt=Fixed(1), output=Exponential(OUTPUT), arrivals=ClosedLoop(users, think_s)
    )
    outcome = simulate(constant_times(STEP_S), ONE, workload.draw(60_000, seed=1))
    ratio = service_s / think_s
    idle = 1 / sum(factorial(users) / factorial(users - k) * ratio**k for k in range(users + 1))
    assert outcome.requests_per_s == pytest.approx((1 - idle) / service_s, rel=0.02)


def test_sequences_in_flight_without_a_limit() -> None:
    many = ReplicaSettings(
        max_num_seqs=4000, max_num_batched_tokens=8000, pool=CachePool(blocks=None)
    )
    times = constant_times(STEP_S, max_batch=4000, max_step_tokens=8000)
    workload = Workload(prompt=Fixed(1), output=Exponential(OUTPUT), arrivals=Poisson(20))
    outcome = simulate(times, many, workload.draw(40_000, seed=1))
    assert outcome.mean_state("running") == pytest.approx(20 * OUTPUT * STEP_S, rel=0.02)
