"""Names from files may hold anything; no format reads them as markup, formula or code."""

from __future__ import annotations

import dataclasses
import functools
import io
import json

import openpyxl
import pypdf
import pytest

from planner import Plan, Scenario, load_hardware, load_model, plan
from planner.report import FORMATS, write
from planner.report.markdown import code, escaped

NAMES = {
    "html": "<script>alert(1)</script><img src=x onerror=alert(1)>\"'&amp;",
    "formula": '=cmd|"/c calc"!A1',
    "at": "@SUM(1+1)*cmd|' /C calc'!A0",
    "link": "https://example.org/x",
    "typst": '#panic("x") #import "a.typ" $x$ \\ [a] @b <c> `d` // e /* f */ = g',
    "markdown": "![x](http://example.org/a.png) [a](javascript:alert(1)) | a | `b` __c__ ~~d~~",
    "jinja": "{{ 7 * 7 }} {% raw %}",
    "unicode": "通义千问 😀 e\u0301 \u202eabc",
    "control": "a\x00b\x1b[31mc\nd\ud800e",
    "long": "x" * 3000,
    "underscore": "_hidden",
    "empty": "",
}


@functools.cache
def named(kind: str) -> Plan:
    name = NAMES[kind]
    model = dataclasses.replace(load_model("gpt2"), id=name, name=name, hf_id=name)
    return plan(Scenario(model=model, hardware=load_hardware("l4"), context=512))


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("kind", NAMES)
def test_every_name_can_be_written(kind: str, form: str) -> None:
    content = write(named(kind), form, share_link=NAMES[kind])
    assert len(content) > 1000


def test_html_shows_markup_as_text() -> None:
    page = write(named("html"), "html", share_link="javascript:alert(1)").decode()
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert 'href="javascript' not in page
    assert "{{ 7 * 7 }}" in write(named("jinja"), "html").decode()


def test_html_asks_for_nothing() -> None:
    page = write(named("unicode"), "html").decode()
    for word in ("<script", "<link", "<iframe", "@import", "url(", "src=", "<base"):
        assert word not in page
    assert "default-src 'none'" in page


def test_markdown_shows_markup_as_text() -> None:
    assert "<script" not in outside_code(write(named("html"), "md").decode())
    page = write(named("markdown"), "md", share_link="javascript:alert(1)").decode()
    outside = outside_code(page)
    assert "!\\[x\\](" in outside
    assert "![x](" not in outside
    assert "<javascript" not in outside


def outside_code(page: str) -> str:
    return "".join(page.split("```")[::2])


def test_cells_are_never_formulas_or_links() -> None:
    for kind in ("formula", "at", "link", "html"):
        content = write(named(kind), "xlsx", share_link="=1+1")
        book = openpyxl.load_workbook(io.BytesIO(content))
        cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row]
        assert not [cell for cell in cells if cell.data_type == "f"]
        assert not [cell for cell in cells if cell.hyperlink]
        assert NAMES[kind] in {cell.value for cell in cells}
        assert "=1+1" in {cell.value for cell in cells}


def test_pdf_shows_markup_as_text() -> None:
    reader = pypdf.PdfReader(io.BytesIO(write(named("typst"), "pdf")))
    text = "".join("".join(page.extract_text().split()) for page in reader.pages)
    assert "".join(NAMES["typst"].split()).replace("\u200b", "") in text.replace("\u200b", "")


def test_a_long_name_stays_on_the_page() -> None:
    reader = pypdf.PdfReader(io.BytesIO(write(named("long"), "pdf")))
    right = float(reader.pages[0].mediabox.right)
    places: list[float] = []
    reader.pages[0].extract_text(
        visitor_text=lambda text, cm, tm, font, size: places.append(tm[4]) if text.strip() else None
    )
    assert places
    assert max(places) < right


def test_json_keeps_the_name() -> None:
    found = json.loads(write(named("typst"), "json"))
    assert found["inputs"]["model_name"] == NAMES["typst"]


@pytest.mark.parametrize("text", NAMES.values())
def test_markdown_escapes(text: str) -> None:
    shown = escaped(text)
    assert "<" not in shown
    assert not any(a != "\\" and b in "`[]|*" for a, b in zip(" " + shown, shown, strict=False))
    fenced = code(text)
    assert not fenced or fenced.count("`" * (len(fenced) - len(fenced.lstrip("`")))) >= 2
