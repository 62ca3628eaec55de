"""The commands that need no PyTorch: tables, tolerances, files, exit codes, messages."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from planner.hardware import load_device
from tests.validation.made_up_host import product, timed
from validation.accuracy import accuracy_page, shipped_records
from validation.cli import execute
from validation.compare import compare
from validation.observation import from_table
from validation.record import Record, save_record

ROOT = Path(__file__).resolve().parents[2]
Make = Callable[..., Record]

HEAD = "kind,device,dtype,m,n,k,measured_s,backend,version,kernel,source\n"
# The floor of the first is its FLOP at 989.4 TFLOP/s, of the second its bytes at 3.35 TB/s.
COMPUTE_S = 2 * 8192**3 / 989.4e12
MEMORY_S = 2 * (8192**2 + 2 * 8192) / 3.35e12


@pytest.fixture
def table(own_folder: Path) -> Path:
    path = own_folder / "table.csv"
    path.write_text(
        HEAD.replace("source", "source,predicted_s")
        + f"gemm,h100-sxm,bf16,8192,8192,8192,{COMPUTE_S * 1.25},torch,2,,made up,{COMPUTE_S}\n"
        + f"gemm,h100-sxm,bf16,1,8192,8192,{MEMORY_S * 1.25},torch,2,,made up,{MEMORY_S}\n"
        + "gemm,h100-sxm,fp2,1,8192,8192,1e-3,torch,2,,made up,\n"
        + "sampling,h100-sxm,bf16,,,,1e-3,torch,2,,made up,\n"
        + "gemm,no-such-device,bf16,1,8192,8192,1e-3,torch,2,,made up,\n"
    )
    return path


def test_a_table_is_compared(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["compare", str(table)]) == 0, "20 % off is within the tolerance of 30 %"
    text = capsys.readouterr().out
    assert "20.0%" in text
    assert "1 × gemm: unknown dtype (fp2)" in text
    assert "1 × sampling: no model of this kind yet" in text
    assert "unknown device (no-such-device)" in text
    assert "memory bound" in text, "the worst rows are explained"


def test_outside_the_tolerance(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["compare", str(table), "--tolerance", "0.1"]) == 5
    captured = capsys.readouterr()
    assert "gemm" in captured.out, "the result is printed all the same"
    assert "outside the tolerance: median error 20.0%, allowed 10%" in captured.err


def test_files_are_written(table: Path, own_folder: Path) -> None:
    outputs = [f"out{suffix}" for suffix in (".csv", ".json", ".md")]
    arguments = [part for name in outputs for part in ("-o", name)]
    assert execute(["compare", str(table), *arguments]) == 0
    with (own_folder / "out.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 5, "rows without a prediction are listed, not dropped"
    assert float(rows[0]["predicted_s"]) == pytest.approx(COMPUTE_S, rel=1e-5)
    assert float(rows[0]["error_fraction"]) == pytest.approx(-0.2, rel=1e-4)
    assert rows[0]["bound"] == "compute"
    assert rows[3]["predicted_s"] == ""
    assert rows[3]["reason"] == "no model of this kind yet"
    assert rows[0]["source"] == "made up"
    assert json.loads((own_folder / "out.json").read_text())["median_error_fraction"] == (
        pytest.approx(0.2)
    )
    assert "| gemm |" in (own_folder / "out.md").read_text()


def test_the_scatter_is_a_picture(table: Path, own_folder: Path) -> None:
    assert execute(["compare", str(table), "-o", "out.svg"]) == 0
    assert (own_folder / "out.svg").read_text().startswith("<svg ")


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ("llama-3.2-1b,,127,,1e-3", "unusable shape ('batch')"),
        ("llama-3.2-1b,2,127,one,1e-3", "unusable shape"),
        (",2,127,1,1e-3", "unusable shape ('model')"),
        ("llama-3.2-1b,2,127,1,1e-3", ""),
    ],
)
def test_a_step_that_a_table_says_too_little_about_is_listed(
    own_folder: Path, cells: str, reason: str
) -> None:
    path = own_folder / "steps.csv"
    path.write_text(
        "kind,device,dtype,model,batch,cached_tokens,layers,measured_s\n"
        f"model_decode,h100-sxm,bf16,{cells}\n"
    )
    (row,) = from_table(path)
    assert (row.forecast is None) == bool(reason)
    assert reason in row.reason


def test_a_picture_needs_a_row(own_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = own_folder / "untimed.csv"
    path.write_text(HEAD + "gemm,h100-sxm,bf16,1,8192,8192,,torch,2,,made up\n")
    assert execute(["compare", str(path), "-o", "out.svg"]) == 2
    assert "no row has both" in capsys.readouterr().err


def test_predictions_in_the_table_are_taken(own_folder: Path) -> None:
    path = own_folder / "predicted.csv"
    path.write_text(
        "kind,device,dtype,m,n,k,measured_s,predicted_s,predicted_p10_s,predicted_p90_s\n"
        "gemm,h100-sxm,bf16,1,8192,8192,1e-4,1.1e-4,0.9e-4,1.3e-4\n"
    )
    comparison = compare(path)
    assert comparison.by == "the table itself"
    assert comparison.median_error == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "a,b\n1,2\n", "not a table of operations"),
        ("a.csv", "", "an empty file"),
        ("a.csv", HEAD + "gemm,h100-sxm,bf16,1,2,3,fast,,,,\n", "not a positive number"),
        ("a.json", "[]", "not a record"),
        ("a.txt", "", "neither a record nor a table"),
    ],
)
def test_bad_input(
    own_folder: Path, name: str, text: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (own_folder / name).write_text(text)
    assert execute(["compare", name]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
    assert captured.err.count("\n") == 1, "one paragraph"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compare", "none.csv"], "cannot be read"),
        (["compare", "none.csv", "-o", "x.pdf"], "unknown kind of file"),
        (["calibrate", "none.json"], "cannot be read"),
        (["list", "--kinds", "gem"], "unknown kind"),
        (["run", "--device", "cpu", "--kinds", "gem"], "unknown kind"),
        (["run", "--device", "cpu", "--kinds", "all_reduce"], "torchrun"),
        (["run", "--minutes", "0"], "--minutes"),
        (["run", "--spec", "h100"], "unknown device"),
        (["run", "-o", "no/such/folder/record.json"], "no such folder"),
        (["measure"], "No such command"),
    ],
)
def test_bad_arguments(
    own_folder: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["list"]) == 0
    text = capsys.readouterr().out
    assert "all_gather" in text
    assert "triton_mla_decode" in text
    assert execute(["list", "--device", "cuda", "--kinds", "gemm", "--cases"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith("gemm/torch_") for line in lines)


def test_no_command_imports_torch() -> None:
    program = (
        "import sys; from validation.cli import execute; execute(['list']); "
        "import validation.compare, validation.calibrate, validation.accuracy, validation.writers; "
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr.decode()


def test_a_record_is_calibrated_and_compared(
    own_folder: Path, record_of: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    cases = [product(2**n, 1024, 512 * n) for n in range(2, 10)]
    rows = [timed(case, 2e-5 * 2**n) for n, case in enumerate(cases)]
    save_record(record_of(rows), own_folder / "record.json")
    assert execute(["calibrate", "record.json", "-o", "profile.yaml"]) == 0
    assert "untouched half" in capsys.readouterr().out
    execute(["compare", "record.json", "--profile", "profile.yaml"])
    assert "4 fitted rows do not count" in capsys.readouterr().out


def test_a_wrong_kernel_is_outside_any_tolerance(
    own_folder: Path, record_of: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = timed(product(4, 4, 4), 1e-3).model_copy(
        update={"status": "wrong", "reason": "out is off by 1", "timing": None}
    )
    save_record(record_of([wrong]), own_folder / "record.json")
    assert execute(["compare", "record.json", "--tolerance", "1000"]) == 5
    assert "out is off by 1" in capsys.readouterr().out


def test_a_kernel_that_takes_no_such_shape_is_no_fault(own_folder: Path, record_of: Make) -> None:
    row = timed(product(4, 4, 4), 1e-3).model_copy(
        update={"status": "unsupported", "reason": "takes no windows", "timing": None}
    )
    save_record(record_of([row]), own_folder / "record.json")
    assert execute(["compare", "record.json"]) == 0


def test_the_page_on_accuracy_is_that_of_the_records() -> None:
    page = ROOT / "docs" / "accuracy.md"
    assert page.read_text(encoding="utf-8") == accuracy_page(shipped_records()), (
        "run python -m validation accuracy -o docs/accuracy.md"
    )


def test_shipped_records_are_of_this_way_of_measuring() -> None:
    assert shipped_records(), "there is at least the record of a host"
    for path in shipped_records():
        comparison = compare(path)
        assert comparison.record is not None
        assert comparison.faults == ()
        if comparison.record.environment.spec_id:
            load_device(comparison.record.environment.spec_id)
