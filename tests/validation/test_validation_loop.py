"""The whole loop on this host, really executed: run, calibrate, compare."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from validation.cases import COLLECTIVE_KINDS, cases_of
from validation.record import Record, load_record

pytestmark = [pytest.mark.oracle, pytest.mark.slow, pytest.mark.timeout(600)]

ROOT = Path(__file__).resolve().parents[2]
MINUTES = 2
# What other programs do to a shared machine must not fail the test; a factor would.
TOLERANCE = 1.0


def validation(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "validation", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("loop") / "record.json"
    done = validation("run", "--device", "cpu", "--minutes", str(MINUTES), "-o", str(path))
    assert done.returncode == 0, done.stderr[-4000:]
    return path


@pytest.fixture(scope="module")
def record(path: Path) -> Record:
    return load_record(path)


def test_at_least_forty_cases_of_every_kind(record: Record) -> None:
    assert len(record.rows) >= 40
    alone = {case.kind for case in cases_of("cpu")} - set(COLLECTIVE_KINDS)
    assert {row.kind for row in record.rows} == alone


def test_every_kernel_is_right_against_its_reference(record: Record) -> None:
    assert [(row.id, row.status, row.reason) for row in record.rows if row.status != "ok"] == []
    judged = [row.correctness for row in record.rows if row.correctness is not None]
    assert len(judged) >= 20
    assert all(each.reason and each.overall_error <= each.overall_tolerance for each in judged)


def test_bytes_and_flop_are_those_counted(record: Record) -> None:
    checks = [check for row in record.rows for check in row.checks]
    exact = [check for check in checks if check.rule == "equal"]
    assert all(check.predicted == check.measured for check in exact)
    assert {"bytes", "FLOP", "1"} <= {check.unit for check in exact}


def test_times_are_predicted_after_calibration(path: Path) -> None:
    profile, errors = path.with_name("profile.yaml"), path.with_name("errors.json")
    done = validation("calibrate", str(path), "-o", str(profile))
    assert done.returncode == 0, done.stderr
    print(done.stdout)
    done = validation(
        "compare", str(path), "--profile", str(profile), "--tolerance", str(TOLERANCE),
        "-o", str(errors),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(errors.read_text())
    tested = [point for point in found["points"] if not point["fitted"]]
    assert len(tested) >= 10
