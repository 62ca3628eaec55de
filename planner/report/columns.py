"""Columns of numbers in one unit each, so that they can be compared down the column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from planner.charts import Chart, Series
from planner.report.blocks import Cell, ChartBlock, Column, Table, Value
from planner.units import GB, GIB, KB, KIB, MB, MIB

_SCALES: dict[str, tuple[tuple[str, float], ...]] = {
    "bytes": (("GiB", GIB), ("MiB", MIB), ("KiB", KIB), ("B", 1)),
    "FLOP": (("PFLOP", 1e15), ("TFLOP", 1e12), ("GFLOP", GB), ("MFLOP", MB), ("kFLOP", KB)),
    "s": (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6), ("ns", 1e-9)),
}


def text_scale(values: Sequence[float], unit: str) -> tuple[str, float]:
    """Return the unit that suits the largest of some values.

    Parameters
    ----------
    values : sequence of float
        A column. [``unit``]
    unit : str
        Base unit.

    Returns
    -------
    str
        The unit to print.
    float
        How many base units it holds.

    Examples
    --------
    >>> text_scale([0.0021, 0.3], "s")
    ('ms', 0.001)
    """
    scales = _SCALES.get(unit, ((unit, 1.0),))
    most = max((abs(value) for value in values), default=0.0)
    return next((scale for scale in scales if most >= scale[1]), scales[-1])


def fixed_text(value: float, digits: int) -> str:
    """Return a number with a fixed number of digits after the point; what is tiny stays visible.

    Parameters
    ----------
    value : float
        The number. [any]
    digits : int
        Digits after the point. [1]

    Returns
    -------
    str
        With separators.

    Examples
    --------
    >>> fixed_text(1234.5, 2), fixed_text(0.0004, 2), fixed_text(0, 2)
    ('1,234.50', '<0.01', '0')
    """
    if value == 0:
        return "0"
    least = 10.0**-digits
    if abs(value) < least / 2:
        return f"<{least:.{digits}f}" if value > 0 else f">-{least:.{digits}f}"
    return f"{value:,.{digits}f}"


def amounts(title: str, values: Sequence[float], unit: str) -> tuple[Column, list[Cell]]:
    """Return a column of amounts in one printed unit, the raw values behind them.

    Parameters
    ----------
    title : str
        Header without unit.
    values : sequence of float
        The column. [``unit``]
    unit : str
        Base unit: ``"bytes"``, ``"FLOP"``, ``"s"`` or any other, which is printed as it is.

    Returns
    -------
    Column
        With both units.
    list of Cell
        One per value.

    Examples
    --------
    >>> column, cells = amounts("time", [0.0021, 0.3], "s")
    >>> column.header, [cell.text for cell in cells]
    ('time [ms]', ['2.10', '300.00'])
    """
    text_unit, factor = text_scale(values, unit)
    column = Column(title=title, unit=unit, text_unit=text_unit, numeric=True)
    digits = 2 if unit == "bytes" or max(map(abs, values), default=0) >= 100 * factor else 3
    return column, [Cell(text=fixed_text(v / factor, digits), value=v) for v in values]


def scaled(title: str, values: Sequence[float], unit: str) -> tuple[Column, list[Cell]]:
    """Return a column of amounts whose raw values are in the printed unit, too.

    Parameters
    ----------
    title : str
        Header without unit.
    values : sequence of float
        The column. [``unit``]
    unit : str
        Base unit.

    Returns
    -------
    Column
        In the printed unit.
    list of Cell
        One per value.

    Examples
    --------
    >>> scaled("size", [3 * 2**30], "bytes")[1][0].value
    3.0
    """
    text_unit, factor = text_scale(values, unit)
    _, cells = amounts(title, values, unit)
    return Column(title=title, unit=text_unit, numeric=True), [
        Cell(text=cell.text, value=value / factor)
        for cell, value in zip(cells, values, strict=True)
    ]


def counts(title: str, values: Sequence[int], unit: str = "") -> tuple[Column, list[Cell]]:
    """Return a column of whole numbers.

    Parameters
    ----------
    title : str
        Header without unit.
    values : sequence of int
        The column. [``unit``]
    unit : str
        What is counted.

    Returns
    -------
    Column
        Numeric.
    list of Cell
        One per value.
    """
    return Column(title=title, unit=unit, numeric=True), [
        Cell(text=f"{value:,}", value=value) for value in values
    ]


def words(title: str, values: Sequence[str]) -> tuple[Column, list[Cell]]:
    """Return a column of words.

    Parameters
    ----------
    title : str
        Header.
    values : sequence of str
        The column.

    Returns
    -------
    Column
        Not numeric.
    list of Cell
        One per value.
    """
    return Column(title=title), [Cell(text=value, value=value) for value in values]


def table(title: str, *columns: tuple[Column, list[Cell]], total: bool = False) -> Table:
    """Return a table of columns of equal length.

    Parameters
    ----------
    title : str
        What it shows.
    *columns : tuple of (Column, list of Cell)
        As made by the functions of this module.
    total : bool
        Whether the last row sums the others.

    Returns
    -------
    Table
        Row by row.
    """
    heads, cells = zip(*columns, strict=True)
    return Table(title=title, columns=heads, rows=tuple(zip(*cells, strict=True)), total=total)


def chart_block(chart: Chart) -> ChartBlock:
    """Return a chart together with its points as a table.

    Parameters
    ----------
    chart : Chart
        The chart.

    Returns
    -------
    ChartBlock
        Bars as one row each, lines over common positions as one column each, else all points.
    """
    return ChartBlock(chart=chart, data=_points(chart))


def layout_of(chart: Chart) -> Literal["stacked", "shared", "long"]:
    """Return how the points of a chart are laid out as a table.

    Parameters
    ----------
    chart : Chart
        The chart.

    Returns
    -------
    str
        ``"stacked"``: name and value of each part. ``"shared"``: common positions, then a column
        per series. ``"long"``: series, position, value and text of each point.
    """
    if chart.stacked:
        return "stacked"
    return "shared" if len({each.x for each in chart.series}) == 1 else "long"


def _points(chart: Chart) -> Table:
    title = f"Data: {chart.title}"
    series = chart.series
    layout = layout_of(chart)
    if layout == "stacked":
        return table(
            title,
            words("part", [each.name for each in series]),
            _numbers(chart.y.label, [y for each in series for y in each.y]),
        )
    if layout == "shared":
        return table(
            title,
            _numbers(chart.x.label, series[0].x),
            *(_numbers(f"{each.name}, {chart.y.label}", each.y) for each in series),
        )
    names = [name for each in series for name in _point_names(each)]
    return table(
        title,
        words("series", [each.name for each in series for _ in each.x]),
        _numbers(chart.x.label, [x for each in series for x in each.x]),
        _numbers(chart.y.label, [y for each in series for y in each.y]),
        words("point", names),
    )


def _point_names(series: Series) -> tuple[str, ...]:
    return series.texts or ("",) * len(series.x)


def _numbers(title: str, values: Sequence[float | str]) -> tuple[Column, list[Cell]]:
    cells = [Cell(text=_short(value), value=value) for value in values]
    return Column(title=title, numeric=True), cells


def _short(value: Value) -> str:
    if not isinstance(value, int | float):
        return str(value)
    return f"{value:,.0f}" if value == int(value) else f"{value:,.4g}"
