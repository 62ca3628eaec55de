"""The report as an Excel workbook: a sheet per section, numbers as numbers, native charts."""

from __future__ import annotations

import datetime
import io
import math
import re
from collections.abc import Sequence
from functools import singledispatchmethod
from typing import Any

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
    Section,
    SourceList,
    Table,
    Value,
)
from planner.report.xlsx_chart import native_chart

_CREATED = datetime.datetime(2000, 1, 1)  # the same for every report, so that bytes are the same
_OPTIONS = {
    "in_memory": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
}
_MOST_CHARACTERS = 32_767
_WIDEST, _NARROWEST = 58, 10
_CHART_ROWS = 20
_PROSE_COLUMNS, _PROSE_CHARACTERS = 5, 100
_A4 = 9
_STYLES: dict[str, dict[str, Any]] = {
    "title": {"bold": True, "font_size": 15},
    "subtitle": {"font_color": "#52606d"},
    "heading": {"bold": True, "font_size": 12},
    "header": {"bold": True, "bottom": 1, "valign": "bottom", "align": "left", "indent": 1},
    "number_header": {"bold": True, "bottom": 1, "valign": "bottom", "align": "right"},
    "text": {"valign": "top", "align": "left", "indent": 1},
    "wrapped": {"valign": "top", "align": "left", "indent": 1, "text_wrap": True},
    "whole": {"valign": "top", "num_format": "#,##0"},
    "large": {"valign": "top", "num_format": "#,##0.000"},
    "small": {"valign": "top", "num_format": "0.000000"},
    "tiny": {"valign": "top", "num_format": "0.000E+00"},
    "good": {"bold": True, "font_color": "#006b4f", "text_wrap": True, "valign": "top"},
    "bad": {"bold": True, "font_color": "#a33b00", "text_wrap": True, "valign": "top"},
    "note": {"font_color": "#52606d", "text_wrap": True, "valign": "top"},
    "plain": {"text_wrap": True, "valign": "top"},
    "code": {"font_name": "Consolas", "text_wrap": True, "valign": "top"},
}


def write_xlsx(document: Document) -> bytes:
    """Return a document as a workbook.

    Parameters
    ----------
    document : Document
        The report.

    Returns
    -------
    bytes
        Raw values in base units, the unit in the header or beside; every text is a string, none is
        read as a formula or a link.
    """
    import xlsxwriter  # type: ignore[import-untyped]

    buffer = io.BytesIO()
    book = xlsxwriter.Workbook(buffer, _OPTIONS)
    book.set_properties({"title": document.title[:255], "created": _CREATED})
    styles = {name: book.add_format(style) for name, style in _STYLES.items()}
    names: set[str] = set()
    for number, section in enumerate(document.sections):
        sheet = _Sheet(book, _sheet_name(section, names), styles)
        if number == 0:
            sheet.text(document.title, "title")
            sheet.text(document.subtitle, "subtitle")
        else:
            sheet.text(section.title, "title")
        for block in section.blocks:
            sheet.add(block)
        sheet.finish()
    terms = [b for s in document.sections for b in s.blocks if isinstance(b, Equation) and b.terms]
    if terms:
        sheet = _Sheet(book, "Terms", styles)
        sheet.text("All parts of the equations", "title")
        sheet.terms(terms)
        sheet.finish()
    book.close()
    return buffer.getvalue()


def _sheet_name(section: Section, taken: set[str]) -> str:
    """Return a name that Excel admits: 31 characters, no brackets, colons or slashes, unique."""
    clean = re.sub(r"[\[\]:*?/\\']", " ", section.sheet or section.title).strip()[:28] or "Sheet"
    name = clean
    while name.lower() in taken:
        name = f"{clean} {len(taken)}"[:31]
    taken.add(name.lower())
    return name


def _number_style(value: float) -> str:
    if value == int(value):
        return "whole"
    return "large" if abs(value) >= 1 else "small" if abs(value) >= 1e-3 else "tiny"


