"""The page "Validation": verdict first, records from anywhere, no PyTorch."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from planner.ui.markdown import plain
from validation.cli import cli
from validation.error_charts import error_chart, scatter_chart
from validation.findings import MOST_GROUPS, MOST_RECORD_BYTES, MOST_ROWS, examine
from validation.setting import commands

testing = pytest.importorskip("streamlit.testing.v1", reason="the extra 'ui' is not installed")

RECORD = Path(__file__).resolve().parents[1] / "data" / "validation_record.json"
Open = Callable[..., Any]


@pytest.fixture
def content() -> dict[str, Any]:
    """A made-up record of 36 rows: one kernel wrong, one failed, one out of memory."""
    return dict(json.loads(RECORD.read_bytes()))


@pytest.fixture
def open_page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Open:
    """Open the page with records by file name, as if they were shipped."""

    def script() -> None:
        from validation import page

        page.page()

    def open_(query: dict[str, str] | None = None, /, **shipped: bytes) -> Any:
        monkeypatch.setattr("validation.page.RECORDS", tmp_path)
        for name, data in shipped.items():
            (tmp_path / f"{name}.json").write_bytes(data)
        app = testing.AppTest.from_function(script, default_timeout=30)
        for key, value in (query or {}).items():
            app.query_params[key] = value
        app.run()
        assert not app.exception, app.exception
        return app

    return open_


def upload(app: Any, data: bytes, name: str = "mine.json") -> Any:
    app.get("file_uploader")[0].upload(name, data).run()
    assert not app.exception, app.exception
    return app


def metrics(app: Any) -> dict[str, str]:
    return {metric.label: metric.value for metric in app.metric}


def text_of(app: Any) -> str:
    return "\n".join(element.value for element in app.markdown)


def as_bytes(record: dict[str, Any]) -> bytes:
    return json.dumps(record).encode()


def host(record: dict[str, Any]) -> dict[str, Any]:
    """The same times on a host, whose ceilings were measured."""
    environment = {**record["environment"], "device": "cpu"}
    del environment["spec_id"]
    ceilings = {"memory_bytes_per_s": 4.8e12, "flops_per_s": {"bf16": 9.9e14}, "call_s": 2e-6}
    return {**record, "environment": environment, "ceilings": ceilings}


def test_without_a_record_the_page_says_so(open_page: Open) -> None:
    app = open_page()
    assert "No record comes with this version" in app.info[0].value
    assert not app.metric
    assert "python -m validation run --device cuda:0" in app.code[0].value


def test_the_verdict_comes_first(open_page: Open) -> None:
    app = open_page(made_up=RECORD.read_bytes())
    verdict = app.warning[0].value
    assert "Within the tolerance of 30%, but 3 of 36 rows failed or are wrong" in verdict
    assert "Made-up H200 of the tests" in verdict
    assert "in the median of 15 rows that were not fitted" in verdict
    assert "Floors at efficiency 1 are off by" in verdict
    assert "median of 31 rows" in verdict
    assert "GPUs" not in verdict
    shown = metrics(app)
    assert shown["Rows"] == "36"
    assert shown["Kernels right"] == "27 of 28"
    assert shown["Failed or wrong"] == "3"
    assert shown["Median error of time"] in verdict


def test_a_record_of_a_host_says_nothing_about_gpus(
    open_page: Open, content: dict[str, Any]
) -> None:
    rows = [row for row in content["rows"] if row["status"] == "ok"]
    app = open_page(host=as_bytes({**host(content), "rows": rows}))
    assert "they say nothing about GPUs" in app.success[0].value


def test_predictions_outside_the_tolerance_are_said_to_be(
    open_page: Open, content: dict[str, Any]
) -> None:
    for number, row in enumerate(content["rows"]):
        if "timing" in row:
            row["timing"]["measured_s"] *= (1, 30)[number % 2]
    app = open_page(noisy=as_bytes(content))
    assert "Outside the tolerance of 30%" in app.error[0].value


def test_a_few_rows_are_not_calibrated(open_page: Open, content: dict[str, Any]) -> None:
    app = open_page(short=as_bytes({**content, "rows": content["rows"][:1]}))
    assert "Not calibrated: too few times" in app.info[0].value
    assert "Median error of floors" in metrics(app)
    app = open_page({"rec": "empty"}, empty=as_bytes({**content, "rows": []}))
    assert "no row has both a time and a prediction" in app.info[0].value
    assert metrics(app)["Median error of floors"] == "–"


def test_every_fault_stands_there_with_its_reason(open_page: Open, content: dict[str, Any]) -> None:
    text = text_of(open_page(made_up=RECORD.read_bytes()))
    faults = [row for row in content["rows"] if row["status"] != "ok"]
    assert len(faults) == 3
    for row in faults:
        assert plain(row["reason"]) in text


def test_the_environment_is_told(open_page: Open) -> None:
    text = text_of(open_page(made_up=RECORD.read_bytes()))
    for name, value in (
        ("driver", "570.00"),
        ("highest clock", "1.98 GHz"),
        ("PyTorch", "2.13.0"),
        ("Triton", "3.7.1"),
        ("power limit", "700 W"),
        ("benchmark\\_version", "1"),
    ):
        assert f"| {name} | {value} |" in text


def test_the_table_by_kind_counts_every_row_once(open_page: Open) -> None:
    text = text_of(open_page(made_up=RECORD.read_bytes()))
    lines = text.split("| kind |")[1].split("\n\n")[0].splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    *kinds, last = [row for row in cells if len(row) == 7]
    assert last[:2] == ["all", "31"]
    assert last[3] == "15"
    assert sum(int(row[1]) for row in kinds) == 31
    assert sum(int(row[3]) for row in kinds) == 15


def test_floors_are_drawn_where_they_are_asked_for(open_page: Open) -> None:
    app = open_page(made_up=RECORD.read_bytes())
    points = [drawn_points(app)]
    app.segmented_control(key="predictions").set_value("Floors at efficiency 1").run()
    assert not app.exception
    points.append(drawn_points(app))
    assert points == [15, 31]


def drawn_points(app: Any) -> int:
    scatter = json.loads(app.get("plotly_chart")[0].proto.spec)
    traces = [trace for trace in scatter["data"] if trace["mode"] == "markers"]
    return sum(len(trace["x"]) for trace in traces)


def test_charts_hold_what_the_record_holds(content: dict[str, Any]) -> None:
    shown = examine(RECORD.read_bytes(), RECORD.name)
    scatter, errors = scatter_chart(shown.floors), error_chart(shown.floors)
    assert scatter.x.log
    assert scatter.y.log
    drawn = sorted(x for series in scatter.series if series.mark == "point" for x in series.x)
    times = sorted(1e3 * r["timing"]["measured_s"] for r in content["rows"] if "timing" in r)
    assert drawn == pytest.approx(times)
    assert all(y < 0 for s in errors.series if s.mark == "point" for y in s.y), "floors are floors"
    assert "31 rows" in scatter.alt


def test_the_comparison_lists_every_time() -> None:
    rows = list(csv.DictReader(io.StringIO(examine(RECORD.read_bytes(), "r.json").table)))
    assert len(rows) == 31
    assert sum(row["fitted"] == "False" for row in rows) == 15
    assert all(float(row["predicted_s"]) > float(row["floor_s"]) > 0 for row in rows)


def test_an_upload_is_shown_and_stays_beside_the_shipped_ones(
    open_page: Open, content: dict[str, Any]
) -> None:
    app = open_page(made_up=RECORD.read_bytes())
    upload(app, as_bytes({**content, "rows": content["rows"][:20]}))
    assert metrics(app)["Rows"] == "20"
    assert app.selectbox(key="rec").options == ["made_up", "Uploaded: mine.json"]
    app.selectbox(key="rec").set_value("made_up").run()
    assert metrics(app)["Rows"] == "36"
    app.selectbox(key="rec").set_value("uploaded").run()
    assert metrics(app)["Rows"] == "20"


def changed(record: dict[str, Any], **parts: Any) -> bytes:
    return as_bytes({**record, **parts})


def bad_files() -> dict[str, tuple[bytes, str]]:
    good = RECORD.read_bytes()
    record = json.loads(good)
    row, environment = record["rows"][0], record["environment"]
    model = {**row, "kind": "model_decode", "shape": {"model": "/etc/passwd"}}
    many = [{**row, "id": f"{i}"} for i in range(MOST_ROWS + 1)]
    kernels = [{**row, "id": f"{i}", "kernel": f"k{i}"} for i in range(MOST_GROUPS + 1)]
    timing = row["timing"]
    return {
        "truncated": (good[:3000], "not valid JSON"),
        "empty": (b"", "not valid JSON"),
        "html": (b"<html></html>", "not valid JSON"),
        "not text": (b"\xff\xfe\x00\x01", "not UTF-8"),
        "list": (b"[1, 2]", "not a JSON object"),
        "nested": (b'{"rows":' * 100_000 + b"1" + b"}" * 100_000, "nested too deeply"),
        "huge": (b" " * (MOST_RECORD_BYTES + 1), "too large for a record"),
        "model": (b'{"hidden_size": 4096}', "not a record of a validation run"),
        "schema": (changed(record, schema_version=99), "schema_version"),
        "extra field": (changed(record, comment="x"), "comment"),
        "no environment": (changed(record, environment={}), "environment"),
        "status": (changed(record, rows=[{**row, "status": "fine"}]), "status"),
        "not finite": (good.replace(b'"seed":1', b'"seed":NaN', 1), "not a finite number"),
        "no time": (changed(record, rows=[{**row, "timing": {**timing, "measured_s": 0}}]),
                    "not a time"),
        "a file for a device": (
            changed(record, environment={**environment, "spec_id": "/etc/passwd"}),
            "no device of the catalog",
        ),
        "a file for a model": (changed(record, rows=[model]), "no model of the catalog"),
        "too many rows": (changed(record, rows=many), "too many rows"),
        "too many kernels": (changed(record, rows=kernels), "too many kernels"),
    }  # fmt: skip


@pytest.mark.parametrize("kind", bad_files())
def test_a_bad_upload_is_one_paragraph_and_nothing_is_lost(open_page: Open, kind: str) -> None:
    data, expected = bad_files()[kind]
    app = open_page(made_up=RECORD.read_bytes())
    before = metrics(app)
    upload(app, data, "bad.json")
    assert len(app.error) == 1
    text = str(app.error[0].value)
    assert plain(expected) in text
    assert plain("bad.json") in text
    assert "\n" not in text
    assert len(text) < 800
    assert metrics(app) == before
    upload(app, RECORD.read_bytes())
    assert not app.error


def test_a_shipped_record_that_is_damaged_is_said_and_the_others_open(open_page: Open) -> None:
    app = open_page(a_broken=b"{", b_whole=RECORD.read_bytes())
    assert "not valid JSON" in app.error[0].value
    assert "python -m validation run" in app.code[0].value
    app.selectbox(key="rec").set_value("b_whole").run()
    assert not app.error
    assert metrics(app)["Rows"] == "36"


def test_an_unknown_record_in_a_link_leads_to_the_first(open_page: Open) -> None:
    app = open_page({"rec": "../../etc/passwd"}, made_up=RECORD.read_bytes())
    assert app.selectbox(key="rec").value == "made_up"


def test_what_a_record_says_is_not_taken_for_markdown(
    open_page: Open, content: dict[str, Any]
) -> None:
    name = "**x** [a](http://b) $y$ <b>"
    content["environment"]["device_name"] = name
    content["rows"][-3]["reason"] = name
    app = open_page(odd=as_bytes(content))
    assert plain(name) in app.warning[0].value
    assert name not in text_of(app)


@pytest.mark.parametrize("where", commands())
def test_the_commands_are_those_of_the_command_line(where: str) -> None:
    lines = commands()[where].lines.splitlines()
    assert lines[0] == 'python -m pip install -e ".[validation]"'
    names = []
    for line in lines[1:]:
        name, *arguments = line.partition("-m validation ")[2].split()
        command = cli.commands[name]
        command.make_context(name, arguments)
        names.append(name)
    assert names == ["run", "calibrate", "compare"]


def test_the_page_needs_no_torch(tmp_path: Path) -> None:
    (tmp_path / "made_up.json").write_bytes(RECORD.read_bytes())
    program = f"""
import sys
sys.modules["torch"] = sys.modules["triton"] = None
from pathlib import Path
from streamlit.testing.v1 import AppTest
from validation import page
page.RECORDS = Path({str(tmp_path)!r})
app = AppTest.from_string("from validation import page; page.page()", default_timeout=60).run()
assert not app.exception, app.exception
assert len(app.metric) == 4
loaded = {{name.partition(".")[0] for name, module in sys.modules.items() if module}}
assert not loaded & {{"torch", "triton", "transformers"}}, loaded
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120,
        cwd=RECORD.parents[2],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
