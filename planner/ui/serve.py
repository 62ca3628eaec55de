"""The page "Serve": objectives in, fleet out, and what breaks first."""

from __future__ import annotations

from typing import Any

import streamlit as st

from planner.charts import Chart
from planner.errors import PlannerError
from planner.service_charts import LoadPoint, front_chart, load_chart, load_curve
from planner.serving.presets import presets
from planner.ui import frame
from planner.ui.charted import numbers, picture
from planner.ui.exports import fleet_downloads
from planner.ui.markdown import plain, table
from planner.ui.serve_inputs import (
    OWN,
    Load,
    ask_cost,
    ask_devices,
    ask_load,
    fleet_of,
    models_of_catalog,
)
from planner.ui.serve_money import growth, owned
from planner.units import format_seconds


def page() -> None:
    """Draw the page: the fleet first, then speed against load, rivals and cost."""
    frame.begin("Serve", "Serve – how many of what for this load?")
    model = st.selectbox(
        "Model",
        models_of_catalog(),
        index=models_of_catalog().index("llama-3.1-70b"),
        key="sm",
        bind="query-params",
    )
    devices = ask_devices("sd", ["h100-sxm", "h200-sxm"])
    load = ask_cost(ask_load())
    try:
        answer, front, points = _answer(str(model), tuple(devices), load)
    except PlannerError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    _verdict(answer, points)
    _curves(front, points)
    _rivals(answer)
    _changes(answer)
    owned(answer)
    growth(answer)
    _launch(answer)
    _footnotes(answer, load)
    st.header("Export", anchor=False)
    fleet_downloads(lambda: fleet_of(str(model), tuple(devices), load))


@st.cache_data(show_spinner=False, max_entries=32)
def _answer(
    model: str, devices: tuple[str, ...], load: Load
) -> tuple[dict[str, Any], Chart, tuple[LoadPoint, ...]]:
    fleet = fleet_of(model, devices, load)
    answer = fleet.to_dict()
    return answer, front_chart(fleet), load_curve(fleet)


def _verdict(answer: dict[str, Any], points: tuple[LoadPoint, ...]) -> None:
    verdict, fleet, money = answer["verdict"], answer["fleet"], answer["economics"]
    say = st.success if verdict["met"] else st.error
    say(plain(verdict["sentence"]), icon=":material/dns:")
    row = st.container(horizontal=True)
    row.metric("Devices", f"{fleet['devices']:,}")
    row.metric("Replicas", f"{fleet['replicas']:,} × tp {fleet['tp']}")
    row.metric("Utilisation", f"{fleet['utilisation_fraction']:.0%}")
    row.metric("In flight per replica", f"{fleet['concurrency']:.0f}")
    if money.get("usd_per_mtok") is not None:
        row.metric("USD per million output tokens", f"{money['usd_per_mtok']:.3f}")
    if money.get("power_w") is not None:
        row.metric("Power, at most", f"{money['power_w'] / 1e3:,.1f} kW")
    broken = next((point for point in points if not point.holds), None)
    if broken is None:
        st.caption("Objectives hold at every load below.")
    else:
        how = "the queue grows" if broken.overloaded else "an objective is missed"
        st.caption(f"From {broken.rate_per_s:.3g} requests per second on, {how}.")


def _curves(front: Chart, points: tuple[LoadPoint, ...]) -> None:
    st.header("Times against load", anchor=False)
    for figure in ("ttft_s", "tpot_s"):
        chart = load_chart(points, figure)
        picture(chart, key=figure)
        numbers(chart, key=figure)
    st.header("Speed against throughput", anchor=False)
    picture(front, key="front")
    numbers(front, key="front")


def _rivals(answer: dict[str, Any]) -> None:
    st.header("Rivals, and why they lost", anchor=False)
    rows = [
        [
            plain(row["deployable"]),
            f"{row['devices']:,}",
            "–" if row["usd_per_h"] is None else f"{row['usd_per_h']:,.2f}",
            "–" if row["ttft_s"] is None else format_seconds(row["ttft_s"]),
            format_seconds(row["tpot_s"]),
            plain(row["lost"] or "chosen"),
        ]
        for row in answer["alternatives"]
    ]
    header = ["deployment", "devices", "USD/h", "mean TTFT", "mean TPOT", "why"]
    st.markdown(table(header, rows, right=range(1, 5)))
    if answer["rejected"]:
        with st.expander(f"{len(answer['rejected'])} that cannot be"):
            for each in answer["rejected"]:
                st.markdown(f"- {plain(each['why'])}")


def _changes(answer: dict[str, Any]) -> None:
    st.header("What breaks it first", anchor=False)
    rows = [
        [
            each["input"],
            f"{each['utilisation']:.0%}",
            "holds" if each["holds"] else "breaks",
            "nothing meets" if each["relative"] is None else f"{each['relative']:+.0%}",
        ]
        for each in answer["sensitivity"]
    ]
    header = ["change", "utilisation of this fleet", "objectives", "cost of the best then"]
    st.markdown(table(header, rows, right=[1, 3]))
    for each in answer["break_points"][1:]:
        name = plain(each["deployable"] or "nothing")
        st.markdown(f"- From {each['rate_per_s']:.3g} requests per second the best is {name}.")


def _launch(answer: dict[str, Any]) -> None:
    st.header("Start one replica", anchor=False)
    for name, command in answer["launch"].items():
        left = "; ".join(answer["launch_left_out"].get(name, ()))
        verified = f"{name}, flags of {answer['launch_verified'][name]}"
        st.caption(plain(f"{verified}; {left}" if left else verified))
        st.code(command, language="bash", wrap_lines=True)


def _footnotes(answer: dict[str, Any], load: Load) -> None:
    st.header("What this rests on", anchor=False)
    for text in answer["assumptions"]:
        st.markdown(f"- {plain(text)}")
    if load.workload == OWN:
        return
    preset = presets()[load.workload]
    for source in preset.sources.values():
        st.markdown(
            f"- {plain(preset.title)}: {plain(source.title)}, {plain(source.publisher or '')}."
        )
    if preset.note:
        st.markdown(f"- {plain(preset.note)}")
