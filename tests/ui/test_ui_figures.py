"""Plotly figures draw what the charts hold, and nothing else."""

from __future__ import annotations

import math
import re

import plotly.graph_objects as go
import pytest

from planner import Plan, Scenario, load_hardware, load_model, plan
from planner.charts import Chart, charts
from planner.ui.figures import MOST_POINTS, data_table, figure


def answer(model: str, devices: int, context: int) -> Plan:
    hardware = load_hardware("h100-sxm", devices)
    return plan(Scenario(model=load_model(model), hardware=hardware, context=context, sequences=32))


PLANS = [("llama-3.1-70b", 4, 8192), ("llama-3.1-70b", 1, 32768), ("mamba2-2.7b", 1, 8192)]
CHARTS = [chart for case in PLANS for chart in charts(answer(*case))]


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.title)
@pytest.mark.parametrize("dark", [False, True])
def test_figures_hold_the_points_of_their_charts(chart: Chart, dark: bool) -> None:
    drawn = go.Figure(figure(chart, dark=dark))  # Plotly checks every name and value
    assert drawn.layout.height
    series = [s for s in chart.series if not (chart.stacked and s.mark == "line")]
    assert [trace.name for trace in drawn.data] == [s.name for s in series]
    for trace, s in zip(drawn.data, series, strict=True):
        values = trace.x if chart.stacked else trace.y
        assert len(values) <= MOST_POINTS
        assert list(values) == list(s.y)


def test_the_limit_is_a_line_at_the_capacity() -> None:
    shown = answer("llama-3.1-70b", 1, 8192)
    bar = charts(shown)[0]
    drawn = figure(bar)
    at = {shape["x0"] for shape in drawn["layout"]["shapes"]}
    assert at == {shown.capacity_bytes / 2**30}
    assert drawn["layout"]["xaxis"]["range"][1] > sum(s.y[0] for s in bar.series[:-1])


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.title)
def test_tables_hold_every_number(chart: Chart) -> None:
    text = data_table(chart)
    assert len({line.count(" | ") for line in text.splitlines() if "|" in line}) == 1
    cells = [cell.strip().replace(",", "") for cell in text.split("|")]
    numbers = [float(cell) for cell in cells if re.fullmatch(r"[\d.e+-]+", cell)]
    for s in chart.series:
        for y in s.y:
            assert any(math.isclose(y, number, rel_tol=1e-3) for number in numbers)


def test_components_look_the_same_everywhere() -> None:
    from planner.palette import look

    drawn = figure(CHARTS[0])
    colors = {trace["name"]: trace["marker"]["color"] for trace in drawn["data"]}
    assert colors["Weights"] == look("weights").color
