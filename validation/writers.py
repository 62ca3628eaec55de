"""A comparison as a file: rows, data, a page, a picture."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from planner.errors import ScenarioError
from planner.report.svg import to_svg as draw
from validation.compare import (
    Comparison,
    Table,
    by_kind,
    by_size,
    describe,
    unpredicted,
    worst,
)
from validation.error_charts import scatter_chart


def to_csv(comparison: Comparison) -> str:
    """Return all rows with their predictions as a table.

    Parameters
    ----------
    comparison : Comparison
        The comparison.

    Returns
    -------
    str
        The columns as read, then ``predicted_s, predicted_p10_s, predicted_p90_s, floor_s, bound,
        error_fraction, fitted, reason``.
    """
    added = ("predicted_s", "predicted_p10_s", "predicted_p90_s", "floor_s", "bound",
             "error_fraction", "fitted", "reason")  # fmt: skip
    names = dict.fromkeys(name for pair in comparison.pairs for name in pair.observation.cells)
    stream = io.StringIO()
    writer = csv.DictWriter(stream, [*(n for n in names if n not in added), *added], restval="",
                            extrasaction="ignore", lineterminator="\n")  # fmt: skip
    writer.writeheader()
    for pair in comparison.pairs:
        said = pair.observation.forecast
        writer.writerow(
            {
                **pair.observation.cells,
                "predicted_s": _cell(pair.predicted_s),
                "predicted_p10_s": _cell(pair.p10_s),
                "predicted_p90_s": _cell(pair.p90_s),
                "floor_s": _cell(said.floor_s if said else None),
                "bound": (said.bound if said else None) or "",
                "error_fraction": _cell(pair.error),
                "fitted": pair.fitted,
                "reason": pair.observation.reason,
            }
        )
    return stream.getvalue()


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def to_json(comparison: Comparison) -> str:
    """Return errors and points as data.

    Parameters
    ----------
    comparison : Comparison
        The comparison.

    Returns
    -------
    str
        One JSON object.
    """
    points = [
        {
            "kind": pair.observation.kind,
            "id": pair.observation.id,
            "measured_s": pair.observation.measured_s,
            "predicted_s": pair.predicted_s,
            "fitted": pair.fitted,
        }
        for pair in comparison.pairs
    ]
    data: dict[str, Any] = {
        "source": comparison.source,
        "predicted_by": comparison.by,
        "median_error_fraction": comparison.median_error,
        "by_kind": by_kind(comparison),
        "by_size": by_size(comparison),
        "unpredicted": unpredicted(comparison),
        "points": points,
    }
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def markdown_table(table: Table) -> str:
    """Return a table in Markdown, all columns but the first to the right.

    Parameters
    ----------
    table : list of list of str
        The first row is the header.

    Returns
    -------
    str
        Its lines.

    Examples
    --------
    >>> print(markdown_table([["kind", "rows"], ["gemm", "3"]]))
    | kind | rows |
    |---|---:|
    | gemm | 3 |
    """
    head, *rows = table
    rule = "|---|" + "---:|" * (len(head) - 1)
    return "\n".join([_line(head), rule, *map(_line, rows)])


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def to_markdown(comparison: Comparison) -> str:
    """Return a comparison as a page.

    Parameters
    ----------
    comparison : Comparison
        The comparison.

    Returns
    -------
    str
        Markdown.
    """
    lines = [
        f"# {comparison.source}",
        f"Times predicted by {comparison.by}.",
        markdown_table(by_kind(comparison)),
        markdown_table(by_size(comparison)),
        "## Worst rows",
        "\n".join(f"- {title}  \n  {why}" for title, why in map(describe, worst(comparison))),
    ]
    missing = unpredicted(comparison)
    if missing:
        lines += ["## Without a prediction"]
        lines += ["\n".join(f"- {number} × {name}" for name, number in missing.items())]
    return "\n\n".join(lines) + "\n"


def to_svg(comparison: Comparison) -> str:
    """Return predicted against measured times as a picture.

    Parameters
    ----------
    comparison : Comparison
        The comparison.

    Returns
    -------
    str
        An SVG file.

    Raises
    ------
    ScenarioError
        There is no row to draw.
    """
    counted = tuple(pair for pair in comparison.pairs if pair.counts)
    if not counted:
        raise ScenarioError(
            "no row has both a prediction and a time of its own", where=comparison.source
        )
    return draw(scatter_chart(replace(comparison, pairs=counted))) + "\n"


WRITERS: dict[str, Callable[[Comparison], str]] = {
    ".csv": to_csv,
    ".md": to_markdown,
    ".json": to_json,
    ".svg": to_svg,
}
"""Suffix of a file → what writes it."""
