"""From a record to a plan: what `calibrate` keeps for plans, and what it refuses."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from planner.cli import run
from planner.errors import ScenarioError, SpecError
from planner.hardware import load_device
from planner.hardware.measurements import load_measurements
from tests.validation.made_up_host import product, timed
from validation.calibrate import calibrate
from validation.calibration_report import report
from validation.cases import Case
from validation.cli import execute
from validation.observation import from_record
from validation.plan_times import plan_times, voices_of
from validation.profile import save_profile
from validation.record import Record, load_record, save_record

FIXTURE = Path(__file__).parent.parent / "data" / "validation_record.json"
ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def fixture() -> Record:
    return load_record(FIXTURE)


def decode(kernel: str, cached: int) -> Case:
    shape = {"batch": 8, "query_heads": 32, "kv_heads": 8, "head_dim": 128, "cached_tokens": cached}
    return Case(kind="attention_decode", kernel=kernel, dtype="bf16", shape=shape)


def own_device(folder: Path) -> Path:
    """A device that the catalog does not have."""
    text = (ROOT / "hardware_specs" / "h200-sxm.yaml").read_text()
    path = folder / "my-gpu.yaml"
    path.write_text(text.replace("id: h200-sxm", "id: my-gpu", 1))
    return path


def test_from_the_record_to_predictions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], fixture: Record
) -> None:
    """Rows of the record come out near what was measured, inside their band."""
    profile, table = tmp_path / "profile.yaml", tmp_path / "table.csv"
    assert execute(["calibrate", str(FIXTURE), "-o", str(profile)]) == 0
    said = capsys.readouterr()
    assert "for plans" in said.out
    assert "planner plan -d h200-sxm --calibration" in said.err
    rows = [row for row in fixture.rows if row.kind == "attention_decode" and row.timing]
    names = ["batch", "query_heads", "kv_heads", "head_dim", "cached_tokens"]
    lines = [",".join(str(row.shape[name]) for name in names) for row in rows]
    table.write_text(
        "\n".join([
            "kind,device,dtype,kv_dtype," + ",".join(names),
            *(f"attention_decode,h200-sxm,bf16,bf16,{line}" for line in lines),
        ])
    )  # fmt: skip
    errors: list[list[float]] = []
    for options in ([], ["--calibration", str(profile)]):
        assert run(["predict", str(table), *options]) == 0
        found = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
        errors.append([])
        for row, cells in zip(rows, found, strict=True):
            assert row.timing is not None
            errors[-1].append(abs(float(cells["predicted_s"]) / row.timing.measured_s - 1))
            if options:
                p90 = float(cells["predicted_p90_s"])
                assert float(cells["predicted_p10_s"]) * 0.95 <= row.timing.measured_s <= p90 * 1.05
    assert max(errors[1]) < 0.25 < max(errors[0])


def test_json_and_yaml_hold_the_same(tmp_path: Path, fixture: Record) -> None:
    profile = calibrate(fixture, FIXTURE)
    for name in ("profile.yaml", "profile.json"):
        save_profile(profile, tmp_path / name)
        assert load_measurements(tmp_path / name).times == profile.times


def test_only_the_fastest_kernel_of_an_operation_speaks(fixture: Record) -> None:
    rows = [
        *(timed(decode("fast", n), 1e-4 * n) for n in (128, 256, 512)),
        *(timed(decode("slow", n), 3e-4 * n) for n in (256, 512, 1024)),
    ]
    bare = fixture.model_copy(update={"rows": ()})
    times = plan_times(from_record(bare.adding(*rows)))
    assert {each.kernel for each in times} == {"fast"}
    assert sorted(each.shape["cached_tokens"] for each in times) == [128, 256, 512]


def test_halves_are_dealt_before_any_time_is_looked_at(fixture: Record) -> None:
    bare = fixture.model_copy(update={"rows": ()})
    cases = [product(2**power, 4096, 4096, "bf16") for power in range(9)]
    halves = []
    for second in (1e-3, 1.0):
        found = plan_times(from_record(bare.adding(*(timed(case, second) for case in cases))))
        halves.append({each.shape["m"]: each.half for each in found})
    assert halves[0] == halves[1]
    assert sorted(halves[0].values()).count("fit") == 5


def test_messages_over_nccl_are_the_engines_own(fixture: Record) -> None:
    bare = fixture.model_copy(update={"rows": ()})
    shape = {"ranks": 8, "message_bytes": 2**24, "nodes": 1}
    case = Case(kind="all_reduce", kernel="torch_distributed", dtype="bf16", shape=shape)
    observations = from_record(bare.adding(timed(case, 1e-3)))
    assert [each.kernel for each in plan_times(observations, "nccl")] == ["nccl:NCCL"]
    assert [each.kernel for each in plan_times(observations, "gloo")] == ["torch_distributed"]


def test_a_device_outside_the_catalog_needs_its_specification(
    tmp_path: Path, fixture: Record, capsys: pytest.CaptureFixture[str]
) -> None:
    environment = fixture.environment.model_copy(update={"spec_id": None})
    record = tmp_path / "record.json"
    save_record(fixture.model_copy(update={"environment": environment}), record)
    profile, spec = str(tmp_path / "profile.yaml"), str(own_device(tmp_path))
    with pytest.raises(ScenarioError, match="too few times"):
        calibrate(load_record(record), record)
    assert execute(["calibrate", str(record), "-o", profile, "--spec", spec]) == 0
    words = ["plan", "-m", "llama-3.2-1b", "-d", spec, "--calibration", profile]
    capsys.readouterr()
    assert run(words) == 0
    assert "torch_matmul" in capsys.readouterr().out


def test_a_record_of_another_device_is_refused(tmp_path: Path, fixture: Record) -> None:
    with pytest.raises(ScenarioError, match=r"of another device.*h200-sxm.*h100-sxm"):
        calibrate(fixture, FIXTURE, "h100-sxm")
    assert calibrate(fixture, FIXTURE, "h200-sxm").origin.spec_id == "h200-sxm"


def test_a_record_in_another_unit_is_refused(tmp_path: Path, fixture: Record) -> None:
    """Milliseconds where seconds belong."""
    rows = []
    for row in fixture.rows:
        if row.timing is not None:
            timing = row.timing.model_copy(update={"measured_s": row.timing.measured_s * 1e3})
            rows.append(row.model_copy(update={"timing": timing}))
    record = tmp_path / "record.json"
    save_record(fixture.model_copy(update={"rows": tuple(rows)}), record)
    assert execute(["calibrate", str(record), "-o", str(tmp_path / "profile.yaml")]) == 2
    assert not (tmp_path / "profile.yaml").exists()
    with pytest.raises(SpecError, match="cannot be seconds of this device"):
        report(calibrate(load_record(record), record), load_device("h200-sxm"))


def test_a_host_has_a_profile_but_nothing_for_plans(
    record_of: object, products: list[Case], tmp_path: Path
) -> None:
    record = record_of([timed(case, 1e-3) for case in products])  # type: ignore[operator]
    path = tmp_path / "record.json"
    save_record(record, path)
    profile = calibrate(record, path)
    assert profile.times == ()
    save_profile(profile, tmp_path / "profile.yaml")
    with pytest.raises(SpecError, match="of a host or of a device without a specification"):
        load_measurements(tmp_path / "profile.yaml")


def test_the_report_holds_own_errors_against_the_shipped_ones(fixture: Record) -> None:
    profile = calibrate(fixture, FIXTURE)
    device = load_device("h200-sxm")
    for voice in voices_of(profile, device):
        assert voice.name in report(profile, device)
        assert voice.p10 <= 0 <= voice.p90
