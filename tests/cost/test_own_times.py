"""A user's own measurements of a device: found, banded, heard where they ought to be, refused."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from planner import Scenario, load_hardware, load_model, plan
from planner.cli import run
from planner.cost.calibration import load_calibrations
from planner.cost.efficiency import Times, operation_times, own_voices
from planner.cost.peaks import base_s, peaks_of, place_rows
from planner.errors import PlannerError, SpecError
from planner.hardware import Device, Measurements, calibrated, load_device
from planner.hardware.measurements import MeasuredTime, Origin, load_measurements

ORIGIN: dict[str, Any] = {
    "record": "record.json", "sha256": "0", "created": "2026-11-01T00:00:00+00:00",
    "benchmark_version": 1, "device": "Made-up", "torch": "2.13.0", "triton": "3.7.1",
    "driver": "570.00", "planner": "0.1.0",
}  # fmt: skip
SHAPES = [(2.0**m, 2.0**n, 2.0**k) for m in range(0, 14, 2) for n in (11, 13) for k in (11, 13)]


def columns(device: str, shapes: Sequence[tuple[float, ...]] = SHAPES, dtype: str = "bf16",
            **labels: str) -> dict[str, np.ndarray]:  # fmt: skip
    m, n, k = np.array(shapes).T
    texts = {"device": device, "dtype": dtype, **labels}
    found = {name: np.full(len(m), text, object) for name, text in texts.items()}
    return {**found, "m": m, "n": n, "k": k}


def gemm(device: Device, **labels: str) -> Times:
    table = columns(device.id, **labels)
    return operation_times("gemm", table, {device.id: device}, load_calibrations()["gemm"])


def times(seconds: Sequence[float], **fields: Any) -> list[dict[str, Any]]:
    return [
        {"kind": "gemm", "dtype": "bf16", "backend": "torch", "kernel": "torch_matmul",
         "shape": dict(zip("mnk", shape, strict=True)), "measured_s": float(second),
         "half": "test" if place % 2 else "fit", **fields}
        for place, (shape, second) in enumerate(zip(SHAPES, seconds, strict=True))
    ]  # fmt: skip


def written(
    folder: Path, device: str, measured: Sequence[Mapping[str, Any]], **fields: Any
) -> Path:
    path = folder / "own.json"
    data = {"schema_version": 2, "kind": "own_calibration", "times": measured,
            "origin": {**ORIGIN, "spec_id": device}}  # fmt: skip
    path.write_text(json.dumps({**data, **fields}))
    return path


def truth(device: Device, overhead: float, compute: float, memory: float) -> np.ndarray:
    """Times of a device whose three numbers are these multiples of the profile's."""
    profile = load_calibrations()["gemm"]
    table = columns(device.id)
    peaks = peaks_of("gemm", table, place_rows(table, {device.id: device}, profile.measured))
    line = profile.rooflines["gemm"]
    own = line.model_copy(update={
        "overhead_s": line.overhead_s * overhead,
        "compute_fraction": line.compute_fraction / compute,
        "memory_fraction": line.memory_fraction / memory})  # fmt: skip
    shipped = gemm(device).time_s
    return np.maximum(shipped * base_s(peaks, own) / base_s(peaks, line), peaks.floor_s)


@pytest.mark.parametrize("name", ["h200-sxm", "a40", "mi300x"])
def test_made_up_efficiencies_are_found_within_the_noise(name: str, tmp_path: Path) -> None:
    """On a measured device, on the kin of one, and of a vendor without any profile."""
    device = load_device(name)
    if name == "mi300x":
        profile = load_calibrations()["gemm"]
        table = columns(name)
        peaks = peaks_of("gemm", table, place_rows(table, {name: device}, profile.measured))
        true = base_s(peaks, profile.rooflines["gemm"]) * 1.4
    else:
        true = truth(device, overhead=1.5, compute=1.3, memory=1.2)
    draw = np.random.default_rng(7)
    seconds = true * np.exp(draw.normal(0, 0.05, len(true)))
    path = written(tmp_path, name, times(seconds))
    (own,) = calibrated([load_hardware(name)], path)
    found = gemm(own.device)
    off = np.abs(found.time_s / true - 1)
    assert np.median(off) < 0.04
    assert np.max(off) < 0.15
    fresh = true * np.exp(draw.normal(0, 0.05, len(true)))
    inside = (found.p10_s <= fresh) & (fresh <= found.p90_s)
    assert inside.mean() >= 0.75
    if name != "mi300x":
        assert np.median(np.abs(gemm(device).time_s / true - 1)) > 0.15


