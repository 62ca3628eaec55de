"""A chart on the page, with its alternative text and its numbers below."""

from __future__ import annotations

import streamlit as st

from planner.charts import Chart
from planner.ui import frame
from planner.ui.figures import CONFIG, data_table, figure


def picture(chart: Chart, *, key: str) -> None:
    """Draw a chart.

    Parameters
    ----------
    chart : Chart
        What is drawn.
    key : str
        Tells charts apart.
    """
    drawn = figure(chart, dark=frame.is_dark())
    st.plotly_chart(drawn, key=f"chart_{key}", config=CONFIG, alt=chart.alt)


def numbers(chart: Chart, *, key: str) -> None:
    """Draw a chart's table, made when it is opened.

    Parameters
    ----------
    chart : Chart
        What is drawn.
    key : str
        Tells charts apart.
    """
    box = st.expander("Numbers of this chart", key=f"numbers_{key}", on_change="rerun")
    if box.open:
        box.markdown(data_table(chart))
