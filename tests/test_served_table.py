"""Tables of served loads: reading, layouts, predictions, and errors on rows never fitted."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from planner import load_model
from planner.errors import ScenarioError
from planner.model import Step
from planner.served_prediction import Predicted, bare_steps, predict_served
from planner.served_sites import site_of, weights_of
from planner.served_table import is_served_table, read_served_table, run_of
from planner.serving.engine_habits import habits_of
from planner.serving.served_load import REAL_LENGTH
from validation.cli import execute
from validation.served_loads import compare_served

COLUMNS = (
    "kind,model,device,devices,engine,engine_version,precision,tp,pp,dp,moe_tp,moe_ep,"
    "concurrency,isl,osl,ttft_s,tpot_s,output_tokens_per_s"
)
ROW = "closed_loop,meta-llama/Llama-3.1-8B-Instruct,h100-sxm,1,vllm,0.19.0,bf16,1,,,,,16,1000,500"
IDS = (
    "meta-llama/Llama-2-7b-hf",
    "meta-llama/Llama-2-13b-hf",
    "meta-llama/Llama-2-70b-hf",
    "mistralai/Mistral-7B-v0.1",
    "tiiuae/falcon-180B",
    "EleutherAI/gpt-j-6b",
    "meta-llama/Meta-Llama-3-8B",
    "meta-llama/Meta-Llama-3-70B",
)


def table(folder: Path, *rows: str) -> Path:
    path = folder / "served.csv"
    path.write_text("\n".join([COLUMNS, *rows]) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("model", IDS)
@pytest.mark.parametrize("kind", ["static_batch", "closed_loop"])
@pytest.mark.parametrize("precision", ["fp16", "fp8", "int8", "int4"])
def test_every_benchmarked_model_is_answered(
    tmp_path: Path, model: str, kind: str, precision: str
) -> None:
    row = f"{kind},{model},a100-sxm-80gb,8,tensorrt-llm,0.6.1,{precision},8,1,1,,,32,512,128"
    if precision == "fp8":
        row = row.replace("a100-sxm-80gb", "h100-sxm")
    (found,) = predict_served(read_served_table(table(tmp_path, row)))
    assert isinstance(found, Predicted), found
    for figure in (found.ttft_s, found.tpot_s, found.output_tokens_per_s):
        assert figure is not None
        assert 0 < figure[1] <= figure[0] <= figure[2]


def test_more_in_flight_is_slower_for_each_and_faster_for_all(tmp_path: Path) -> None:
    rows = [ROW.replace(",16,1000", f",{number},1000") for number in (1, 4, 16, 64, 256)]
    found = predict_served(read_served_table(table(tmp_path, *rows)))
    answers = [each for each in found if isinstance(each, Predicted)]
    assert len(answers) == len(rows)
    for name, direction in (("ttft_s", 1), ("tpot_s", 1), ("output_tokens_per_s", 1)):
        values = [getattr(each, name)[0] * direction for each in answers]
        assert values == sorted(values)


def test_rows_that_cannot_be_predicted_say_why(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        ROW,
        ROW.replace("meta-llama/Llama-3.1-8B-Instruct", "nobody/nothing"),
        ROW.replace("h100-sxm", "abacus"),
        ROW.replace(",16,1000", ",many,1000"),
        ROW.replace("closed_loop", "half_open"),
    )
    found = compare_served(path)
    assert len(found.answers) == 5
    assert isinstance(found.answers[0], Predicted)
    reasons = [str(each) for each in found.answers[1:]]
    for reason, word in zip(
        reasons, ("unknown model", "unknown device", "concurrency", "unknown kind"), strict=True
    ):
        assert word in reason
    assert sum(found.unanswered.values()) == 4


def test_what_stands_in_is_said(tmp_path: Path) -> None:
    path = table(tmp_path, ROW, ROW.replace("vllm", "mine"), ROW.replace("h100-sxm", "mi300x"))
    plain, engine, device = (each for each in compare_served(path).answers)
    assert isinstance(plain, Predicted)
    assert isinstance(engine, Predicted)
    assert isinstance(device, Predicted)
    assert plain.note == ""
    assert "mine" in engine.note
    assert "floor" in device.note


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ({"tp": "TP4"}, (4, 1, 1, 1)),
        ({"tp": "DEP8"}, (1, 1, 8, 8)),
        ({"tp": "TP1PP2"}, (1, 2, 1, 1)),
        ({"tp": "4", "moe_tp": "1", "moe_ep": "4"}, (4, 1, 1, 4)),
        ({"tp": "64", "dp": "1", "moe_tp": "8", "moe_ep": "8"}, (8, 1, 1, 8)),
        ({"tp": "1", "dp": "64", "moe_tp": "8", "moe_ep": "8"}, (1, 1, 8, 8)),
        ({"tp": "4", "dp": "4.0", "moe_tp": "1", "moe_ep": "16"}, (1, 1, 4, 4)),
        ({"devices": "8"}, (8, 1, 1, 1)),
        ({}, (1, 1, 1, 1)),
    ],
)
def test_layouts_as_tables_write_them(
    cells: dict[str, str], expected: tuple[int, int, int, int]
) -> None:
    base = {"kind": "closed_loop", "model": "m", "device": "d", "isl": "1", "osl": "1"}
    run = run_of(base | {"concurrency": "8"} | cells, "row")
    assert (run.tp, run.pp, run.attention_dp, run.ep) == expected


def test_decode_workers_must_be_counted() -> None:
    cells = {"kind": "disaggregated", "model": "m", "device": "d", "isl": "1", "osl": "1"}
    with pytest.raises(ScenarioError, match="how many workers"):
        run_of(cells | {"concurrency": "8"}, "row")


def test_precision_means_the_checkpoints_own_format_where_it_is_one() -> None:
    assert weights_of(load_model("deepseek-r1"), "fp8") is None
    assert weights_of(load_model("deepseek-r1"), "fp4") == "nvfp4"
    assert weights_of(load_model("gpt-oss-120b"), "fp4") is None


def test_the_command_recognises_the_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, output = table(tmp_path, f"{ROW},0.03,0.008,"), tmp_path / "out.csv"
    assert is_served_table(path)
    assert execute(["compare", str(path), "--tolerance", "10", "-o", str(output)]) == 0
    assert "TPOT" in capsys.readouterr().out
    (row,) = csv.DictReader(output.open(encoding="utf-8"))
    assert float(row["predicted_tpot_p10_s"]) < float(row["predicted_tpot_s"])
    assert float(row["predicted_output_tokens_per_s"]) > 0
    assert row["fitted"] in ("True", "False")


def test_the_step_of_a_closed_loop_is_the_step_of_the_simulator(tmp_path: Path) -> None:
    (row,) = read_served_table(table(tmp_path, ROW))
    assert row.run is not None
    site, habits = site_of(row.run), habits_of("vllm", "bf16")
    (closed,) = bare_steps(site, [row.run]).step_s(habits)
    mean = REAL_LENGTH * (row.run.isl + row.run.osl / 2)
    step = Step.decode(16, round(mean))
    assert float(replace(site, habits=habits).step_seconds("p50")(step)) == pytest.approx(
        closed, rel=1e-9
    )


def test_published_runs_that_were_not_fitted(shared_data: Path) -> None:
    closed = compare_served(shared_data / "end_to_end" / "closed_loop.csv")
    for figure, median in (("tpot_s", 0.12), ("ttft_s", 0.30), ("output_tokens_per_s", 0.15)):
        found = closed.errors(figure)
        assert found.answered >= 0.95 * found.rows
        assert found.median_fraction is None or found.median_fraction <= median
    tpot = closed.errors("tpot_s")
    assert tpot.p90_fraction is not None
    assert tpot.p90_fraction <= 0.40
    queued = compare_served(shared_data / "end_to_end" / "saturated.csv")
    found = queued.errors("output_tokens_per_s")
    assert found.median_fraction is not None
    assert found.median_fraction <= 0.15
    workers = compare_served(shared_data / "end_to_end" / "disaggregated.csv").errors("tpot_s")
    assert workers.median_fraction is not None
    assert workers.median_fraction <= 0.20
