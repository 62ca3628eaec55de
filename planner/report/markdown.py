"""The report as Markdown (GitHub flavour); charts become their points as tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import singledispatch

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
    SourceEntry,
    SourceList,
    Table,
)

TERMS_SHOWN = 5
"""Addends of a figure that are listed; the XLSX, HTML and JSON reports have all."""

_MARKUP = re.compile(r"([\\`*\[\]|~$#])|(?<![^\W_])(_+)|(_+)(?![^\W_])")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def write_markdown(document: Document) -> bytes:
    """Return a document as Markdown.

    Parameters
    ----------
    document : Document
        The report.

    Returns
    -------
    bytes
        UTF-8. No text of the plan is read as markup or HTML.
    """
    parts = [f"# {escaped(document.title)}", escaped(document.subtitle)]
    for section in document.sections:
        parts.append(f"## {escaped(section.title)}")
        for block in section.blocks:
            parts.extend(_lines(block))
    return ("\n\n".join(part for part in parts if part) + "\n").encode()


def escaped(text: str) -> str:
    r"""Return a text that Markdown shows as it is.

    Parameters
    ----------
    text : str
        One line.

    Returns
    -------
    str
        With backslashes and entities where a character would be markup.

    Examples
    --------
    >>> escaped("<b> kv_heads *x* | _y_")
    '&lt;b&gt; kv_heads \\*x\\* \\| \\_y\\_'
    """
    entities = "".join(_ENTITIES.get(character, character) for character in text)
    return _MARKUP.sub(lambda match: "".join(f"\\{c}" for c in match[0]), entities)


def code(text: str) -> str:
    """Return a text as inline code, whatever backticks it holds.

    Parameters
    ----------
    text : str
        One line.

    Returns
    -------
    str
        Between enough backticks.

    Examples
    --------
    >>> code("a`b")
    '`` a`b ``'
    """
    fence = _fence(text, 1)
    pad = " " if "`" in text else ""
    return f"{fence}{pad}{text}{pad}{fence}" if text else ""


def _fence(text: str, least: int) -> str:
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    return "`" * max(least, longest + 1)


@singledispatch
def _lines(block: Block) -> Iterator[str]:
    raise TypeError(f"Markdown has no form for {type(block).__name__}")


@_lines.register
def _(block: Paragraph) -> Iterator[str]:
    marks = {"good": "> **{}**", "bad": "> **{}**", "note": "_{}_", "plain": "{}"}
    yield marks[block.tone].format(escaped(block.text))


@_lines.register
def _(block: Figures) -> Iterator[str]:
    yield _heading(block.title)
    rows = [
        ("figure", "value", "exact", "note"),
        ("---", "---:", "---:", "---"),
        *(
            tuple(map(escaped, (figure.label, figure.text, figure.exact, figure.note)))
            for figure in block.figures
        ),
    ]
    width = 4 if any(figure.note for figure in block.figures) else 3
    yield "\n".join(_row(row[:width]) for row in rows)


@_lines.register
def _(block: Table) -> Iterator[str]:
    yield _heading(block.title)
    lines = [
        _row(escaped(column.header) for column in block.columns),
        _row("---:" if column.numeric else "---" for column in block.columns),
    ]
    for number, row in enumerate(block.rows, start=1):
        bold = block.total and number == len(block.rows)
        lines.append(
            _row(f"**{escaped(c.text)}**" if bold and c.text else escaped(c.text) for c in row)
        )
    yield "\n".join(lines)


@_lines.register
def _(block: ChartBlock) -> Iterator[str]:
    yield _heading(block.chart.title)
    yield escaped(block.chart.alt)
    yield from list(_lines(block.data))[1:]


@_lines.register
def _(block: Equation) -> Iterator[str]:
    figure = block.figure
    cited = f" [{', '.join(map(escaped, block.sources))}]" if block.sources else ""
    lines = [
        f"- **{escaped(figure.label)}**, {code(figure.path)}: {escaped(block.meaning)}{cited}",
        f"  - = {code(block.formula)}",
        f"  - = {code(block.substituted)}",
        f"  - = **{escaped(figure.text)}**" + (f" = {figure.exact}" if figure.exact else ""),
    ]
    shown = block.largest_terms(TERMS_SHOWN)
    lines += [
        f"    - {escaped(term.label)}: {escaped(term.text)}"
        + (f" ({escaped(term.detail)})" if term.detail else "")
        for term in shown
    ]
    if len(shown) < len(block.terms):
        lines.append(f"    - and {len(block.terms) - len(shown)} smaller")
    yield "\n".join(lines)


@_lines.register
def _(block: Bullets) -> Iterator[str]:
    yield _heading(block.title)
    yield "\n".join(f"- {escaped(item)}" for item in block.items)


@_lines.register
def _(block: SourceList) -> Iterator[str]:
    yield "\n".join(f"- {code(entry.id)} {_source(entry)}" for entry in block.entries)


def _source(entry: SourceEntry) -> str:
    parts = [
        f"**{escaped(entry.title)}**",
        escaped(entry.publisher),
        entry.kind,
        entry.date,
        _autolink(entry.url),
        f"accessed {entry.accessed}" if entry.accessed else "",
        escaped(entry.detail),
    ]
    return ". ".join(part for part in parts if part) + "."


@_lines.register
def _(block: Code) -> Iterator[str]:
    yield _heading(block.title)
    fence = _fence(block.text, 3)
    yield f"{fence}\n{block.text}\n{fence}"


@_lines.register
def _(block: Link) -> Iterator[str]:
    yield f"{escaped(block.title)}: {_autolink(block.url)}"


def _autolink(url: str) -> str:
    plain = re.fullmatch(r"https?://[!-;=?-~]+", url)
    return f"<{url}>" if plain else escaped(url)


def _heading(title: str) -> str:
    return f"### {escaped(title)}" if title else ""


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
