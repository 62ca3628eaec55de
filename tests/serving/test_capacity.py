"""The closed form against the simulator, and its parts against arithmetic by hand."""

from __future__ import annotations

import numpy as np
import pytest

from planner.serving.arrivals import Poisson
from planner.serving.capacity import ReplicaCapacity
from planner.serving.lengths import Exponential, Fixed
from planner.serving.load_shape import load_shape
from planner.serving.occupancy import (
    pool_limit,
    rereads_bound,
    resident_blocks,
    tokens_limit,
)
from planner.serving.paged_pool import CachePool
from planner.serving.replica import ReplicaSettings
from planner.serving.validity import FULL_POOL, LONG_PROMPTS, VALID
from planner.serving.workload import SharedPrefix, Workload
from tests.serving.made_up_times import constant_times, linear_times
from tests.serving.random_scenarios import compared

EACH = 20


@pytest.mark.slow
@pytest.mark.parametrize("part", range(10))
def test_200_random_scenarios_against_the_simulator(part: int) -> None:
    """Throughput and concurrency within 10 % wherever the closed form says that it is valid."""
    valid = []
    for seed in range(part * EACH, (part + 1) * EACH):
        found = compared(seed, requests=20_000)
        closed, simulated = found.closed, found.simulated
        running = simulated.mean_state("running")
        assert running <= closed.concurrency_limit * 1.1, found.name
        most = rereads_bound(found.shape) * simulated.arrival_s.size
        assert simulated.preemptions <= 1.1 * most + 5, found.name
        valid.append(closed.doubt == VALID)
        if valid[-1]:
            assert closed.rate_per_s == pytest.approx(found.rate_per_s, rel=0.1), found.name
            assert closed.concurrency == pytest.approx(running, rel=0.1), found.name
    assert sum(valid) >= 0.6 * EACH, valid


def test_what_the_closed_form_does_not_know_is_said() -> None:
    full = ReplicaSettings(
        max_num_seqs=256, max_num_batched_tokens=2048, pool=CachePool(blocks=2000)
    )
    crowded = ReplicaCapacity.of(linear_times(256, 2048), load_shape(load()), full).at_users(256)
    assert crowded.doubt == FULL_POOL
    assert replica().at_users(16).doubt == VALID
    reading = load_shape(load(prompt=Fixed(8000), output=Fixed(20)))
    small = ReplicaSettings(
        max_num_seqs=32, max_num_batched_tokens=512, pool=CachePool(blocks=None)
    )
    assert ReplicaCapacity.of(linear_times(), reading, small).at_rate(0.1).doubt == LONG_PROMPTS


def load(**fields: object) -> Workload:
    return Workload(
        **{"prompt": Fixed(1000), "output": Exponential(500), "arrivals": Poisson(1), **fields}  # type: ignore[arg-type]
    )


def test_a_resident_takes_its_mean_tokens_and_half_a_block() -> None:
    pool = CachePool(blocks=1000, block_tokens=16, sequence_blocks=2)
    assert resident_blocks(load_shape(load()), pool) == pytest.approx(2 + 1500 / 16 + 15 / 32)


def test_the_pool_holds_what_fits_less_half_a_prompt() -> None:
    pool = CachePool(blocks=16_000, block_tokens=1)
    shape = load_shape(load(output=Fixed(201)))
    assert pool_limit(shape, pool) == pytest.approx((16_000 - 500) / 1100.5)


def test_steps_run_out_of_tokens() -> None:
    assert tokens_limit(load_shape(load(output=Fixed(51))), 2100) == pytest.approx(100)


def test_a_prefix_in_the_cache_is_neither_read_nor_held_again() -> None:
    prefix = SharedPrefix(fraction=1.0, tokens=800, groups=2)
    shape = load_shape(load(prefix=prefix), block_tokens=16)
    assert shape.new_tokens.mean() == pytest.approx(200)
    assert shape.prompt_tokens == pytest.approx(1000)
    assert shape.private_fraction == pytest.approx(1 - 800 / 1500)
    plain = load_shape(load(prefix=prefix), prefix_caching=False)
    assert plain.new_tokens.mean() == pytest.approx(1000)


def replica(slots: int = 32) -> ReplicaCapacity:
    settings = ReplicaSettings(
        max_num_seqs=slots, max_num_batched_tokens=512, pool=CachePool(blocks=None)
    )
    return ReplicaCapacity.of(linear_times(), load_shape(load()), settings)


def test_rates_above_the_most_are_named() -> None:
    most = replica().most_rate_per_s
    over = replica().at_rate(1.2 * most)
    assert over.utilisation == pytest.approx(1.2)
    assert over.ttft_s == float("inf")
    assert over.rate_per_s == pytest.approx(most)
    under = replica().at_rate(0.5 * most)
    assert under.utilisation == pytest.approx(0.5)
    assert np.isfinite(under.ttft_s)


def test_more_load_is_never_faster() -> None:
    found = [
        replica().at_rate(share * replica().most_rate_per_s) for share in (0.1, 0.5, 0.8, 0.95)
    ]
    for name in ("tpot_s", "ttft_s", "concurrency", "utilisation", "wait_s"):
        figures = [getattr(each, name) for each in found]
        assert figures == sorted(figures), name


def test_users_are_thinking_waiting_or_in_flight() -> None:
    for users in (1, 8, 32, 100):
        found = replica().at_users(users, think_s=5.0)
        waiting = found.rate_per_s * found.wait_s
        assert found.concurrency + waiting + 5.0 * found.rate_per_s == pytest.approx(
            users, rel=0.02
        )


def test_a_constant_step_by_hand() -> None:
    settings = ReplicaSettings(
        max_num_seqs=10, max_num_batched_tokens=4000, pool=CachePool(blocks=None)
    )
    times = constant_times(0.01, max_batch=10, max_step_tokens=4000)
    shape = load_shape(load(output=Exponential(101)))
    found = ReplicaCapacity.of(times, shape, settings).at_users(10)
    # A prompt adds nothing to a step of constant time: ten requests every 101 steps of 10 ms.
    assert found.rate_per_s == pytest.approx(10 / 1.01, rel=0.01)
    assert found.tpot_s == pytest.approx(0.01, rel=0.01)
