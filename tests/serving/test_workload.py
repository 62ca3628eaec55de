"""Lengths, arrivals and traces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from planner.errors import ScenarioError
from planner.serving.arrivals import Bursty, ClosedLoop, Poisson, TwoStates
from planner.serving.lengths import Empirical, Exponential, Fixed, Lengths, Lognormal
from planner.serving.traces import TraceError, load_trace
from planner.serving.workload import Workload

LENGTHS = [
    Fixed(300),
    Exponential(300),
    Exponential(300, most=500),
    Lognormal(200, 0.9),
    Lognormal(200, 0.9, most=600),
    Empirical((10, 20, 2000)),
]


@pytest.mark.parametrize("lengths", LENGTHS, ids=str)
def test_draws_have_the_stated_moments(lengths: Lengths) -> None:
    drawn = lengths.draw(np.random.default_rng(1), 400_000).astype(np.float64)
    assert drawn.mean() == pytest.approx(lengths.mean, rel=0.01)
    assert np.square(drawn).mean() == pytest.approx(lengths.second_moment, rel=0.03)
    assert drawn.min() >= 1
    assert (drawn > lengths.longest).mean() < 3e-4


@pytest.mark.parametrize(
    "arrivals", [Poisson(3.0), Bursty(3.0, 4.0), Bursty(3.0, 0.0), Bursty(3.0, 0.25)], ids=str
)
def test_gaps_have_the_stated_moments(arrivals: Poisson | Bursty) -> None:
    gaps = np.diff(arrivals.times(np.random.default_rng(2), 200_000), prepend=0.0)
    assert gaps.mean() == pytest.approx(1 / 3, rel=0.02)
    assert gaps.var() / gaps.mean() ** 2 == pytest.approx(
        arrivals.cv2, abs=1e-9 + 0.05 * arrivals.cv2
    )
    assert arrivals.scaled(2).rate_per_s == 6.0


def test_two_states_have_the_stated_rate_and_long_run_irregularity() -> None:
    arrivals = TwoStates(1.0, 9.0, 20.0, 5.0)
    times = arrivals.times(np.random.default_rng(3), 400_000)
    assert times.size / times[-1] == pytest.approx(arrivals.rate_per_s, rel=0.02)
    counts = np.histogram(times, bins=np.arange(0, times[-1], 500.0))[0]
    assert counts.var() / counts.mean() == pytest.approx(arrivals.cv2, rel=0.15)


def test_resident_tokens_are_weighted_by_the_stay() -> None:
    """Prompt and half the output for equal outputs, the whole output for exponential ones."""
    equal = Workload(prompt=Fixed(1000), output=Fixed(500), arrivals=Poisson(1))
    spread = Workload(prompt=Fixed(1000), output=Exponential(500), arrivals=Poisson(1))
    assert equal.resident_tokens == pytest.approx(1250)
    assert spread.resident_tokens == pytest.approx(1500)


def test_the_wrong_questions_are_errors() -> None:
    closed = Workload(prompt=Fixed(1), output=Fixed(1), arrivals=ClosedLoop(3))
    for wrong in (
        lambda: closed.at_rate(3),
        lambda: Poisson(0),
        lambda: Bursty(1, -1),
        lambda: Fixed(0),
        lambda: Lognormal(10, 9),
        lambda: Lognormal.of(mean=5, median=6),
        lambda: Empirical(()),
        lambda: ClosedLoop(0),
    ):
        with pytest.raises(ScenarioError):
            wrong()


HEADER = "arrival_s,prompt_tokens,output_tokens\n"


def test_a_trace_is_replayed(tmp_path: Path) -> None:
    file = tmp_path / "trace.csv"
    file.write_text(HEADER + "0,10,5\n1.5,20,6\n1.5,30,7\n")
    requests = load_trace(file).draw(3)
    assert requests.arrival_s is not None
    assert requests.arrival_s.tolist() == [0.0, 1.5, 1.5]
    assert requests.prompt_tokens.tolist() == [10, 20, 30]
    assert requests.output_tokens.tolist() == [5, 6, 7]
    lines = tmp_path / "trace.jsonl"
    row = '{{"arrival_s": {}, "prompt_tokens": {}, "output_tokens": {}, "x": 1}}\n'
    rows = ((0, 10, 5), (1.5, 20, 6), (1.5, 30, 7))
    lines.write_text("".join(row.format(*each) for each in rows))
    assert load_trace(lines) == load_trace(file)


@pytest.mark.parametrize(
    ("rows", "line", "what"),
    [
        ("0,1,1\n,1,1\n", 3, "missing"),
        ("0,1,1\n-1,1,1\n", 3, "negative"),
        ("0,1,1\n5,1,1\n4,1,1\n", 4, "not sorted"),
        ("0,1,1\nnan,1,1\n", 3, "not a number"),
        ("0,1,1\n1,0,1\n", 3, "not a length"),
        ("0,1,1\n1,1.5,1\n", 3, "not a length"),
        ("0,1,1\n1,1\n", 3, "missing"),
        ("0,1,1\nsoon,1,1\n", 3, "not a number"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, rows: str, line: int, what: str) -> None:
    file = tmp_path / "trace.csv"
    file.write_text(HEADER + rows)
    with pytest.raises(TraceError, match=rf"line {line}\b.*{what}"):
        load_trace(file)


def test_a_file_that_is_no_trace(tmp_path: Path) -> None:
    for name, text in (
        ("a.csv", "time,prompt\n1,2\n"),
        ("b.jsonl", '{"arrival_s": 0}\n'),
        ("c.jsonl", "[1]\n"),
        ("d.jsonl", "{\n"),
        ("e.txt", ""),
        ("f.csv", HEADER),
        ("g.csv", ""),
    ):
        (tmp_path / name).write_text(text)
        with pytest.raises(TraceError):
            load_trace(tmp_path / name)
    with pytest.raises(TraceError, match="cannot be read"):
        load_trace(tmp_path / "missing.csv")