def test_wild_rows_do_not_matter(tmp_path: Path) -> None:
    device = load_device("h200-sxm")
    true = truth(device, 1.2, 1.2, 1.2)
    wild = true.copy()
    wild[[4, 13]] *= 40
    (own,) = calibrated([load_hardware(device.id)], written(tmp_path, device.id, times(wild)))
    assert np.median(np.abs(gemm(own.device).time_s / true - 1)) < 0.04


def test_few_rows_shift_a_kind_as_a_whole(tmp_path: Path) -> None:
    """Two rows that are half as fast say little about each part, and leave a wide band."""
    device = load_device("h200-sxm")
    shipped = gemm(device)
    rows = times(shipped.time_s * 2.0)[8:10]
    (own,) = calibrated([load_hardware(device.id)], written(tmp_path, device.id, rows))
    ratio = gemm(own.device).time_s / shipped.time_s
    assert 1.2 < np.median(ratio) <= 2.0
    assert np.all(gemm(own.device).p90_s / gemm(own.device).p10_s > 1.2)


def test_only_what_was_measured_is_replaced(tmp_path: Path) -> None:
    device = load_device("h200-sxm")
    path = written(tmp_path, device.id, times(gemm(device).time_s * 1.5))
    (own,) = calibrated([load_hardware(device.id)], path)
    same, other = gemm(own.device), gemm(own.device, dtype="fp8")
    assert np.all(same.time_s > gemm(device).time_s * 1.3)
    assert same.own
    assert np.array_equal(other.time_s, gemm(device, dtype="fp8").time_s)
    engine = gemm(own.device, backend="vllm")
    assert np.array_equal(engine.time_s, gemm(device, backend="vllm").time_s)
    by_name = gemm(own.device, backend="torch", kernel="torch_matmul")
    assert np.allclose(by_name.time_s, same.time_s)
    assert np.all(same.time_s >= same.floor_s)


def test_its_error_is_told_on_rows_that_were_not_fitted(tmp_path: Path) -> None:
    device = load_device("h200-sxm")
    path = written(tmp_path, device.id, times(truth(device, 1.5, 1.3, 1.2)))
    own = load_measurements(path)
    (voice,) = own_voices("gemm", device, own, load_calibrations()["gemm"])
    assert (voice.fitted, voice.tested) == (len(SHAPES) / 2, len(SHAPES) / 2)
    assert voice.name == "gemm bf16"
    assert voice.median_fraction is not None
    assert voice.shipped_fraction is not None
    assert voice.median_fraction < 0.05 < voice.shipped_fraction


def test_a_plan_speaks_from_the_record_and_says_so(tmp_path: Path) -> None:
    shipped = plan(Scenario(model=load_model("llama-3.1-8b"), hardware=load_hardware("h200-sxm")))
    path = written(tmp_path, "h200-sxm", times(gemm(load_device("h200-sxm")).time_s * 1.5))
    (hardware,) = calibrated([load_hardware("h200-sxm")], path)
    own = plan(Scenario(model=load_model("llama-3.1-8b"), hardware=hardware))
    assert own.prefill_times is not None
    assert shipped.prefill_times is not None
    assert own.prefill_times.time_s > 1.2 * shipped.prefill_times.time_s
    said = " ".join(own.assumptions)
    for part in ("own.json", "2026-11-01", "570.00", "2.13.0", "3.7.1", "gemm bf16", "torch_matmul",
                 "not of an engine's own"):  # fmt: skip
        assert part in said
    assert own.to_dict()["inputs"]["calibration"] == "own.json"
    assert shipped.to_dict()["inputs"]["calibration"] is None


def test_a_vendor_without_profiles_has_times_once_somebody_measures(tmp_path: Path) -> None:
    device = load_device("mi300x")
    assert gemm(device).reason[0] == "its vendor has no calibration profile"
    path = written(tmp_path, "mi300x", times(gemm(device).floor_s * 2 + 1e-5))
    (hardware,) = calibrated([load_hardware("mi300x")], path)
    own = plan(Scenario(model=load_model("llama-3.1-8b"), hardware=hardware))
    assert own.decode_times is not None
    assert own.decode_times.time_s > own.decode.floor_s
    assert "attention_decode" in own.decode_times.at_floor
    assert "count at their floor" in " ".join(own.assumptions)


