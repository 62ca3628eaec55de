"""A comparison as a file: rows, data, a page, a picture."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable
from typing import Any

from planner.charts import Axis, Chart, Component, Series
from planner.errors import ScenarioError
from validation.compare import (
    Comparison,
    Table,
    by_kind,
    by_size,
    describe,
    unpredicted,
    worst,
)

_LOOKS: tuple[Component, ...] = (
    "prefill", "decode", "weights", "cache", "activations", "SSM", "MHA", "GQA", "MQA", "SWA",
)  # fmt: skip


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


def scatter(comparison: Comparison) -> Chart:
    """Return predicted against measured times.

    Parameters
    ----------
    comparison : Comparison
        The comparison.

    Returns
    -------
    Chart
        One series of points per kind, and the line where both are equal.
    """
    series = []
    kinds = dict.fromkeys(pair.observation.kind for pair in comparison.pairs if pair.counts)
    ends: list[float] = []
    for number, kind in enumerate(kinds):
        members = [p for p in comparison.pairs if p.counts and p.observation.kind == kind]
        x = tuple(float(p.observation.measured_s or 0) for p in members)
        y = tuple(float(p.predicted_s or 0) for p in members)
        ends += [*x, *y]
        texts = tuple(describe(p)[0] for p in members)
        look = _LOOKS[number % len(_LOOKS)]
        series.append(Series(name=kind, component=look, mark="point", x=x, y=y, texts=texts))
    low, high = min(ends, default=1e-6), max(ends, default=1.0)
    equal = Series(name="equal", component="roof", mark="line", x=(low, high), y=(low, high))
    median = comparison.median_error
    said = "no row counts" if median is None else f"median error {median:.1%}"
    return Chart(
        title=f"Predicted against measured: {comparison.source}",
        alt=f"{len(ends) // 2} rows predicted by {comparison.by}; {said}.",
        x=Axis(label="measured in s", log=True),
        y=Axis(label="predicted in s", log=True),
        series=(equal, *series),
    )


def to_svg(comparison: Comparison) -> str:
    """Return the scatter as a picture.

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
        matplotlib is not installed.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ScenarioError(
            "a picture needs matplotlib",
            where="-o",
            fix="Install the report extra, or write .csv or .json, which hold the points.",
        ) from error
    from planner.report.svg import to_svg as draw

    return draw(scatter(comparison)) + "\n"


WRITERS: dict[str, Callable[[Comparison], str]] = {
    ".csv": to_csv,
    ".md": to_markdown,
    ".json": to_json,
    ".svg": to_svg,
}
"""Suffix of a file → what writes it."""
