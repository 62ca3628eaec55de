"""Charts of a workbook, drawn by Excel from the cells under them."""

from __future__ import annotations

import math
from typing import Any

from planner.charts import Axis, Chart, Series
from planner.palette import look
from planner.report.columns import layout_of

_MARKERS = {"circle": "circle", "square": "square", "diamond": "diamond", "triangle": "triangle"}
_SIZE = {"width": 900, "height": 380}


def native_chart(book: Any, sheet: str, chart: Chart, first: int) -> Any:
    """Return a chart over the cells of its data table.

    Parameters
    ----------
    book : Workbook
        Where it is added.
    sheet : str
        Name of the sheet that holds the table.
    chart : Chart
        What is drawn; its table is the one that :func:`planner.report.columns.chart_block` makes.
    first : int
        Row of the first point, from zero. [1]

    Returns
    -------
    Chart
        To be inserted into a sheet.
    """
    made = _stack(book, sheet, chart, first) if chart.stacked else _lines(book, sheet, chart, first)
    made.set_title({"name": chart.title[:200], "name_font": {"size": 11}, "overlay": False})
    made.set_size(_SIZE)
    made.set_legend({"position": "right"})
    return made


def _stack(book: Any, sheet: str, chart: Chart, first: int) -> Any:
    made = book.add_chart({"type": "column", "subtype": "stacked"})
    limits = book.add_chart({"type": "line"})
    row = first
    for series in chart.series:
        last = row + len(series.y) - 1
        common = {"name": [sheet, row, 0], "values": [sheet, row, 1, last, 1]}
        color = look(series.component).color
        if series.mark == "bar":
            made.add_series({**common, "fill": {"color": color}, "gap": 60})
        else:
            marker = {"type": "long_dash", "size": 30, "fill": {"color": color}}
            marker["border"] = {"color": color}
            limits.add_series({**common, "marker": marker, "line": {"none": True}})
        row = last + 1
    made.combine(limits)
    made.set_y_axis({"name": chart.y.label, "min": 0})
    made.set_x_axis({"label_position": "none", "name": ""})
    return made


def _lines(book: Any, sheet: str, chart: Chart, first: int) -> Any:
    made = book.add_chart({"type": "scatter", "subtype": "straight"})
    row = first
    shared = layout_of(chart) == "shared"
    for number, series in enumerate(chart.series):
        last = (first if shared else row) + len(series.x) - 1
        start = first if shared else row
        x, y = (0, number + 1) if shared else (1, 2)
        if not series.x:
            continue
        made.add_series(
            {
                # A name given as text would be read as a formula where it begins with "=".
                "name": [sheet, first - 1, y] if shared else [sheet, start, 0],
                "categories": [sheet, start, x, last, x],
                "values": [sheet, start, y, last, y],
                **_drawn(series),
            }
        )
        row = last + 1
    made.set_x_axis(_axis(chart.x, [x for s in chart.series for x in s.x]))
    made.set_y_axis(_axis(chart.y, [y for s in chart.series for y in s.y]))
    return made


def _drawn(series: Series) -> dict[str, Any]:
    style = look(series.component)
    if series.mark == "point":
        fill = {"color": style.color}
        marker = {"type": _MARKERS[style.marker], "size": 7, "fill": fill, "border": fill}
        return {"marker": marker, "line": {"none": True}}
    dash = "dash" if series.dashed else "solid"
    width = 1.75 if series.dashed else 2.5
    return {
        "marker": {"type": "none"},
        "line": {"color": style.color, "width": width, "dash_type": dash},
    }


def _axis(axis: Axis, values: list[Any]) -> dict[str, Any]:
    made: dict[str, Any] = {"name": axis.label, "major_gridlines": {"visible": True}}
    positive = [value for value in values if value > 0]
    if axis.log and positive:
        made["log_base"] = 10
        made["min"] = 10.0 ** math.floor(math.log10(min(positive)))
        made["max"] = 10.0 ** math.ceil(math.log10(max(positive)))
        made["crossing"] = "min"
        made["num_format"] = "General"
    return made
