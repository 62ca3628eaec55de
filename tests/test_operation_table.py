"""`planner predict`: tables in, tables out, and what is said of rows that cannot be predicted."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest

from planner.cli import run
from planner.errors import ScenarioError
from planner.operation_table import (
    PREDICTED,
    fitted_rows,
    predict_table,
    read_operation_table,
    reasons_of,
    table_text,
)

HEAD = "kind,device,dtype,m,n,k\n"


def written(folder: Path, text: str) -> Path:
    path = folder / "operations.csv"
    path.write_text(text)
    return path


def test_predictions_stand_beside_the_columns_as_read(tmp_path: Path) -> None:
    path = written(
        tmp_path, HEAD + "gemm,h100-sxm,bf16,4096,4096,4096\ngemm,a40,bf16,1,4096,4096\n"
    )
    out = tmp_path / "out.csv"
    assert run(["predict", str(path), "-o", str(out)]) == 0
    rows = list(csv.DictReader(out.open()))
    assert list(rows[0]) == [*HEAD.strip().split(","), *PREDICTED]
    assert [row["bound"] for row in rows] == ["compute", "memory"]
    for row in rows:
        p10, middle, p90 = (float(row[f"predicted{part}_s"]) for part in ("_p10", "", "_p90"))
        assert 0 < p10 <= middle <= p90
    assert float(rows[0]["predicted_s"]) > 2 * 4096**3 / 989.4e12


def test_predicting_twice_changes_nothing(tmp_path: Path) -> None:
    table = read_operation_table(written(tmp_path, HEAD + "gemm,h100-sxm,fp8,64,512,512\n"))
    once = table_text(table, predict_table(table))
    again = read_operation_table(written(tmp_path, once))
    assert table_text(again, predict_table(again)) == once


def test_rows_that_cannot_be_predicted_stay_empty_with_a_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = HEAD + (
        "gemm,h100-sxm,bf16,64,512,512\n"
        "gemm,a100-sxm-80gb,fp8,64,512,512\n"
        "gemm,no-such-device,bf16,64,512,512\n"
        "knitting,h100-sxm,bf16,64,512,512\n"
    )
    path = written(tmp_path, text)
    assert run(["predict", str(path)]) == 0
    said = capsys.readouterr()
    rows = list(csv.DictReader(io.StringIO(said.out)))
    assert [bool(row["predicted_s"]) for row in rows] == [True, False, False, False]
    for part in ("line 3: a100-sxm-80gb has no fp8 rate", "no-such-device", "kind knitting"):
        assert part in said.err


def test_a_table_without_a_single_prediction_is_bad_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, HEAD + "gemm,a100-sxm-80gb,fp8,64,512,512\n")
    assert run(["predict", str(path)]) == 2
    assert capsys.readouterr().out == ""


def test_a_device_can_be_given_for_rows_without_one(tmp_path: Path) -> None:
    table = read_operation_table(written(tmp_path, "kind,dtype,m,n,k\ngemm,bf16,64,512,512\n"))
    assert predict_table(table, "h100-sxm").time_s[0] > 0
    with pytest.raises(ScenarioError, match=r"line 2, column device.*Name the device with -d"):
        predict_table(table)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD + "gemm,h100-sxm,bf16,64,five,512\n", "line 2, column n: not a number; got 'five'"),
        (HEAD + "gemm,h100-sxm,bf16,64,,512\n", "line 2, column n"),
        (HEAD + "gemm,h100-sxm,bf16,-1,512,512\n", "line 2, column m"),
        (HEAD + "gemm,h100-sxm,bf16,1.5,512,512\n", "line 2, column m"),
        (HEAD + "gemm,h100-sxm,bf16,inf,512,512\n", "line 2, column m"),
        (HEAD + "gemm,h100-sxm\n", "line 2: 2 cells, the header has 6"),
        ("kind,device,dtype,m,n\ngemm,h100-sxm,bf16,64,512\n", "operations.csv: k: rows of kind"),
        ("device,dtype\nh100-sxm,bf16\n", "kind: the column is missing"),
        (HEAD, "no operations"),
        ("", "no operations"),
    ],
)
def test_errors_name_file_line_and_column(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ScenarioError) as error:
        predict_table(read_operation_table(written(tmp_path, text)))
    assert message in str(error.value)


def test_only_rows_of_the_fitted_sources_count_as_fitted(tmp_path: Path) -> None:
    text = "kind,device,dtype,m,n,k,source\n"
    text += "".join(f"gemm,h100-sxm,bf16,{m},512,512,mine\n" for m in range(1, 40))
    assert not fitted_rows(read_operation_table(written(tmp_path, text))).any()


def test_reasons_are_counted(tmp_path: Path) -> None:
    text = HEAD + "gemm,a100-sxm-80gb,fp8,64,512,512\n" * 3
    times = predict_table(read_operation_table(written(tmp_path, text)))
    assert list(reasons_of(times)) == [("a100-sxm-80gb has no fp8 rate", 3, 2)]


@pytest.mark.parametrize(
    ("name", "most", "most_p90"),
    [("gemm", 0.08, 0.25), ("attention_prefill", 0.12, 0.30), ("attention_decode", 0.12, 0.30),
     ("mla", 0.15, 0.375), ("moe", 0.18, 0.45), ("collectives", 0.10, 0.33)],
)  # fmt: skip
def test_rows_kept_apart_from_the_fit(
    name: str, most: float, most_p90: float, shared_data: Path
) -> None:
    table = read_operation_table(shared_data / "measurements" / f"{name}.csv")
    times = predict_table(table)
    measured = table.numbers("measured_s", np.arange(table.rows))
    kept = ~fitted_rows(table)
    errors = np.abs(times.time_s / measured - 1)[kept]
    inside = ((times.p10_s <= measured) & (measured <= times.p90_s))[kept]
    assert kept.sum() > table.rows / 6
    assert np.median(errors) <= most
    assert np.quantile(errors, 0.9) <= most_p90
    assert 0.75 <= inside.mean() <= 0.85
