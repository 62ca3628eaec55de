"""The command line as a contract: stdout, stderr and exit codes."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from planner.cli import run
from planner.exits import BAD_INPUT, DOES_NOT_FIT, OK

BASE = ["-m", "llama-3.1-8b", "-d", "h100-sxm"]


def call(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = run([*arguments])
    out, err = capfd.readouterr()
    return code, out, err


def test_json_is_one_object_on_stdout(capfd: pytest.CaptureFixture[str]) -> None:
    code, out, err = call(capfd, "plan", *BASE, "--context", "8K", "--format", "json")
    assert (code, err) == (OK, "")
    assert json.loads(out)["inputs"]["context"] == 8192


def test_the_same_command_prints_the_same_bytes() -> None:
    command = [sys.executable, "-m", "planner", "plan", *BASE, "--format", "json"]
    runs = [
        subprocess.run(command, capture_output=True, check=True, env={"PYTHONHASHSEED": seed})
        for seed in ("1", "2")
    ]
    assert runs[0].stdout == runs[1].stdout


def test_what_does_not_fit_prints_the_plan_and_exits_3(capfd: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capfd, "plan", "-m", "llama-3.1-405b", "-d", "h100-sxm", "--format", "json")
    assert code == DOES_NOT_FIT
    assert json.loads(out)["verdict"]["fits"] is False


def test_table_holds_verdict_memory_times_and_limits(capfd: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capfd, "plan", *BASE, "--context", "4096", "--sequences", "16")
    assert code == OK
    for words in ("FITS", "weights", "14.96 GiB", "decode step", "7.", "fewest devices"):
        assert words in out
    assert max(len(line) for line in out.splitlines()) <= 120


def test_layouts_and_offloading_are_asked_for_and_said(
    capfd: pytest.CaptureFixture[str],
) -> None:
    layout = ["--tp", "2", "--pp", "3", "--offload-weights", "30 layers", "--offload-cache", "50%"]
    code, out, _ = call(capfd, "plan", "-m", "gemma-2-9b", "-d", "rtx-4090", *layout)
    assert code == OK
    for words in ("6 × NVIDIA", "from layer 0, embedding", "from layer 28, head", "in host memory"):
        assert words in " ".join(out.split())
    experts = ["-m", "deepseek-v3", "-d", "h200-sxm", "--ep", "16", "--tp", "2"]
    code, out, _ = call(capfd, "plan", *experts, "--format", "json")
    inputs = json.loads(out)["inputs"]
    assert {"tp": 2, "dp": 8, "ep": 16, "attention_dp": 8}.items() <= inputs.items()


BAD: dict[str, list[str]] = {
    "more stages than layers": [*BASE, "--pp", "33"],
    "experts it has not": [*BASE, "--ep", "2"],
    "layouts that leave devices over": [*BASE, "-n", "8", "--tp", "2", "--pp", "3"],
    "more than all weights": [*BASE, "--offload-weights", "1.5"],
    "drives nobody knows": [*BASE, "--offload-cache", "0.5", "--offload-to", "nvme"],
    "unknown model": ["-m", "no-such-model", "-d", "h100-sxm"],
    "unknown device": ["-m", "llama-3.1-8b", "-d", "nope"],
    "unknown format": [*BASE, "--weights", "q17"],
    "unknown cache": [*BASE, "--kv-cache-dtype", "q17"],
    "tp that does not divide": [*BASE, "--tp", "7"],
    "tp that is not a number": [*BASE, "--tp", "x"],
    "negative context": [*BASE, "--context", "-5"],
    "nan": [*BASE, "--context", "nan"],
    "huge": [*BASE, "--context", "1" + "0" * 30],
    "negative sequences": [*BASE, "--sequences", "-1"],
    "unknown option": [*BASE, "--frobnicate"],
    "missing device": ["-m", "llama-3.1-8b"],
    "missing value": [*BASE, "--context"],
    "empty model": ["-m", "", "-d", "h100-sxm"],
    "no rate": ["-m", "llama-3.1-8b", "-d", "a100-sxm-80gb", "--activations", "fp8"],
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_paragraph_and_exit_2(
    case: str, capfd: pytest.CaptureFixture[str]
) -> None:
    code, out, err = call(capfd, "plan", *BAD[case])
    assert code == BAD_INPUT
    assert out == ""
    assert err.strip()
    assert "\n" not in err.strip()
    assert "Traceback" not in err


CONTENTS: dict[str, bytes] = {
    "truncated": b'{"model_type": "llama", "hidden_size": 40',
    "empty": b"",
    "not json": b"<html>",
    "wrong type": b'{"model_type": "llama", "hidden_size": "4096"}',
    "list": b"[1, 2]",
    "null": b"null",
    "deep": b"[" * 100_000,
    "deep object": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "nan": b'{"model_type": "llama", "hidden_size": NaN}',
    "utf-16": '{"model_type": "llama"}'.encode("utf-16"),
    "binary": bytes(range(256)) * 100,
    "huge number": b'{"model_type": "llama", "hidden_size": 1' + b"0" * 5000 + b"}",
    "large": b'{"x": "' + b"y" * 20_000_000 + b'"}',
}


@pytest.mark.parametrize("case", CONTENTS)
def test_bad_files_are_one_paragraph_and_exit_2(
    case: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(CONTENTS[case])
    code, out, err = call(capfd, "plan", "-m", str(path), "-d", "h100-sxm")
    assert (code, out) == (BAD_INPUT, "")
    assert "config.json" in err
    assert "\n" not in err.strip()
    assert len(err) < 1000


def test_an_unknown_field_that_could_matter_is_named(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "config.json"
    config = {
        "model_type": "llama",
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 128,
        "vocab_size": 100,
        "max_position_embeddings": 64,
        "extra_memory_slots": 12,
    }
    path.write_text(json.dumps(config))
    code, _, err = call(capfd, "plan", "-m", str(path), "-d", "h100-sxm")
    assert code == BAD_INPUT
    assert "extra_memory_slots" in err


def test_output_goes_to_the_file(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "plan.json"
    code, out, _ = call(capfd, "plan", *BASE, "--format", "json", "-o", str(target))
    assert (code, out) == (OK, "")
    assert json.loads(target.read_text())["model"]["parameters"] == 8_030_261_248
    code, _, err = call(capfd, "plan", *BASE, "-o", str(tmp_path / "missing" / "plan.txt"))
    assert code == BAD_INPUT
    assert "cannot be written" in err


@pytest.mark.parametrize("command", ["models", "devices"])
def test_lists_in_both_formats(command: str, capfd: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capfd, command, "--format", "json")
    entries: list[dict[str, Any]] = json.loads(out)
    assert code == OK
    assert len(entries) >= 16
    code, table, _ = call(capfd, command)
    assert code == OK
    for entry in entries:
        assert entry["id"] in table


def test_explain_one_figure_and_all(capfd: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capfd, "explain", "memory.architectural.cache_bytes_per_token", *BASE)
    assert code == OK
    assert "131,072 bytes/token" in out
    code, out, _ = call(capfd, "explain", *BASE, "--format", "json")
    assert len(json.loads(out)) > 30
    code, out, err = call(capfd, "explain", "memory.nonsense", *BASE)
    assert (code, out) == (BAD_INPUT, "")
    assert "memory.nonsense" in err


def test_shipped_specifications_are_clean(capfd: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capfd, "lint")
    assert (code, out) == (OK, "")


@pytest.mark.parametrize("suffix", ["pdf", "xlsx", "html", "md", "json"])
def test_reports_by_suffix(suffix: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / f"plan.{suffix}"
    code, out, _ = call(capfd, "report", *BASE, "-o", str(target))
    assert (code, out) == (OK, "")
    assert target.stat().st_size > 1000


def test_a_report_of_another_kind_is_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code, _, err = call(capfd, "report", *BASE, "-o", str(tmp_path / "plan.docx"))
    assert code == BAD_INPUT
    assert "pdf" in err
