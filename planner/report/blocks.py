"""What a report is made of: sections of blocks, as plain data. No writer is known here.

Every number stands twice: as the text that people read and as the raw value behind it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from planner.charts import Chart

Value = float | int | str | bool | None
Tone = Literal["plain", "good", "bad", "note"]


def exact_text(value: Value) -> str:
    """Return a raw value in full, as a reader can check it against the JSON.

    Parameters
    ----------
    value : float, int, bool, str or None
        A value of the plan.

    Returns
    -------
    str
        Whole numbers with separators, others to nine significant digits or more; empty where it is
        no number.

    Examples
    --------
    >>> exact_text(8030261248), exact_text(131500000.25), exact_text(0.00705123456789)
    ('8,030,261,248', '131,500,000.2', '0.00705123457')
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    if value == int(value):
        return f"{value:,.0f}"
    return f"{value:,.1f}" if abs(value) >= 1e6 else f"{value:,.9g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Paragraph:
    """Running text.

    Parameters
    ----------
    text : str
        The text.
    tone : {"plain", "good", "bad", "note"}
        Good and bad stand out as the verdict, notes step back.
    """

    text: str
    tone: Tone = "plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One number of the plan.

    Parameters
    ----------
    label : str
        What it is.
    text : str
        Rounded, with its unit.
    value : float, int, bool, str or None
        As in the plan. [``unit``]
    unit : str
        Base unit; ``"1"`` for none.
    path : str
        Where it stands in the plan's JSON.
    note : str
        What it is measured against, if anything.
    """

    label: str
    text: str
    value: Value
    unit: str
    path: str
    note: str = ""

    @property
    def exact(self) -> str:
        """The value in full with its base unit; empty where the text already says it."""
        exact = exact_text(self.value)
        if self.text.startswith(exact):
            return ""
        return exact if self.unit == "1" else f"{exact} {self.unit}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Numbers under each other, or side by side where they are the key ones."""

    figures: tuple[Figure, ...]
    title: str = ""
    key: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of a table.

    Parameters
    ----------
    title : str
        Header without unit.
    unit : str
        Unit of the raw values; empty for words and counts.
    text_unit : str
        Unit of the texts, where it is another.
    numeric : bool
        Whether the cells are numbers.
    """

    title: str
    unit: str = ""
    text_unit: str = ""
    numeric: bool = False

    @property
    def header(self) -> str:
        """Header above the texts, with their unit."""
        unit = self.text_unit or self.unit
        return f"{self.title} [{unit}]" if unit else self.title

    @property
    def raw_header(self) -> str:
        """Header above the raw values, with their unit."""
        return f"{self.title} [{self.unit}]" if self.unit else self.title


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One cell: what is read, and the value behind it."""

    text: str
    value: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows under headers; ``total`` tells that the last row sums the others."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    total: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartBlock:
    """A chart, and its points as a table for those who cannot see it or want the numbers."""

    chart: Chart
    data: Table


@dataclass(frozen=True, slots=True, kw_only=True)
class EquationTerm:
    """One addend of a figure: text with unit, and the raw value in ``unit``."""

    label: str
    text: str
    value: float
    unit: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Equation:
    """How one figure came about.

    Parameters
    ----------
    figure : Figure
        The figure.
    meaning, formula, substituted : str
        In words, in symbols, in numbers.
    terms : tuple of EquationTerm
        Its addends, all of them; a writer short of room shows the largest and says so.
    sources : tuple of str
        Ids of what it rests on.
    """

    figure: Figure
    meaning: str
    formula: str
    substituted: str
    terms: tuple[EquationTerm, ...] = ()
    sources: tuple[str, ...] = ()

    def largest_terms(self, most: int) -> tuple[EquationTerm, ...]:
        """Return the largest addends in their own order.

        Parameters
        ----------
        most : int
            How many. [1]

        Returns
        -------
        tuple of EquationTerm
            At most so many, by size without sign.
        """
        ranked = sorted(range(len(self.terms)), key=lambda i: (-abs(self.terms[i].value), i))
        return tuple(self.terms[i] for i in sorted(ranked[:most]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Bullets:
    """A list of sentences."""

    items: tuple[str, ...]
    title: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceEntry:
    """One source with everything needed to find it again; empty where unknown."""

    id: str
    kind: str
    title: str
    publisher: str
    url: str
    date: str
    accessed: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceList:
    """What the figures rest on."""

    entries: tuple[SourceEntry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """Text to be copied as it stands."""

    text: str
    title: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """An address to follow."""

    url: str
    title: str


Block = Paragraph | Figures | Table | ChartBlock | Equation | Bullets | SourceList | Code | Link


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A headed part of the report; ``sheet`` is its short name where it stands alone."""

    title: str
    blocks: tuple[Block, ...]
    sheet: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A whole report.

    Parameters
    ----------
    title, subtitle : str
        What is planned, on what and for which load.
    language : str
        BCP 47 code.
    sections : tuple of Section
        In reading order.
    """

    title: str
    subtitle: str
    sections: tuple[Section, ...]
    language: str = "en"
