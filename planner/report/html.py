"""The report as one HTML file: inline style, inline charts, no script, nothing to load."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from planner.palette import DARK_GRID, DARK_GROUND, DARK_INK, GRID, GROUND, INK, look
from planner.report.blocks import Block, ChartBlock, Document, exact_text
from planner.report.svg import to_svg

_KINDS = {
    "Bullets", "ChartBlock", "Code", "Equation", "Figures", "Link", "Paragraph", "SourceList",
    "Table",
}  # fmt: skip
_LIGHT = {"ink": INK, "grid": GRID, "ground": GROUND, "free": look("free").color}
_DARK = {
    "ink": DARK_INK,
    "grid": DARK_GRID,
    "ground": DARK_GROUND,
    "free": look("free").dark_color,
}
_TEMPLATES = Path(__file__).with_name("templates")


def write_html(document: Document) -> bytes:
    """Return a document as a self-contained page.

    Parameters
    ----------
    document : Document
        The report.

    Returns
    -------
    bytes
        UTF-8. Every text of the plan is escaped.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters.update(kind=_kind, exact=exact_text, svg=_svg, web=_is_web)
    page = environment.get_template("report.html.j2").render(
        document=document,
        light=_LIGHT,
        dark=_DARK,
    )
    return page.encode()


def _kind(block: Block) -> str:
    name = type(block).__name__
    if name not in _KINDS:
        raise TypeError(f"HTML has no form for {name}")
    return name


def _svg(block: ChartBlock, prefix: str) -> Any:
    """Draw a chart in the colours of the page's theme."""
    from markupsafe import Markup

    svg = to_svg(block.chart, prefix=prefix, alt=True)
    for name, color in _LIGHT.items():
        svg = svg.replace(f'="{color}"', f'="var(--{name})"')
    return Markup(svg)


def _is_web(url: str) -> bool:
    return url.startswith(("https://", "http://"))
