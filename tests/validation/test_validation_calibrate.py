"""Calibration: finds what it is given, splits by hash alone, and never quotes a fitted row."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from planner.errors import ScenarioError, SpecError
from tests.validation.made_up_host import product, timed
from validation.calibrate import calibrate, split, usable
from validation.calibration_report import report
from validation.cases import Case
from validation.efficiency import Efficiency, regime, seconds_of, terms_of
from validation.observation import Observation, from_record
from validation.profile import load_profile, save_profile
from validation.record import Record, file_hash, save_record

Make = Callable[..., Record]
TRUE = Efficiency(overhead_s=2e-5, compute_fraction=0.6, memory_fraction=0.5, norm=2.0)


def measured_record(record_of: Make, cases: list[Case], noise: float = 0.0) -> Record:
    """A record whose times follow the formula with known numbers."""
    bare = record_of([timed(case, 1.0) for case in cases])
    seconds = TRUE.seconds(terms_of(from_record(bare), ()))
    draw = random.Random(5)
    rows = [
        timed(case, float(second) * (1 + draw.uniform(-noise, noise)))
        for case, second in zip(cases, seconds, strict=True)
    ]
    return record_of(rows)


@pytest.fixture
def saved(tmp_path: Path) -> Callable[[Record], Path]:
    def save(record: Record) -> Path:
        path = tmp_path / "record.json"
        save_record(record, path)
        return path

    return save


def test_it_finds_the_numbers(
    record_of: Make, products: list[Case], saved: Callable[[Record], Path]
) -> None:
    record = measured_record(record_of, products)
    profile = calibrate(record, saved(record))
    group = next(each for each in profile.groups if each.kernel == "torch_matmul")
    assert group.efficiency.compute_fraction == pytest.approx(0.6, rel=0.1)
    assert group.efficiency.memory_fraction == pytest.approx(0.5, rel=0.1)
    assert profile.errors["gemm"].median_fraction < 0.03
    assert profile.errors["all"].rows == 20


def test_noise_comes_back_as_error_and_band(
    record_of: Make, products: list[Case], saved: Callable[[Record], Path]
) -> None:
    record = measured_record(record_of, products, noise=0.3)
    errors = calibrate(record, saved(record)).errors["gemm"]
    assert 0.05 < errors.median_fraction < 0.3
    assert errors.in_band_fraction >= 0.5


def test_one_wild_row_does_not_matter(
    record_of: Make, products: list[Case], saved: Callable[[Record], Path]
) -> None:
    record = measured_record(record_of, products)
    (first, *_), _ = split(from_record(record))
    row = next(row for row in record.rows if row.id == first.id)
    assert row.timing is not None
    timing = row.timing.model_copy(update={"measured_s": row.timing.measured_s * 50})
    wild = record.adding(row.model_copy(update={"timing": timing}))
    assert calibrate(wild, saved(wild)).errors["gemm"].median_fraction < 0.05


def test_the_split_is_reproducible_and_knows_no_time(record_of: Make, products: list[Case]) -> None:
    slow = from_record(record_of([timed(case, 1.0) for case in products]))
    fast = from_record(record_of([timed(case, 1e-6) for case in reversed(products)]))
    halves = [[{each.id for each in half} for half in split(rows)] for rows in (slow, fast)]
    assert halves[0] == halves[1]
    fit, test = halves[0]
    assert len(fit) == len(test) == 20
    assert not fit & test


def test_the_profile_records_the_split(
    record_of: Make, products: list[Case], saved: Callable[[Record], Path], tmp_path: Path
) -> None:
    record = measured_record(record_of, products)
    path = saved(record)
    profile = calibrate(record, path)
    fit, test = split(usable(from_record(record)))
    assert set(profile.split.fit) == {each.hash for each in fit}
    assert set(profile.split.test) == {each.hash for each in test}
    assert profile.origin.sha256 == file_hash(path)
    assert {profile.half(each) for each in fit} == {"fit"}
    save_profile(profile, tmp_path / "profile.yaml")
    assert load_profile(tmp_path / "profile.yaml") == profile


def test_errors_are_those_of_the_untouched_half(
    record_of: Make, products: list[Case], saved: Callable[[Record], Path]
) -> None:
    record = measured_record(record_of, products, noise=0.3)
    profile = calibrate(record, saved(record))
    _, test = split(from_record(record))
    off = [abs(said[0] / each.measured_s - 1) for each in test
           if (said := profile.seconds(each)) and each.measured_s]  # fmt: skip
    assert profile.errors["gemm"].median_fraction == pytest.approx(float(np.median(off)), abs=1e-4)
    assert "untouched half" in report(profile)


def test_a_kernel_without_rows_is_spoken_for_by_its_kind(
    record_of: Make, products: list[Case], saved: Callable[[Record], Path]
) -> None:
    record = measured_record(record_of, products)
    profile = calibrate(record, saved(record))
    (known,) = from_record(record_of([timed(product(64, 512, 512), 1.0)]))
    stranger = Observation(
        id="x", kind="gemm", device="host", dtype="bf16", backend="other", kernel="other",
        shape=known.shape, measured_s=None, forecast=known.forecast, cells={},
    )  # fmt: skip
    group = profile.group(stranger)
    assert group is not None
    assert (group.kind, group.kernel) == ("gemm", "")
    assert profile.seconds(stranger) is not None


def test_a_step_is_the_sum_of_its_operations(
    record_of: Make, products: list[Case], saved: Callable[[Record], Path]
) -> None:
    steps = [
        Case(kind="model_prefill", kernel="decoder", dtype="fp32",
             shape={"model": "llama-3.2-1b", "layers": 2, "vocabulary": 4096, "batch": 1,
                    "new_tokens": tokens})
        for tokens in (16, 64, 128, 256)
    ]  # fmt: skip
    single = measured_record(record_of, products)
    bare = record_of([*single.rows, *(timed(case, 1.0) for case in steps)])
    alone = calibrate(single, saved(single)).groups
    rows = []
    for case, step in zip(steps, from_record(bare)[-4:], strict=True):
        counts, _, seconds = terms_of([step], alone)
        rows.append(timed(case, 1.2 * float((counts * seconds).sum())))
    record = record_of([*single.rows, *rows])
    profile = calibrate(record, saved(record))
    assert profile.errors["model_prefill"].median_fraction < 0.05
    group = next(each for each in profile.groups if each.kind == "model_prefill")
    assert group.efficiency.memory_fraction == pytest.approx(1 / 1.2, rel=0.05)


def test_matrix_times_vector_is_a_routine_of_its_own() -> None:
    assert regime("gemm", {"m": "1"}) == "vector"
    assert regime("gemm", {"m": 2}) == regime("moe", {"tokens": 1}) == ""


def test_the_formula_has_both_ends() -> None:
    alone = seconds_of([2.0], [3.0], [0.0], 1.0, 0.5, 1.0, 16.0)
    assert float(alone) == pytest.approx(2 * (1 + 6))
    summed = float(seconds_of([1.0], [3.0], [4.0], 0.0, 1.0, 1.0, 1.0))
    slower = float(seconds_of([1.0], [3.0], [4.0], 0.0, 1.0, 1.0, 50.0))
    assert summed == pytest.approx(7)
    assert slower == pytest.approx(4, rel=1e-3)


def test_too_few_rows_are_refused(record_of: Make, saved: Callable[[Record], Path]) -> None:
    record = record_of([timed(product(1, 2, 3), 1.0)])
    with pytest.raises(ScenarioError, match="too few times"):
        calibrate(record, saved(record))


def test_what_is_no_profile_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "profile.yaml"
    path.write_text("schema_version: 1\n")
    with pytest.raises(SpecError, match="not a profile"):
        load_profile(path)
