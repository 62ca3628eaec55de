"""Plotly figures of the planner's charts: one renderer for all of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from planner.charts import Axis, Chart, Series
from planner.palette import DARK_GRID, DARK_INK, GRID, INK, look
from planner.ui.markdown import plain, table

CONFIG = {"displayModeBar": False, "scrollZoom": False, "responsive": True}
"""No tool bar: a chart is read, its numbers are in the table below it."""
MOST_POINTS = 200
"""Most points of one trace; a browser stays quick with so many."""

Figure = dict[str, Any]
"""A Plotly figure as plain data."""

_FEW_DECADES = 10**2.5
"""Up to this ratio an axis has marks at 2 and 5 too."""

_STACKED_HEIGHT_PX = 150
_HEIGHT_PX = 380
_WIDEST_LABEL_SHARE = 0.09
_GROUND, _DARK_GROUND = "#FFFFFF", "#10161C"
_LEGEND_BELOW = {"orientation": "h", "y": -0.35, "yanchor": "top", "x": 0, "traceorder": "normal"}
_MARKERS = {"triangle": "triangle-up"}
_PREFIXES = ((2**30, "G"), (2**20, "M"), (2**10, "K"))


def figure(chart: Chart, *, dark: bool = False) -> Figure:
    """Return a chart as a Plotly figure of fixed height.

    Parameters
    ----------
    chart : Chart
        What is drawn.
    dark : bool
        Whether the page is dark.

    Returns
    -------
    dict
        Data and layout as Plotly names them. Stacked bars lie on their side, with the limit as a
        line across.
    """
    if chart.stacked:
        return _stacked(chart, dark)
    ink, grid = (DARK_INK, DARK_GRID) if dark else (INK, GRID)
    lines = {series.component for series in chart.series if series.mark == "line"}
    return {
        "data": [
            _trace(series, chart, dark)
            | {"showlegend": series.mark == "line" or series.component not in lines}
            for series in chart.series
        ],
        "layout": {
            "height": _HEIGHT_PX,
            "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
            "font": {"color": ink},
            "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
            "hovermode": "closest",
            "xaxis": _axis(chart.x, [x for s in chart.series for x in s.x], grid),
            "yaxis": _axis(chart.y, [y for s in chart.series for y in s.y], grid),
        },
    }


def _color(series: Series, dark: bool) -> str:
    shown = look(series.component)
    return shown.dark_color if dark else shown.color


def _trace(series: Series, chart: Chart, dark: bool) -> dict[str, Any]:
    shown, color = look(series.component), _color(series, dark)
    step = max(1, math.ceil(len(series.x) / MOST_POINTS))
    points = slice(None, None, step)
    trace: dict[str, Any] = {
        "type": "scatter",
        "name": series.name,
        "x": [_drawn(x, chart.x) for x in series.x[points]],
        "y": [_drawn(y, chart.y) for y in series.y[points]],
        "text": series.texts[points],
        "hoverinfo": "text" if series.texts else "x+y",
    }
    if series.mark == "line":
        dash = ",".join(f"{length}px" for length in shown.dash) or "solid"
        width = 2 if series.dashed else 3
        trace |= {"mode": "lines", "line": {"color": color, "dash": dash, "width": width}}
    else:
        symbol = _MARKERS.get(shown.marker, shown.marker)
        marker = {"color": color, "symbol": symbol, "size": 9, "opacity": 0.85}
        trace |= {"mode": "markers", "marker": marker}
    return trace


def _drawn(value: float | str, axis: Axis) -> float | str | None:
    """A logarithmic axis has no place for zero."""
    return None if axis.log and not isinstance(value, str) and value <= 0 else value


def _axis(axis: Axis, values: Sequence[float | str], grid: str) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "title": {"text": axis.label, "standoff": 8},
        "gridcolor": grid,
        "zeroline": False,
        "automargin": True,
    }
    numbers = [v for v in values if not isinstance(v, str) and v > 0]
    if not axis.log or not numbers:
        return settings
    base = 4 if "tokens" in axis.label else 10
    low, high = min(numbers), max(numbers)
    first, last = math.floor(math.log(low, base)), math.ceil(math.log(high, base))
    steps = (1, 2, 5) if base == 10 and high < _FEW_DECADES * low else (1,)
    ticks = [step * float(base) ** power for power in range(first, last + 1) for step in steps]
    edge = 0.03 * math.log10(high / low) if high > low else 0.5
    return settings | {
        "type": "log",
        "range": [math.log10(low) - edge, math.log10(high) + edge],
        "tickvals": ticks,
        "ticktext": [_tick(tick, binary=base == 4) for tick in ticks],
    }


def _tick(value: float, *, binary: bool) -> str:
    if binary:
        for size, prefix in _PREFIXES:
            if value >= size:
                return f"{value / size:g}{prefix}"
    return f"{value:,.10g}" if value >= 1 else f"{value:.6g}"


def _stacked(chart: Chart, dark: bool) -> Figure:
    ink, grid = (DARK_INK, DARK_GRID) if dark else (INK, GRID)
    bars = [series for series in chart.series if series.mark == "bar"]
    limits = [series for series in chart.series if series.mark == "line"]
    total = sum(series.y[0] for series in bars)
    end = max([total, *(series.y[0] for series in limits)])
    shapes, notes = [], []
    for series in limits:
        at = series.y[0]
        shapes += _limit(at, _color(series, dark), dark)
        anchor = "right" if at > 0.8 * end else "left"
        notes.append(
            {"x": at, "y": 1, "yref": "paper", "yanchor": "bottom", "xanchor": anchor}
            | {"text": series.name, "showarrow": False, "font": {"color": ink}}
        )
    return {
        "data": [_bar(series, end, dark) for series in bars],
        "layout": {
            "barmode": "stack",
            "height": _STACKED_HEIGHT_PX,
            "margin": {"l": 28, "r": 8, "t": 24, "b": 8},
            "font": {"color": ink},
            "legend": _LEGEND_BELOW,
            "showlegend": True,
            "shapes": shapes,
            "annotations": notes,
            "xaxis": {
                "ticksuffix": f" {chart.y.label}",
                "range": [0, end * 1.01],
                "gridcolor": grid,
                "zeroline": False,
            },
            "yaxis": {"visible": False},
        },
    }


def _limit(at: float, color: str, dark: bool) -> list[dict[str, Any]]:
    """A dashed line on a halo, to be seen on any bar."""
    place = {"type": "line", "x0": at, "x1": at, "y0": 0, "y1": 1, "yref": "paper"}
    halo = {"color": _DARK_GROUND if dark else _GROUND, "width": 7}
    return [
        place | {"line": halo},
        place | {"line": {"color": color, "width": 3, "dash": "6px,3px"}},
    ]


def _bar(series: Series, end: float, dark: bool) -> dict[str, Any]:
    color = _color(series, dark)
    wide = series.y[0] > _WIDEST_LABEL_SHARE * end
    return {
        "type": "bar",
        "orientation": "h",
        "name": series.name,
        "x": [series.y[0]],
        "y": [""],
        "width": 0.9,
        "marker": {"color": color, "line": {"width": 0}},
        "text": [f"{series.y[0]:,.2f}" if wide else ""],
        "textposition": "inside",
        "insidetextanchor": "middle",
        "textangle": 0,
        "textfont": {"color": _readable(color), "size": 14},
        "hovertext": series.texts,
        "hoverinfo": "text",
    }


def _readable(color: str) -> str:
    """Black or white, whichever stands out more on a colour."""
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#000000" if luminance > 0.179 else "#FFFFFF"


def data_table(chart: Chart) -> str:
    """Return the numbers of a chart as a Markdown table.

    Parameters
    ----------
    chart : Chart
        What is drawn.

    Returns
    -------
    str
        Curves over one axis side by side; everything else point by point.
    """
    if chart.stacked:
        sizes = [[plain(series.name), _cell(series.y[0])] for series in chart.series]
        return table(["part", chart.y.label], sizes, right=(1,))
    curves = [series for series in chart.series if series.mark == "line"]
    if len(curves) > 1 and len({series.x for series in curves}) == 1:
        header = [plain(chart.x.label), *(plain(series.name) for series in curves)]
        rows = [
            [_cell(x), *(_cell(series.y[i]) for series in curves)]
            for i, x in enumerate(curves[0].x)
        ]
        return f"Values in {chart.y.label}:\n\n{table(header, rows, right=range(len(header)))}"
    header = ["point", plain(chart.x.label), plain(chart.y.label)]
    rows = [
        [plain(text or series.name), _cell(x), _cell(y)]
        for series in chart.series
        for x, y, text in zip(
            series.x, series.y, series.texts or ("",) * len(series.x), strict=True
        )
    ]
    return table(header, rows, right=(1, 2))


def _cell(value: float | str) -> str:
    if isinstance(value, str):
        return plain(value)
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"
