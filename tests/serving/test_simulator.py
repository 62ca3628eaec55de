"""The simulator against a plain one, and its rules one by one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from planner.errors import ScenarioError
from planner.serving.arrivals import ClosedLoop, Poisson, Replay
from planner.serving.lengths import Exponential, Fixed, Lognormal
from planner.serving.paged_pool import CachePool
from planner.serving.replica import ReplicaSettings
from planner.serving.simulator import simulate, simulate_disaggregated
from planner.serving.workload import Requests, SharedPrefix, Workload
from tests.serving.made_up_times import constant_times, linear_times
from tests.serving.token_by_token import serve

ENDLESS = CachePool(blocks=None)
TIMES = linear_times()


def settings(slots: int = 64, tokens: int = 512, pool: CachePool = ENDLESS) -> ReplicaSettings:
    return ReplicaSettings(max_num_seqs=slots, max_num_batched_tokens=tokens, pool=pool)


def listed(*rows: tuple[float, int, int], **fields: list[int]) -> Requests:
    """Requests from (arrival, prompt, output)."""
    times, prompts, outputs = zip(*rows, strict=True)
    count = len(rows)

    def whole(name: str, otherwise: int) -> np.ndarray:
        return np.array(fields.get(name, [otherwise] * count), dtype=np.int64)

    return Requests(
        users=None,
        think_s=None,
        arrival_s=np.array(times, dtype=np.float64),
        prompt_tokens=np.array(prompts),
        output_tokens=np.array(outputs),
        prefix_group=whole("prefix_group", -1),
        prefix_tokens=whole("prefix_tokens", 0),
        priority=whole("priority", 0),
    )


@pytest.mark.parametrize("rate", [0.5, 4.0, 12.0])
@pytest.mark.parametrize(("slots", "tokens"), [(64, 512), (8, 96), (3, 512)])
def test_event_to_event_equals_step_by_step(rate: float, slots: int, tokens: int) -> None:
    load = Workload(
        prompt=Lognormal(150, 0.8, most=1500),
        output=Exponential(60, most=400),
        arrivals=Poisson(rate),
    )
    requests = load.draw(300, seed=5)
    first, finish = serve(TIMES, settings(slots, tokens), requests)
    fast = simulate(TIMES, settings(slots, tokens), requests)
    # Steps are linear in context here up to the interpolation between nodes.
    np.testing.assert_allclose(fast.first_token_s, first, rtol=2e-4)
    np.testing.assert_allclose(fast.finish_s, finish, rtol=2e-4)


def test_one_request_by_hand() -> None:
    outcome = simulate(constant_times(0.01), settings(tokens=100), listed((1.0, 250, 5)))
    # Three chunks of at most 100 tokens, then four decode steps.
    assert outcome.first_token_s[0] == pytest.approx(1.03)
    assert outcome.finish_s[0] == pytest.approx(1.07)


def test_deterministic_by_seed() -> None:
    load = Workload(prompt=Lognormal(100, 1), output=Exponential(50), arrivals=Poisson(10))
    runs = [simulate(TIMES, settings(), load.draw(500, seed=seed)).finish_s for seed in (1, 1, 2)]
    assert runs[0].tobytes() == runs[1].tobytes() != runs[2].tobytes()


def test_a_full_pool_puts_the_latest_back_and_everything_still_ends() -> None:
    pool = CachePool(blocks=40, block_tokens=16)
    load = Workload(prompt=Fixed(64), output=Fixed(200), arrivals=Poisson(20))
    requests = load.draw(60, seed=1)
    tight = simulate(TIMES, settings(pool=pool), requests)
    wide = simulate(TIMES, settings(), requests)
    assert tight.preemptions > 0 == wide.preemptions
    assert (tight.finish_s > tight.first_token_s).all()
    assert tight.finish_s.max() > wide.finish_s.max()
    # 640 tokens hold two whole requests of 264: never more than three growing at once for long.
    assert tight.replicas[0].history.blocks.max() <= 40
    assert tight.mean_state("running") < 6


@pytest.mark.parametrize("block", [1, 16, 256])
def test_blocks_add_up(block: int) -> None:
    pool = CachePool(blocks=20_000 // block, block_tokens=block, sequence_blocks=1)
    load = Workload(
        prompt=Lognormal(200, 1, most=3000), output=Exponential(80, most=900), arrivals=Poisson(30)
    )
    from planner.serving.intake import intake_of
    from planner.serving.replica import Replica

    requests = load.draw(400, seed=3)
    replica = Replica(TIMES, settings(pool=pool), requests, intake_of(requests))
    ledger = replica.run()
    assert replica.pool.used == 0
    assert replica.tokens == 0
    assert replica.pool.peak <= pool.blocks
    assert min(ledger.finish_s) > 0


def test_a_request_larger_than_the_pool_is_an_error() -> None:
    with pytest.raises(ScenarioError, match="even alone"):
        simulate(TIMES, settings(pool=CachePool(blocks=4)), listed((0, 100, 10)))


def test_urgent_requests_go_first() -> None:
    rows = [(0.0, 50, 400)] + [(0.1, 50, 100)] * 8
    plain = simulate(TIMES, settings(slots=1), listed(*rows))
    urgent = simulate(TIMES, settings(slots=1), listed(*rows, priority=[1] * 8 + [0]))
    assert np.argmin(plain.first_token_s[1:]) == 0
    assert np.argmin(urgent.first_token_s[1:]) == 7


def test_a_shared_prefix_is_read_once_and_held_once() -> None:
    rows = [(float(at), 320, 20) for at in range(6)]
    same = {"prefix_group": [0] * 6, "prefix_tokens": [300] * 6}
    apart = simulate(TIMES, settings(), listed(*rows))
    shared = simulate(TIMES, settings(), listed(*rows, **same))
    ttft = shared.first_token_s - shared.arrival_s
    assert ttft[0] == pytest.approx((apart.first_token_s - apart.arrival_s)[0])
    # 288 of 300 tokens are whole blocks of 16; 32 are read on top of them.
    expected = float(TIMES.prefill_time_s(32, 288))
    np.testing.assert_allclose(ttft[1:], expected, rtol=1e-6)


def test_unused_prefixes_leave_when_room_is_needed() -> None:
    pool = CachePool(blocks=30, block_tokens=16)
    rows = [(float(at), 320, 20) for at in range(6)]
    turns = {"prefix_group": [0, 1, 0, 1, 0, 1], "prefix_tokens": [300] * 6}
    outcome = simulate(TIMES, settings(pool=pool), listed(*rows, **turns))
    ttft = outcome.first_token_s - outcome.arrival_s
    np.testing.assert_allclose(ttft, ttft[0], rtol=1e-9)


def test_static_batches_wait_for_their_longest() -> None:
    rows = [(0.0, 10, 11), (0.0, 10, 101), (0.001, 10, 11)]
    outcome = simulate(constant_times(0.01), settings(slots=2), listed(*rows), static=True)
    assert outcome.finish_s[:2] == pytest.approx([0.11, 1.01])
    assert outcome.admitted_s[2] == pytest.approx(1.01)


def test_separate_prefill_keeps_decode_steps_short() -> None:
    load = Workload(prompt=Fixed(500), output=Fixed(50), arrivals=Poisson(20))
    requests = load.draw(400, seed=2)
    together = simulate(TIMES, settings(), requests, replicas=2)
    apart = simulate_disaggregated(
        (TIMES, settings(), 1), (TIMES, settings(), 1), requests, transfer_s=0.005
    )
    assert apart.percentile("tpot_s", 99) < together.percentile("tpot_s", 99)
    assert apart.prefill_utilisation is not None
    assert (apart.finish_s - apart.first_token_s >= 0.005).all()
    assert apart.output_tokens.tolist() == requests.output_tokens.tolist()


def test_overload_is_named() -> None:
    load = Workload(prompt=Fixed(100), output=Fixed(100), arrivals=Poisson(50))
    few = settings(slots=4)
    assert simulate(TIMES, few, load.draw(2000)).overloaded
    assert not simulate(TIMES, few, load.at_rate(2).draw(2000)).overloaded


def test_replicas_share_a_stream_and_users() -> None:
    load = Workload(prompt=Fixed(100), output=Fixed(100), arrivals=ClosedLoop(6, 0.1))
    outcome = simulate(TIMES, settings(), load.draw(600, seed=1), replicas=3)
    assert outcome.mean_state("running") <= 6
    with pytest.raises(ScenarioError, match="more replicas"):
        simulate(TIMES, settings(), load.draw(600), replicas=7)


def test_a_replay_repeats_its_record() -> None:
    replay = Replay((10.0, 10.5, 12.0))
    assert replay.times(np.random.default_rng(0), 5).tolist() == [0, 0.5, 2, 3, 3.5]
    assert replay.rate_per_s == pytest.approx(1.0)


def test_plain_data_holds_no_infinities() -> None:
    import json

    load = Workload(prompt=Fixed(10), output=Fixed(1), arrivals=Poisson(5))
    outcome = simulate(TIMES, settings(), load.draw(50))
    data = json.loads(json.dumps(outcome.to_dict(), allow_nan=False))
    assert "tpot_s" not in data
    assert data["cache_occupancy_fraction"] is None


def test_a_workload_keeps_its_seed_when_replaced() -> None:
    load = Workload(
        prompt=Fixed(100),
        output=Fixed(10),
        arrivals=Poisson(1),
        prefix=SharedPrefix(fraction=0.5, tokens=80, groups=3),
    )
    drawn = load.draw(1000, seed=1)
    assert 0.4 < (drawn.prefix_group >= 0).mean() < 0.6
    assert set(drawn.prefix_group.tolist()) == {-1, 0, 1, 2}
    assert replace(load).draw(1000, seed=1).arrival_s.tobytes() == drawn.arrival_s.tobytes()
