"""The record: valid at every moment, refused where it does not belong."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.validation.made_up_host import HOST, product, timed
from validation.entries import Check, Correctness
from validation.record import BENCHMARK_VERSION, Record, RecordError, load_record, save_record

Make = Callable[..., Record]


def test_round_trip(record_of: Make, tmp_path: Path) -> None:
    checks = (Check(name="weights", predicted=8.0, measured=8.0, unit="bytes"),)
    wrong = Correctness(
        overall_error=float("nan"), row_error=float("inf"), overall_tolerance=0.1,
        row_tolerance=0.1, reason="r",
    )  # fmt: skip
    rows = [timed(product(1, 2, 3), 1e-3, checks=checks), timed(product(4, 5, 6), 2e-3)]
    rows[1] = rows[1].model_copy(update={"correctness": wrong, "status": "wrong"})
    record = record_of(rows)
    path = tmp_path / "record.json"
    save_record(record, path)
    again = load_record(path)
    assert again == record
    assert again.rows[1].correctness is not None
    assert again.rows[1].correctness.overall_error is None, "JSON has no NaN"
    data = json.loads(path.read_text())
    assert data["schema_version"] == 1
    assert data["benchmark_version"] == BENCHMARK_VERSION


def test_a_row_comes_once(record_of: Make) -> None:
    first, second = timed(product(1, 2, 3), 1e-3), timed(product(1, 2, 3), 5e-3)
    record = record_of([first]).adding(second)
    assert len(record.rows) == 1
    assert record.rows[0].timing == second.timing
    assert record.done == {product(1, 2, 3).id}


def test_a_crash_while_writing_leaves_the_old_record(
    record_of: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "record.json"
    save_record(record_of([timed(product(1, 2, 3), 1e-3)]), path)
    before = path.read_bytes()

    def crash(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", crash)
    with pytest.raises(KeyboardInterrupt):
        save_record(record_of([]), path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"device_name": "another host"}, "device_name: made-up host, 2 cores in the record"),
        ({"torch": "2.14.0"}, "torch: 2.13.0 in the record, 2.14.0 here"),
        ({"driver": "600"}, "driver: None in the record, 600 here"),
        ({"threads": 2}, "threads: 1 in the record, 2 here"),
    ],
)
def test_another_environment_is_refused(record_of: Make, change: Any, named: str) -> None:
    record = record_of([])
    other = HOST.model_copy(update=change)
    with pytest.raises(RecordError, match="made elsewhere") as caught:
        record.check_continues(other, BENCHMARK_VERSION, "record.json")
    assert named in str(caught.value)


def test_another_way_of_measuring_is_refused(record_of: Make) -> None:
    with pytest.raises(RecordError, match="benchmark_version: 1, 2"):
        record_of([]).check_continues(HOST, 2, "record.json")


def test_what_changes_from_day_to_day_is_not_refused(record_of: Make) -> None:
    warmer = HOST.model_copy(update={"temperature_c": 60.0, "clock_hz": 1e9})
    record_of([]).check_continues(warmer, BENCHMARK_VERSION, "record.json")


def test_merged(record_of: Make) -> None:
    one = record_of([timed(product(1, 2, 3), 1e-3)])
    two = record_of([timed(product(4, 5, 6), 1e-3)])
    assert len(one.merged(two).rows) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a record"),
        ("{}", "schema_version: not a record of a validation run: field required"),
        ('{"schema_version": 9}', "not a record"),
    ],
)
def test_what_is_no_record_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "record.json"
    path.write_text(text)
    with pytest.raises(RecordError, match=message):
        load_record(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="cannot be read"):
        load_record(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("rule", "measured", "passed"),
    [("equal", 8.0, True), ("equal", 9.0, False), ("at_most", 7.0, True), ("at_most", 9.0, False),
     ("shown", 9.0, True)],
)  # fmt: skip
def test_checks(rule: Any, measured: float, passed: bool) -> None:
    check = Check(name="n", predicted=8.0, measured=measured, unit="bytes", rule=rule)
    assert check.passed is passed
