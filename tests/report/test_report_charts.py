"""Charts of reports hold the points of their specification, and nothing else."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from xml.etree import ElementTree

import pytest

from planner import Plan
from planner.charts import Axis, Chart, Component, Series, charts
from planner.palette import PALETTE, look
from planner.report.columns import chart_block
from planner.report.scales import Scale, tick_text
from planner.report.svg import to_svg
from planner.variants import VARIANTS

SVG = "{http://www.w3.org/2000/svg}"


def drawn(chart: Chart) -> dict[str, ElementTree.Element]:
    root = ElementTree.fromstring(to_svg(chart, prefix="p"))
    found = {element.get("id"): element for element in root.iter() if element.get("id")}
    return {str(name): element for name, element in found.items()}


def line(**changes: object) -> Series:
    settings = {"name": "a", "component": "model", "mark": "line", "x": (1, 10), "y": (1.0, 5.0)}
    return Series(**{**settings, **changes})  # type: ignore[arg-type]


def chart_of(*series: Series, log: bool = False, stacked: bool = False) -> Chart:
    x, y = Axis(label="x", log=log), Axis(label="y", log=log)
    return Chart(title="t", alt="a", x=x, y=y, series=series, stacked=stacked)


def test_every_series_is_drawn_with_its_points(answer: Plan) -> None:
    memory, cache, roofline = charts(answer)
    bars = drawn(memory)
    widths = {}
    for number, series in enumerate(memory.series):
        group = bars[f"p-series-{number}"]
        for element in group.iter(f"{SVG}rect"):
            widths[series.name] = float(element.get("width", "nan"))
            assert element.get("fill") == look(series.component).color
    total = sum(widths.values())
    sizes = {s.name: s.y[0] for s in memory.series if s.mark == "bar"}
    for name, width in widths.items():
        assert width / total == pytest.approx(sizes[name] / sum(sizes.values()), abs=1e-4)
    for chart in (cache, roofline):
        found = drawn(chart)
        across, up = axes(chart)
        for number, series in enumerate(chart.series):
            points = places(found[f"p-series-{number}"])
            assert len(points) == len(series.x)
            for (left, top), x, y in zip(points, series.x, series.y, strict=True):
                assert left == pytest.approx(across(float(x)), abs=0.02)
                assert top == pytest.approx(up(y), abs=0.02)


def axes(chart: Chart) -> tuple[Callable[[float], float], Callable[[float], float]]:
    """Positions by the extreme points alone: an axis is a straight line, in logarithms if so."""
    found = drawn(chart)
    known = [
        (float(x), y, place)
        for number, series in enumerate(chart.series)
        for x, y, place in zip(series.x, series.y, places(found[f"p-series-{number}"]), strict=True)
    ]

    def straight(axis: Axis, index: int) -> Callable[[float], float]:
        bend = math.log if axis.log else float
        ends = sorted((bend(point[index]), point[2][index]) for point in known)
        (a, start), (b, stop) = ends[0], ends[-1]
        return lambda value: start + (bend(value) - a) / (b - a) * (stop - start)

    return straight(chart.x, 0), straight(chart.y, 1)


def places(element: ElementTree.Element) -> list[tuple[float, float]]:
    if element.tag == f"{SVG}polyline":
        pairs = (pair.split(",") for pair in element.get("points", "").split())
        return [(float(x), float(y)) for x, y in pairs]
    found = []
    for mark in element:
        if mark.tag == f"{SVG}circle":
            found.append((float(mark.get("cx", "nan")), float(mark.get("cy", "nan"))))
        elif mark.tag == f"{SVG}polygon":
            corners = [tuple(map(float, p.split(","))) for p in mark.get("points", "").split()]
            found.append(tuple(sum(axis) / len(corners) for axis in zip(*corners, strict=True)))
    return found  # type: ignore[return-value]


def test_the_table_under_a_chart_holds_its_points(answer: Plan) -> None:
    for chart in charts(answer):
        raw = {cell.value for row in chart_block(chart).data.rows for cell in row}
        for series in chart.series:
            assert set(series.y) <= raw
            if not chart.stacked:
                assert set(series.x) <= raw


def test_every_component_has_a_look_of_its_own() -> None:
    assert set(PALETTE) == set(Component.__args__)  # type: ignore[attr-defined]
    for group in (
        ("weights", "cache", "activations", "runtime", "graphs", "free", "capacity"),
        ("model", "MHA", "GQA", "MQA", "MLA", "SWA", "SSM", "HYBRID"),
        ("prefill", "decode", "roof"),
    ):
        looks = [PALETTE[name] for name in group]
        assert len({each.color for each in looks}) == len(group)
        assert len({each.dark_color for each in looks}) == len(group)
    dashes = [PALETTE[name].dash for name in VARIANTS]
    assert len(set(dashes)) == len(dashes)
    assert PALETTE["prefill"].marker != PALETTE["decode"].marker


def test_ids_begin_with_the_prefix() -> None:
    svg = to_svg(chart_of(line()), prefix="chart-7")
    assert re.findall(r'id="([^"]*)"', svg) == ["chart-7-series-0"]


def test_texts_are_escaped() -> None:
    series = line(name='<b>&"', texts=("<i>", "&"), mark="point")
    chart = Chart(
        title="t", alt='"><script>', x=Axis(label="<x>"), y=Axis(label="y"), series=(series,)
    )
    svg = to_svg(chart, alt=True, font='"><b>')
    root = ElementTree.fromstring(svg)
    assert root.get("aria-label") == '"><script>'
    assert root.get("role") == "img"
    assert "<script" not in svg
    assert "<b>" not in svg


@pytest.mark.parametrize(
    "chart",
    [
        chart_of(line(x=(1,), y=(5.0,))),
        chart_of(line(x=(1,), y=(5.0,)), log=True),
        chart_of(line(y=(0.0, 0.0))),
        chart_of(line(y=(0.0, 0.0)), log=True),
        chart_of(line(x=(), y=())),
        chart_of(line(x=(), y=(), mark="point"), log=True),
        chart_of(line(x=("a", "b"), mark="bar"), stacked=True),
        chart_of(line(x=("a",), y=(0.0,), mark="bar"), stacked=True),
        chart_of(line(x=(1e-200, 1e200), y=(1e-200, 1e200)), log=True),
    ],
)
def test_odd_charts_can_be_drawn(chart: Chart) -> None:
    svg = to_svg(chart)
    assert "nan" not in svg
    assert "inf" not in svg
    ElementTree.fromstring(svg)


def test_points_without_a_logarithm_are_left_out() -> None:
    chart = chart_of(line(x=(0, 1, 10), y=(1.0, 0.0, 5.0)), log=True)
    assert len(places(drawn(chart)["p-series-0"])) == 1


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize(("low", "high"), [(1.0, 1000.0), (0.002, 0.0021), (3.0, 4.0), (1, 1e12)])
def test_ticks_are_few_and_inside(low: float, high: float, log: bool) -> None:
    scale = Scale.around((low, high), 0, 100, log=log)
    ticks = scale.ticks()
    assert len(ticks) <= 12
    assert all(scale.low <= tick <= scale.high * (1 + 1e-9) for tick in ticks)
    assert len({tick_text(tick) for tick in ticks}) == len(ticks)
    assert scale.position(low) < scale.position(high)
