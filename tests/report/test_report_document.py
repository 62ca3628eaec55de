"""The document, its formats and errors, and what makes a PDF good to read by machine."""

from __future__ import annotations

import io
import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pypdf
import pytest

from planner import Plan, PlannerError, Scenario, cli, load_hardware, load_model, plan
from planner.report import FORMATS, MEDIA_TYPES, file_name, format_of, write
from planner.report.blocks import Code, Equation, EquationTerm, Figure, Link
from planner.report.document import SECTIONS, document
from planner.report.formats import ReportError
from planner.report.printable import printable
from planner.report.sections.reproduce import command, scenario_hash

Written = Callable[[str, str], bytes]


def test_sections_in_reading_order(answer: Plan) -> None:
    made = document(answer)
    assert len(made.sections) == len(SECTIONS) - 1, "all but what an engine allocates"
    titles = [section.title for section in made.sections]
    assert titles[:5] == ["Verdict", "Inputs", "Memory", "Prefill", "Decode"]
    assert titles[-3:] == ["Equations", "Sources", "Reproduce"]


def test_the_share_link_stands_in_the_document() -> None:
    answer = plan(Scenario(model=load_model("gpt2"), hardware=load_hardware("l4")))

    def links(share_link: str | None) -> list[str]:
        blocks = document(answer, share_link=share_link).sections[-1].blocks
        return [block.url for block in blocks if isinstance(block, Link)]

    assert links(None) == []
    assert links("http://127.0.0.1:8501/?m=gpt2") == ["http://127.0.0.1:8501/?m=gpt2"]


@pytest.mark.parametrize(
    "scenario",
    [
        {},
        {"context": 512, "sequences": 7, "weights": "fp8", "kv_cache_dtype": "fp8"},
        {"isl": 100, "osl": 28, "activations": "bf16", "max_num_batched_tokens": 64},
        {"tp": 1, "dp": 2, "context": 256},
    ],
)
def test_the_command_line_gives_the_same_plan(
    scenario: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    devices = 2 if "tp" in scenario else 1
    hardware = load_hardware("h100-sxm", devices)
    asked = Scenario(model=load_model("gpt2"), hardware=hardware, **scenario)  # type: ignore[arg-type]
    answer = plan(asked)
    line = command(answer)
    assert Code(title="Command line", text=line) in document(answer).sections[-1].blocks
    program, *arguments = shlex.split(line)
    assert program == "planner"
    assert cli.run([*arguments, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(answer.to_dict()))


def test_the_hash_names_the_scenario(plan_named: Callable[[str], Plan]) -> None:
    fits, large = plan_named("fits").to_dict(), plan_named("too-large").to_dict()
    assert scenario_hash(fits) == scenario_hash(plan_named("fits").to_dict())
    assert scenario_hash(fits) != scenario_hash(large)


def test_largest_terms_keep_their_order() -> None:
    terms = tuple(
        EquationTerm(label=str(n), text="", value=value, unit="1", detail="")
        for n, value in enumerate((1.0, -9.0, 5.0, 2.0))
    )
    figure = Figure(label="", text="", value=1, unit="1", path="x")
    equation = Equation(figure=figure, meaning="", formula="", substituted="", terms=terms)
    assert [term.label for term in equation.largest_terms(2)] == ["1", "2"]
    assert equation.largest_terms(9) == terms


def test_printable_keeps_what_is_fine() -> None:
    assert printable("Σ · 千 é 😀") == "Σ · 千 é 😀"
    assert printable("a\ud800\u202eb\x07") == "a\ufffd\ufffdb\ufffd"
    figure = Figure(label="a\x00", text="", value=1, unit="1", path="x")
    assert printable((figure,))[0].label == "a\ufffd"


# --- formats ---


@pytest.mark.parametrize("form", FORMATS)
def test_the_suffix_is_the_format(form: str) -> None:
    assert format_of(f"a/b.c.{form.upper()}") == form
    assert format_of(Path(f"plan.{form}")) == form
    assert set(MEDIA_TYPES) == set(FORMATS)


@pytest.mark.parametrize("name", ["plan.docx", "plan", "pdf", ".pdf.exe", ""])
def test_another_suffix_is_an_error_that_lists_the_formats(name: str) -> None:
    with pytest.raises(ReportError, match=r"\.pdf, \.xlsx, \.html, \.md, \.json"):
        format_of(name)


def test_another_format_is_an_error(plan_named: Callable[[str], Plan]) -> None:
    with pytest.raises(PlannerError, match="pdf, xlsx, html, md, json"):
        write(plan_named("fits"), "docx")


@pytest.mark.parametrize(
    ("form", "library"), [("pdf", "typst"), ("xlsx", "xlsxwriter"), ("html", "jinja2")]
)
def test_a_missing_library_says_what_to_install(
    form: str, library: str, monkeypatch: pytest.MonkeyPatch, plan_named: Callable[[str], Plan]
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ReportError, match=rf"{library} is not installed.*\[report\]"):
        write(plan_named("fits"), form)
    for plain in ("md", "json"):
        assert write(plan_named("fits"), plain)


def test_file_names_are_plain(plan_named: Callable[[str], Plan]) -> None:
    assert file_name(plan_named("fits"), "pdf") == "llama-3.1-70b-4x-h100-sxm.pdf"


# --- PDF and XLSX as files ---


def test_the_pdf_is_accessible_and_undated(name: str, written: Written) -> None:
    content = written(name, "pdf")
    reader = pypdf.PdfReader(io.BytesIO(content))
    catalog = reader.trailer["/Root"]
    assert catalog["/MarkInfo"]["/Marked"]
    assert catalog["/Lang"] == "en"
    assert b"pdfuaid:part" in content
    assert reader.metadata is not None
    assert str(reader.metadata.title).startswith(str(document_title(name)))
    assert reader.metadata.creation_date is None
    assert {(round(p.mediabox.width), round(p.mediabox.height)) for p in reader.pages} == {
        (595, 842)
    }
    assert len(reader.pages) <= 10
    assert f"page1of{len(reader.pages)}" in reader.pages[0].extract_text().replace(" ", "")
    assert reader.outline


def document_title(name: str) -> str:
    return {
        "fits": "Llama 3.1 70B",
        "too-large": "Llama 3.1 70B",
        "never-fits": "Llama 3.1 405B",
        "state-space": "Mamba",
        "experts": "gpt-oss",
    }[name]


def test_the_workbook_is_undated_and_its_heads_stay_in_view(written: Written) -> None:
    book = openpyxl.load_workbook(io.BytesIO(written("fits", "xlsx")))
    assert book.properties.created.year == 2000
    assert all(sheet.freeze_panes for sheet in book)
    assert all(len(sheet.title) <= 31 for sheet in book)
