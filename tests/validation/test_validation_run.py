"""A run: what goes wrong becomes a row, what is stopped goes on, the record is always whole."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("torch")

from tests.validation.made_up_host import CEILINGS, HOST, QUICK, timed
from validation import kernels
from validation.bench import Bench
from validation.cases import Case
from validation.entries import Row
from validation.record import Record, RecordError, load_record, save_record
from validation.run import Budget, run
from validation.worker import BenchError, Worker

pytestmark = [pytest.mark.oracle, pytest.mark.timeout(600)]

ROOT = Path(__file__).resolve().parents[2]
MINUTE = Budget(minutes=1.0)


@pytest.fixture(autouse=True)
def fakes() -> Iterator[Callable[..., Case]]:
    """Register the fake kernels for one test."""
    before = dict(kernels.KERNELS)
    from tests.validation import fake_kernels

    for each in fake_kernels.KERNELS:
        kernels.KERNELS[each.name] = kernels.Entry(
            "fake_kernels_of_the_tests", each.kind, each.provider
        )
    yield fake_kernels.fake
    kernels.KERNELS.clear()
    kernels.KERNELS.update(before)


class QuickBench(Bench):
    """A bench in this process with made-up ceilings."""

    def __init__(self) -> None:
        super().__init__("cpu", effort=QUICK)

    def ceilings(self) -> object:  # type: ignore[override]
        return CEILINGS


@pytest.fixture
def bench() -> Iterator[Bench]:
    import torch

    threads = torch.get_num_threads()
    yield QuickBench()
    torch.set_num_threads(threads)


def by_kernel(record: Record) -> dict[str, Row]:
    return {row.kernel.removeprefix("fake_"): row for row in record.rows}


def test_what_goes_wrong_becomes_a_row(
    bench: Bench, fakes: Callable[..., Case], tmp_path: Path
) -> None:
    names = ("raises", "forgets", "is_off", "runs_out", "asks_for_too_much", "is_fine")
    lines: list[str] = []
    record = run(
        bench, tmp_path / "r.json", MINUTE, seed=1, cases=map(fakes, names), say=lines.append
    )
    rows = by_kernel(record)
    assert len(record.rows) == len(lines) == 6, "the run went on to the end"
    assert (rows["raises"].status, rows["raises"].reason) == (
        "failed", "ValueError: an invalid launch of some kind",
    )  # fmt: skip
    assert rows["forgets"].status == "wrong"
    assert "1 elements that are not finite" in rows["forgets"].reason
    assert rows["is_off"].status == "wrong"
    assert "off by" in rows["is_off"].reason
    assert rows["runs_out"].status == "out_of_memory"
    assert rows["asks_for_too_much"].status == "out_of_memory"
    assert rows["is_fine"].status == "ok"
    timed = [name for name, row in rows.items() if row.timing is not None]
    assert timed == ["is_fine"], "only what is right is timed"
    assert load_record(tmp_path / "r.json") == record


def test_what_kills_the_process_becomes_a_row(fakes: Callable[..., Case], tmp_path: Path) -> None:
    names = ("is_killed", "is_fine", "crashes", "hangs", "is_off")
    worker = Worker("cpu", effort=QUICK, plugins=("tests.validation.fake_kernels",), limit_s=8.0)
    path = tmp_path / "r.json"
    save_record(
        Record.begin(worker.environment(), 1).model_copy(update={"ceilings": CEILINGS}), path
    )
    budget = Budget(minutes=2.5)
    try:
        record = run(worker, path, budget, cases=map(fakes, names), say=lambda line: None)
    finally:
        worker.close()
    rows = by_kernel(record)
    assert rows["is_killed"].status == "out_of_memory"
    assert "SIGKILL" in rows["is_killed"].reason
    assert rows["crashes"].status == "failed"
    assert "SIGSEGV" in rows["crashes"].reason
    assert rows["hangs"].status == "failed"
    assert "no result within 8 s" in rows["hangs"].reason
    assert rows["is_fine"].status == "ok", "another process took its place"
    assert rows["is_off"].status == "wrong"


def test_a_run_goes_on_where_it_was(
    bench: Bench, fakes: Callable[..., Case], tmp_path: Path
) -> None:
    path = tmp_path / "r.json"
    cases = [fakes("is_fine", size) for size in (4096, 8192, 16384)]
    first = run(bench, path, MINUTE, cases=cases[:2], say=lambda line: None)
    lines: list[str] = []
    second = run(bench, path, MINUTE, cases=cases, say=lines.append)
    assert second.rows[:2] == first.rows, "what is there is not done again"
    assert len(second.rows) == 3
    assert second.seed == first.seed
    assert "2 cases are there" in lines[0]


def test_another_seed_or_place_is_refused(
    bench: Bench, fakes: Callable[..., Case], tmp_path: Path
) -> None:
    path = tmp_path / "r.json"
    run(bench, path, MINUTE, seed=1, cases=[fakes("is_fine")], say=lambda line: None)
    with pytest.raises(RecordError, match="another seed"):
        run(bench, path, MINUTE, seed=2, cases=[], say=lambda line: None)
    elsewhere = load_record(path).model_copy(update={"environment": HOST})
    save_record(elsewhere, path)
    with pytest.raises(RecordError, match="made elsewhere"):
        run(bench, path, MINUTE, cases=[], say=lambda line: None)


def test_the_minutes_are_kept(
    bench: Bench, fakes: Callable[..., Case], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock that each case turns by two seconds."""
    now = [0.0]

    def row(case: Case, seed: int) -> Row:
        now[0] += 2.0
        return timed(case, 1e-3)

    monkeypatch.setattr(bench, "row", row)
    monkeypatch.setattr("validation.run.time", SimpleNamespace(monotonic=lambda: now[0]))
    cases = [fakes("is_fine", 4096 * n) for n in range(1, 40)]
    lines: list[str] = []
    record = run(bench, tmp_path / "r.json", Budget(minutes=0.5), cases=cases, say=lines.append)
    assert len(record.rows) == 15, "thirty seconds"
    assert lines[-1].startswith("24 cases did not fit into 0.5 min")