def test_the_folder_of_specifications_may_hold_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "hardware_specs" / "calibration"
    folder.mkdir(parents=True)
    shipped = gemm(load_device("h200-sxm"))
    written(folder, "h200-sxm", times(shipped.time_s * 1.5))
    monkeypatch.setenv("PLANNER_SPEC_PATH", str(tmp_path))
    assert np.all(gemm(load_device("h200-sxm")).time_s > 1.3 * shipped.time_s)
    assert load_hardware("8x-h200-sxm").calibration == "own.json"
    assert load_hardware("h100-sxm").calibration is None
    (folder / "another.json").write_text((folder / "own.json").read_text())
    with pytest.raises(SpecError, match=r"more than one.*another.json, own.json"):
        load_device("h200-sxm")


def test_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "table.csv"
    table.write_text("kind,device,dtype,m,n,k\ngemm,h200-sxm,bf16,4096,4096,4096\n")
    path = written(tmp_path, "h200-sxm", times(gemm(load_device("h200-sxm")).time_s * 1.5))
    seconds = []
    for options in ([], ["--calibration", str(path)]):
        assert run(["predict", str(table), *options]) == 0
        seconds.append(float(capsys.readouterr().out.splitlines()[1].split(",")[6]))
    assert 1.3 < seconds[1] / seconds[0] < 1.6
    words = ["-m", "llama-3.2-1b", "-d", "h200-sxm", "--calibration", str(path)]
    assert run(["plan", *words]) == 0
    assert "torch_matmul" in capsys.readouterr().out
    assert run(["plan", *words[:3], "h100-sxm", *words[4:]]) == 2
    assert "measured on another device" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"schema_version": 1}, "of another version than this planner reads"),
        ({"kind": "device"}, "not a calibration of a device at hand"),
        ({"environment": {}, "rows": []}, "a record, not yet a calibration"),
        ({"times": []}, "no times of operations"),
        ({"origin": ORIGIN}, "of a host or of a device without a specification"),
        ({"surprise": 1}, "an unknown field"),
        ({"times": [{"kind": "gemm"}]}, "a required field is missing"),
        ({"times": times([-1.0] * len(SHAPES))}, "greater than 0"),
        ({"times": times([1e9] * len(SHAPES))}, "less than or equal"),
    ],
)
def test_what_cannot_be_used_is_said(fields: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = written(tmp_path, "h200-sxm", times([1.0] * len(SHAPES)), **fields)
    with pytest.raises(SpecError, match=message):
        load_measurements(path)


@pytest.mark.parametrize("unit", [1e-3, 1e3])
def test_times_in_another_unit_are_refused(unit: float, tmp_path: Path) -> None:
    device = load_device("h200-sxm")
    path = written(tmp_path, device.id, times(gemm(device).time_s * unit))
    (own,) = calibrated([load_hardware(device.id)], path)
    with pytest.raises(SpecError, match="cannot be seconds of this device"):
        gemm(own.device)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"shape": {"m": "many", "n": 1, "k": 1}}, "text where a number belongs"),
        ({"shape": {"m": 1}}, "cannot be followed"),
        ({"dtype": "int3"}, "cannot be followed"),
    ],
)
def test_rows_that_cannot_be_followed_are_refused(
    fields: dict[str, Any], message: str, tmp_path: Path
) -> None:
    device = load_device("h200-sxm")
    path = written(tmp_path, device.id, times([1e-3] * len(SHAPES), **fields))
    (own,) = calibrated([load_hardware(device.id)], path)
    with pytest.raises(PlannerError, match=message):
        gemm(own.device)


def test_reading_twice_gives_the_same_object(tmp_path: Path) -> None:
    path = written(tmp_path, "h200-sxm", times([1.0] * len(SHAPES)))
    first = load_measurements(path)
    assert load_measurements(path) is first
    assert isinstance(first, Measurements)
    assert first.times[0] == MeasuredTime(**times([1.0] * len(SHAPES))[0])
    assert first.origin == Origin(**ORIGIN, spec_id="h200-sxm")
    device = load_device("h200-sxm")
    assert hash(replace(device, measured=first)) == hash(device)