class _Sheet:
    """A worksheet that is filled from the top."""

    def __init__(self, book: Any, name: str, styles: dict[str, Any]) -> None:
        self.book = book
        self.sheet = book.add_worksheet(name)
        self.name = name
        self.styles = styles
        self.row = 0
        self.frozen: int | None = None
        self.widths: dict[int, int] = {}
        self.proses: dict[int, int] = {}
        self.in_equations = False

    def text(self, text: str, style: str) -> None:
        """Write one line that may run over the columns to its right."""
        self.sheet.write_string(self.row, 0, text[:_MOST_CHARACTERS], self.styles[style])
        self.row += 1

    def prose(self, text: str, style: str = "plain") -> None:
        """Write running text over several columns, as many lines high as it needs."""
        self.sheet.merge_range(self.row, 0, self.row, _PROSE_COLUMNS - 1, "")
        self.proses[self.row] = len(text)
        self.text(text, style)

    def header(self, titles: Sequence[str], numeric: Sequence[bool]) -> None:
        """Write the header of a table; the first one stays in view."""
        for column, (title, is_number) in enumerate(zip(titles, numeric, strict=True)):
            style = self.styles["number_header" if is_number else "header"]
            self.sheet.write_string(self.row, column, title[:_MOST_CHARACTERS], style)
            self._widen(column, len(title))
        self.row += 1
        if self.frozen is None and self.row <= 6:
            self.frozen = self.row

    def line(self, values: Sequence[Value]) -> None:
        """Write one row of values, each as what it is."""
        for column, value in enumerate(values):
            self._cell(column, value)
        self.row += 1

    def _cell(self, column: int, value: Value) -> None:
        if value is None or value == "":
            return
        if isinstance(value, bool):
            self.sheet.write_boolean(self.row, column, value, self.styles["text"])
            return
        if isinstance(value, str):
            style = "wrapped" if len(value) > _WIDEST else "text"
            self.sheet.write_string(self.row, column, value[:_MOST_CHARACTERS], self.styles[style])
            self._widen(column, len(value))
            return
        self.sheet.write_number(self.row, column, value, self.styles[_number_style(value)])
        self._widen(column, len(f"{value:,.0f}") + (0 if value == int(value) else 4))

    def _widen(self, column: int, characters: int) -> None:
        width = min(max(characters + 2, _NARROWEST), _WIDEST)
        self.widths[column] = max(width, self.widths.get(column, 0))

    def finish(self) -> None:
        """Set widths and what stays in view."""
        spare = _PROSE_CHARACTERS - sum(
            self.widths.setdefault(column, _NARROWEST) for column in range(_PROSE_COLUMNS)
        )
        self.widths[_PROSE_COLUMNS - 1] += max(0, spare)
        for column, width in self.widths.items():
            self.sheet.set_column(column, column, width)
        for row, characters in self.proses.items():
            self.sheet.set_row(row, 16 * max(1, math.ceil(characters / _PROSE_CHARACTERS)))
        self.sheet.freeze_panes(self.frozen or 1, 0)
        self.sheet.set_landscape()
        self.sheet.set_paper(_A4)
        self.sheet.fit_to_pages(1, 0)

    def terms(self, equations: Sequence[Equation]) -> None:
        """Write every addend of every equation."""
        self.header(("figure", "part", "value", "unit", "how"), (False, False, True, False, False))
        for equation in equations:
            for term in equation.terms:
                self.line((equation.figure.path, term.label, term.value, term.unit, term.detail))

    @singledispatchmethod
    def add(self, block: Block) -> None:
        """Write a block below what is there."""
        raise TypeError(f"XLSX has no form for {type(block).__name__}")

    @add.register
    def _(self, block: Paragraph) -> None:
        self.prose(block.text, block.tone)

    @add.register
    def _(self, block: Figures) -> None:
        self._heading(block.title)
        noted = any(figure.note for figure in block.figures)
        heads = ["figure", "value", "unit", "rounded", "path in the JSON"]
        heads += ["note"] if noted else []
        self.header(heads, [head == "value" for head in heads])
        for figure in block.figures:
            value = figure.text if figure.value is None else figure.value
            unit = "" if figure.unit == "1" else figure.unit
            self.line((figure.label, value, unit, figure.text, figure.path, figure.note))

    @add.register
    def _(self, block: Table) -> None:
        self._heading(block.title)
        self._rows(block)

    def _rows(self, block: Table) -> None:
        self.header(
            [column.raw_header for column in block.columns],
            [column.numeric for column in block.columns],
        )
        for row in block.rows:
            self.line([cell.text if cell.value is None else cell.value for cell in row])

    @add.register
    def _(self, block: ChartBlock) -> None:
        self._heading(block.chart.title)
        first = self.row + 1
        chart = native_chart(self.book, self.name, block.chart, first)
        self._rows(block.data)
        self.sheet.insert_chart(
            self.row + 1, 0, chart, {"description": block.chart.alt[:_MOST_CHARACTERS]}
        )
        self.row += _CHART_ROWS + 2

    @add.register
    def _(self, block: Equation) -> None:
        if not self.in_equations:
            heads = (
                "path in the JSON", "figure", "value", "unit", "rounded", "meaning", "formula",
                "with numbers", "sources",
            )  # fmt: skip
            self.header(heads, [head == "value" for head in heads])
            self.in_equations = True
        figure = block.figure
        unit = "" if figure.unit == "1" else figure.unit
        self.line(
            (
                figure.path,
                figure.label,
                figure.value,
                unit,
                figure.text,
                block.meaning,
                block.formula,
                block.substituted,
                ", ".join(block.sources),
            )
        )

    @add.register
    def _(self, block: Bullets) -> None:
        self._heading(block.title)
        for item in block.items:
            self.prose(item)

    @add.register
    def _(self, block: SourceList) -> None:
        heads = ("id", "kind", "title", "publisher", "address", "date", "accessed", "detail")
        self.header(heads, [False] * len(heads))
        for entry in block.entries:
            self.line(
                (
                    entry.id,
                    entry.kind,
                    entry.title,
                    entry.publisher,
                    entry.url,
                    entry.date,
                    entry.accessed,
                    entry.detail,
                )
            )

    @add.register
    def _(self, block: Code) -> None:
        self._heading(block.title)
        self.prose(block.text, "code")

    @add.register
    def _(self, block: Link) -> None:
        self._heading(block.title)
        self.prose(block.url)

    def _heading(self, title: str) -> None:
        if self.row:
            self.row += 1
        if title:
            self.text(title, "heading")