def test_an_absent_device_is_told() -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device here")
    worker = Worker("cuda:0", effort=QUICK)
    try:
        with pytest.raises(BenchError, match="the device is not there"):
            worker.environment()
    finally:
        worker.close()


@pytest.fixture
def hears_interrupts() -> Iterator[None]:
    """Programs start as a terminal starts them; those of a script's background are deaf."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.usefixtures("hears_interrupts")
def test_an_interrupted_run_leaves_a_whole_record(tmp_path: Path, how: signal.Signals) -> None:
    path = tmp_path / "record.json"
    command = [
        sys.executable, "-m", "validation", "run", "--device", "cpu", "--seed", "7",
        "--kinds", "cache,paged_cache,memory_copy", "-o", str(path), "--minutes",
    ]  # fmt: skip
    running = subprocess.Popen(
        [*command, "2"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    try:
        end = time.monotonic() + 180
        while time.monotonic() < end and rows_in(path) < 2 and running.poll() is None:
            time.sleep(0.05)
        assert rows_in(path) >= 2, "no rows came"
        # What a terminal does: the signal goes to the whole group.
        os.killpg(running.pid, how)
        _, errors = running.communicate(timeout=120)
    finally:
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)
            running.wait()
    if how is signal.SIGINT:
        assert running.returncode == 1
        assert b"interrupted" in errors
    before = load_record(path)
    assert 2 <= len(before.rows) < 15
    again = subprocess.run(
        [*command, "0.1"], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert again.returncode == 0, again.stderr
    assert f"going on with {path}" in again.stderr
    after = load_record(path)
    assert after.rows[: len(before.rows)] == before.rows
    assert len(after.rows) > len(before.rows)
    assert after.seed == 7


def rows_in(path: Path) -> int:
    """How many rows the record has; the file is valid JSON whenever it is read."""
    return len(json.loads(path.read_text()).get("rows", [])) if path.exists() else 0


def test_two_ranks(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
        "-m", "validation", "run", "--kinds", "all_reduce,all_gather", "--device", "cpu",
        "--minutes", "0.2", "-o", str(path),
    ]  # fmt: skip
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=400, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    record = load_record(path)
    assert record.environment.ranks == 2
    assert record.environment.backend == "gloo"
    assert {row.kind for row in record.rows} == {"all_reduce", "all_gather"}
    assert {row.status for row in record.rows} == {"ok"}
    assert all(row.correctness and row.timing for row in record.rows)
    assert record.ceilings is not None
    assert record.ceilings.link_bytes_per_s
    reduced = next(row for row in record.rows if row.kind == "all_reduce")
    assert reduced.prediction is not None
    assert reduced.prediction.bound == "communication"
    gathered = next(row for row in record.rows if row.kind == "all_gather")
    assert gathered.prediction is not None
    assert gathered.prediction.bound == "communication"
