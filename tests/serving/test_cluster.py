"""Ray tasks: the same bytes as one process, also when a worker is killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from planner.errors import ScenarioError
from planner.serving.arrivals import Poisson
from planner.serving.lengths import Exponential, Lognormal
from planner.serving.load_shape import load_shape
from planner.serving.objectives import Objectives
from planner.serving.paged_pool import CachePool
from planner.serving.replica import ReplicaSettings
from planner.serving.runner import RayRunner, runner_at
from planner.serving.search import Deployable, Search
from planner.serving.simulator import Share, run_share, simulate
from planner.serving.workload import Workload
from tests.serving.made_up_times import linear_times

LOAD = Workload(
    prompt=Lognormal(150, 0.8, most=1500), output=Exponential(60, most=400), arrivals=Poisson(8)
)
SETTINGS = ReplicaSettings(max_num_seqs=32, max_num_batched_tokens=256, pool=CachePool(blocks=2000))
TIMES = linear_times()


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayRunner]:
    pytest.importorskip("ray", reason="Ray is not installed (the extra 'cluster')")
    runner = RayRunner("local:2")
    yield runner
    runner.close()


def test_simulations_are_byte_identical(cluster: RayRunner) -> None:
    requests = LOAD.draw(1200, seed=9)
    here = simulate(TIMES, SETTINGS, requests, replicas=3)
    there = simulate(TIMES, SETTINGS, requests, replicas=3, runner=cluster)
    assert here.finish_s.tobytes() == there.finish_s.tobytes()
    assert here.to_dict() == there.to_dict()


def test_searches_are_byte_identical(cluster: RayRunner) -> None:
    search = Search(
        deployables=tuple(
            Deployable(
                id=str(n), labels={}, devices=n, times=TIMES.slowed(1 / n), pool=SETTINGS.pool
            )
            for n in (1, 2, 4)
        ),
        shape=load_shape(LOAD),
        objectives=Objectives(ttft_s=1.0, tpot_s=0.02),
    )
    here, there = search.at(20.0), search.at(20.0, cluster)
    for name in here.__slots__:
        assert getattr(here, name).tobytes() == getattr(there, name).tobytes(), name


def killed_once(item: tuple[str, Share]) -> bytes:
    """Kill the worker on the first try; serve the share on the second."""
    mark, share = Path(item[0]), item[1]
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return run_share(share).finish_s.tobytes()


def test_a_killed_worker_is_tried_again(cluster: RayRunner, tmp_path: Path) -> None:
    share = Share(times=TIMES, settings=SETTINGS, requests=LOAD.draw(200, seed=1))
    marks = [str(tmp_path / name) for name in "ab"]
    found = cluster(killed_once, [(mark, share) for mark in marks])
    assert all(Path(mark).exists() for mark in marks)
    assert found == [run_share(share).finish_s.tobytes()] * 2


def test_an_address_that_means_nothing() -> None:
    pytest.importorskip("ray", reason="Ray is not installed (the extra 'cluster')")
    for address in ("remote", "local:two"):
        with pytest.raises(ScenarioError, match="unknown cluster"):
            runner_at(address)
