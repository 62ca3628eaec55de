"""Calibrated times: floors, bands, unmeasured devices, and the errors the profiles record."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.cost.calibration import load_calibration, load_calibrations
from planner.cost.correction import nearest
from planner.cost.efficiency import operation_times
from planner.cost.kinship import stand_in
from planner.cost.peaks import CACHE_SPEEDUP
from planner.cost.work import SHAPE_COLUMNS, work_of
from planner.errors import SpecError
from planner.hardware import Device, device_ids, load_device

DEVICES = ("a100-sxm-80gb", "h100-sxm", "b200-sxm", "l40s", "gb200", "a40", "gh200-96gb")
# Median error on rows kept apart, by profile; the 90th percentile is 2.5 times that.
MOST = {
    "gemm": 0.08, "attention-prefill": 0.12, "attention-decode": 0.12, "mla-prefill": 0.15,
    "mla-decode": 0.15, "moe": 0.18, "collectives": 0.10, "state-space": 0.18, "elementwise": 0.25,
}  # fmt: skip


def texts(value: str, rows: int = 1) -> np.ndarray:
    return np.full(rows, value, object)


def gemm(device: Device, dtype: str, **sizes: float) -> dict[str, np.ndarray]:
    shape = {name: np.array([float(size)]) for name, size in sizes.items()}
    return {"device": texts(device.id), "dtype": texts(dtype), **shape}


def test_every_kind_has_one_profile_with_a_curve_for_each_height() -> None:
    profiles = load_calibrations()
    assert {"gemm", "moe", "attention_decode", "all_reduce"} <= set(profiles) <= set(SHAPE_COLUMNS)
    for profile in profiles.values():
        sizes = {
            name: int(np.prod([axis.count for axis in axes], dtype=int))
            for name, axes in profile.curves.items()
        }
        for level in profile.levels:
            for group in level.groups:
                assert len(group.key) == len(level.by)
                assert all(len(heights) == sizes[name] for name, heights in group.heights.items())


@pytest.mark.parametrize("name", sorted(MOST))
def test_recorded_errors_are_those_promised(name: str) -> None:
    """Weighted by rows; each profile records them on rows it was not fitted on."""
    profile = next(each for each in load_calibrations().values() if each.id == name)
    rows = [error.rows for error in profile.errors]
    assert sum(rows) == profile.split.tested
    assert profile.split.tested > profile.split.fitted / 6
    median = np.average([error.median_fraction for error in profile.errors], weights=rows)
    assert median <= MOST[name]


@settings(max_examples=60, deadline=None)
@given(
    device=st.sampled_from(DEVICES),
    m=st.integers(1, 65_536), n=st.integers(16, 131_072), k=st.integers(16, 65_536),
)  # fmt: skip
def test_no_product_beats_its_floor_and_bands_hold_the_time(
    device: str, m: int, n: int, k: int
) -> None:
    found = load_device(device)
    columns = gemm(found, "bf16", m=m, n=n, k=k)
    times = operation_times("gemm", columns, {device: found}, load_calibrations()["gemm"])
    moved = 2 * (m * k + k * n + m * n)
    kin = stand_in(found, load_calibrations()["gemm"].measured)
    cache = found.l2_cache_bytes or (kin.l2_cache_bytes if kin else 0) or 0
    bandwidth = found.memory_bandwidth_bytes_per_s * (CACHE_SPEEDUP if moved <= cache else 1)
    assert times.time_s[0] >= 2 * m * n * k / found.rate("bf16") * (1 - 1e-12)
    assert times.time_s[0] >= moved / bandwidth * (1 - 1e-12)
    assert times.floor_s[0] <= times.p10_s[0] <= times.time_s[0] <= times.p90_s[0]


def test_more_rows_never_take_much_less() -> None:
    """Curves follow noise between neighbouring sizes, never the trend."""
    device = load_device("h100-sxm")
    m = np.array([2.0**power for power in range(15)])
    columns = {
        "device": texts("h100-sxm", 15), "dtype": texts("bf16", 15), "m": m,
        "n": np.full(15, 8192.0), "k": np.full(15, 8192.0),
    }  # fmt: skip
    times = operation_times("gemm", columns, {"h100-sxm": device}, load_calibrations()["gemm"])
    assert (np.diff(np.log(times.time_s)) > -0.1).all()
    assert times.time_s[-1] > 20 * times.time_s[0]


def test_a_precision_that_a_device_lacks_is_said() -> None:
    device = load_device("a100-sxm-80gb")
    columns = gemm(device, "fp8", m=16, n=4096, k=4096)
    times = operation_times("gemm", columns, {device.id: device}, load_calibrations()["gemm"])
    assert times.reason[0] == "a100-sxm-80gb has no fp8 rate"
    assert np.isnan(times.time_s[0])


def test_a_vendor_without_measurements_is_said() -> None:
    device = load_device("mi300x")
    columns = gemm(device, "bf16", m=16, n=4096, k=4096)
    times = operation_times("gemm", columns, {device.id: device}, load_calibrations()["gemm"])
    assert "no calibration profile" in times.reason[0]


def test_the_next_of_kin_speaks_with_a_wider_band() -> None:
    profile = load_calibrations()["attention_decode"]
    sizes = {"batch": 64, "query_heads": 32, "kv_heads": 8, "head_dim": 128, "cached_tokens": 4096}
    spans = []
    for name in ("h100-sxm", "gh200-96gb"):
        device = load_device(name)
        columns = {key: np.array([float(size)]) for key, size in sizes.items()}
        columns |= {"device": texts(name), "dtype": texts("bf16"), "kv_dtype": texts("bf16")}
        times = operation_times("attention_decode", columns, {name: device}, profile)
        spans.append(float(np.log(times.p90_s[0] / times.p10_s[0])))
    assert spans[1] > spans[0]


def test_every_device_of_a_measured_vendor_has_a_kin() -> None:
    measured = load_calibrations()["gemm"].measured
    for name in device_ids():
        device = load_device(name)
        assert (stand_in(device, measured) is None) == (device.vendor != "NVIDIA")
    b300 = load_device("b300-sxm")
    found = stand_in(b300, measured)
    assert found is not None
    assert found.id == "b200-sxm"


def test_a_device_with_more_of_everything_is_never_slower() -> None:
    device = load_device("gh200-96gb")
    faster = dataclasses.replace(
        device,
        id="faster",
        rates={name: 2 * rate for name, rate in device.rates.items()},
        memory_bandwidth_bytes_per_s=2 * device.memory_bandwidth_bytes_per_s,
    )
    profile = load_calibrations()["gemm"]
    seconds = [
        operation_times(
            "gemm", gemm(each, "bf16", m=4096, n=8192, k=8192), {each.id: each}, profile
        )
        for each in (device, faster)
    ]
    assert seconds[1].time_s[0] < seconds[0].time_s[0]


def test_an_unknown_kernel_takes_the_most_measured_of_its_kind() -> None:
    level = load_calibrations()["gemm"].levels[-1]
    found = nearest(level, ("bf16", "another", "9.9", "", "h100-sxm"))
    assert found is not None
    assert found.key[0] == "bf16"
    assert found.key[-1] == "h100-sxm"
    assert nearest(level, ("fp3", "vllm", "", "", "h100-sxm")) is None


def test_rows_are_counted_by_the_planners_own_parts() -> None:
    columns = {name: np.array([size, 2.0 * size]) for name, size in (("m", 128.0), ("n", 256.0))}
    work = work_of("gemm", {**columns, "k": np.full(2, 64.0), "dtype": texts("fp8_block", 2)})
    assert work.flop.tolist() == [2 * 128 * 256 * 64, 2 * 256 * 512 * 64]
    assert work.precision.tolist() == ["fp8", "fp8"]
    unknown = work_of("gemm", {**columns, "k": np.full(2, 64.0), "dtype": texts("int3", 2)})
    assert "int3" in unknown.reason[0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"kinds": ["gemm"], "kinds": []}', "a key stands twice"),
        ('{"kinds": ["gemm"],', "not valid JSON"),
        ("[" * 100_000, "cannot be read"),
        ("[]", "not a mapping"),
        ('{"kinds": 3}', "a required field is missing"),
    ],
)
def test_a_broken_profile_is_named(
    text: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "hardware_specs" / "calibration" / "mine.json"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    monkeypatch.setenv("PLANNER_SPEC_PATH", str(tmp_path))
    with pytest.raises(SpecError, match=words):
        load_calibrations()


def test_only_the_profiles_of_kinds_asked_for_are_checked() -> None:
    load_calibration.cache_clear()
    assert load_calibrations()["gemm"].kinds == ("gemm",)
    assert load_calibration.cache_info().currsize == 1
