"""The report as a tagged PDF, set by typst from a template; the document goes in as data."""

from __future__ import annotations

import json
from functools import singledispatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

from planner.report.blocks import (
    Block,
    Bullets,
    ChartBlock,
    Code,
    Document,
    Equation,
    Figures,
    Link,
    Paragraph,
    SourceList,
    Table,
)
from planner.report.svg import to_svg

if TYPE_CHECKING:
    from typst import PDFStandard

TERMS_SHOWN = 4
"""Addends of a figure that are listed; the XLSX, HTML and JSON reports have all."""

_TEMPLATE = Path(__file__).with_name("templates") / "report.typ"
_FONT = "Libertinus Serif"  # also in the template
_FIRST_CJK = 0x2E80


def write_pdf(document: Document) -> bytes:
    """Return a document as PDF/UA, or as tagged PDF where a letter is in no font at hand.

    Parameters
    ----------
    document : Document
        The report.

    Returns
    -------
    bytes
        Tagged, with alternative texts, without any date. Fonts are those inside typst; only for
        scripts these lack, fonts of the system are asked.
    """
    import typst

    data = json.dumps(_data(document), ensure_ascii=False)
    try:
        return _compile(data, ["ua-1"])
    except typst.TypstError as error:
        if "could not be displayed" not in str(error):
            raise
        return _compile(data, [])


def _compile(data: str, standards: list[PDFStandard]) -> bytes:
    import typst

    made = typst.compile(
        _TEMPLATE.read_bytes(),
        format="pdf",
        sys_inputs={"document": data},
        pdf_standards=standards,
        ignore_system_fonts=all(ord(character) < _FIRST_CJK for character in data),
    )
    if not isinstance(made, bytes):
        raise TypeError(f"typst made {type(made).__name__} in place of one file")
    return made


def _data(document: Document) -> dict[str, Any]:
    sections = [
        {
            "title": section.title,
            "blocks": [
                {"kind": type(block).__name__.lower(), **_block(block)} for block in section.blocks
            ],
        }
        for section in document.sections
    ]
    return {**_fields(document, "title", "subtitle", "language"), "sections": sections}


def _fields(thing: object, *names: str) -> dict[str, Any]:
    return {name: getattr(thing, name) for name in names}


@singledispatch
def _block(block: Block) -> dict[str, Any]:
    raise TypeError(f"PDF has no form for {type(block).__name__}")


@_block.register
def _(block: Paragraph) -> dict[str, Any]:
    return _fields(block, "text", "tone")


@_block.register
def _(block: Figures) -> dict[str, Any]:
    figures = [
        {**_fields(figure, "label", "text", "note"), "exact": figure.exact}
        for figure in block.figures
    ]
    return {**_fields(block, "title", "key"), "figures": figures}


@_block.register
def _(block: Table) -> dict[str, Any]:
    columns = [
        {**_fields(column, "title", "numeric"), "unit": column.text_unit or column.unit}
        for column in block.columns
    ]
    rows = [[cell.text for cell in row] for row in block.rows]
    return {**_fields(block, "title", "total"), "columns": columns, "rows": rows}


@_block.register
def _(block: ChartBlock) -> dict[str, Any]:
    return {**_fields(block.chart, "title", "alt"), "svg": to_svg(block.chart, font=_FONT)}


@_block.register
def _(block: Equation) -> dict[str, Any]:
    figure = block.figure
    shown = block.largest_terms(TERMS_SHOWN)
    return {
        **_fields(block, "meaning", "formula", "substituted"),
        **_fields(figure, "label", "path", "text"),
        "exact": figure.exact,
        "sources": list(block.sources),
        "terms": [_fields(term, "label", "text", "detail") for term in shown],
        "more": len(block.terms) - len(shown),
    }


@_block.register
def _(block: Bullets) -> dict[str, Any]:
    return _fields(block, "title", "items")


@_block.register
def _(block: SourceList) -> dict[str, Any]:
    names = ("id", "kind", "title", "publisher", "url", "date", "accessed", "detail")
    entries = [_fields(entry, *names) for entry in block.entries]
    return {"entries": [{"source": entry.pop("kind"), **entry} for entry in entries]}


@_block.register
def _(block: Code) -> dict[str, Any]:
    return _fields(block, "title", "text")


@_block.register
def _(block: Link) -> dict[str, Any]:
    return _fields(block, "title", "url")
