"""The lower part of a plan's page: operations, every figure, assumptions, sources."""

from __future__ import annotations

from typing import Any

import streamlit as st

from planner.charts import roofline_chart
from planner.explain import EXPLAIN
from planner.plan import Plan
from planner.ui import explained
from planner.ui.charted import numbers, picture
from planner.ui.markdown import plain, table
from planner.units import format_bytes, format_seconds, format_si

_PHASES = {"Decode": "decode", "Prefill": "prefill"}
_MEANING = {
    "prefill": "one pass over all prompts",
    "decode": "one new token for every sequence at the full context",
}
_GROUPS = {
    "model": "Model",
    "memory.architectural": "Whole model, one copy",
    "memory.per_device": "Fullest device",
    "prefill": "Prefill",
    "decode": "Decode",
    "capacity": "Limits",
    "engine": "Cache pool",
    "verdict": "Verdict",
}


def operations(plan: Plan, data: dict[str, Any]) -> None:
    """Draw the operations of a step with their bounds, and the roofline.

    Parameters
    ----------
    plan : Plan
        The answer.
    data : dict
        The plan as plain data.
    """
    st.header("Where the time goes", anchor=False)
    chosen = st.segmented_control(
        "Phase",
        list(_PHASES),
        default="Decode",
        required=True,
        key="phase",
        persist_state="session",
    )
    phase = _PHASES[chosen or "Decode"]
    cost = data[phase]
    st.markdown(
        f"{chosen}, {_MEANING[phase]}: **{format_seconds(cost['time_s'])}**{_band(cost)} for "
        f"{format_si(cost['flop'], 'FLOP')}, {format_bytes(cost['read_bytes'])} read and "
        f"{format_bytes(cost['write_bytes'])} written per device; mostly {cost['bound']} bound."
    )
    st.markdown(_operations_table(cost))
    st.subheader("Roofline: what each operation can reach", anchor=False)
    chart = roofline_chart(plan)
    picture(chart, key="roofline")
    numbers(chart, key="roofline")


def _band(cost: dict[str, Any]) -> str:
    floor = format_seconds(cost["floor_s"])
    if cost["time_p10_s"] is None:
        return " at best (a floor: the device has no calibration profile)"
    low, high = format_seconds(cost["time_p10_s"]), format_seconds(cost["time_p90_s"])
    return f" (p10–p90 {low} to {high}, never below {floor})"


def _operations_table(cost: dict[str, Any]) -> str:
    rows = [
        [
            plain(item["layer"]),
            plain(item["name"]),
            f"{item['count']:,}",
            _or_dash(item["flop"], format_si(item["flop"], "FLOP")),
            _moved(item),
            format_seconds(item["time_s"]),
            _share(item["time_s"] / cost["time_s"]),
            item["bound"],
        ]
        for item in cost["operations"]
    ]
    header = ["layer", "operation", "×", "FLOP", "moved", "time", "share", "bound by"]
    return table(header, rows, right=range(2, 7))


def _share(part: float) -> str:
    return f"{part:.1%}" if part >= 0.0005 else "< 0.1%"


def _moved(item: dict[str, Any]) -> str:
    if item["message_bytes"]:
        return f"{format_bytes(item['message_bytes'])} sent"
    return format_bytes(item["read_bytes"] + item["write_bytes"])


def _or_dash(value: float, text: str) -> str:
    return text if value else "–"


def every_figure(plan: Plan) -> None:
    """Draw a choice of all figures with how the chosen one was computed.

    Parameters
    ----------
    plan : Plan
        The answer.
    """
    box = st.expander("Every figure and how it was computed", key="figures", on_change="rerun")
    if not box.open:
        return
    with box:
        path = st.selectbox(
            "Figure", list(EXPLAIN), format_func=figure_name, key="figure", persist_state="session"
        )
        if path:
            explained.show(plan, path, every_term=True)


def figure_name(path: str) -> str:
    """Return a figure's name for people.

    Parameters
    ----------
    path : str
        Where it stands in the plan's JSON.

    Returns
    -------
    str
        Such as ``"Fullest device: weights"``.

    Examples
    --------
    >>> figure_name("memory.per_device.weights_bytes")
    'Fullest device: weights'
    """
    for prefix, group in _GROUPS.items():
        if path.startswith(f"{prefix}."):
            name = path.removeprefix(f"{prefix}.").removesuffix("_bytes").removesuffix("_s")
            return f"{group}: {name.replace('_', ' ')}"
    return path


def assumptions(data: dict[str, Any]) -> None:
    """Draw what was assumed.

    Parameters
    ----------
    data : dict
        The plan as plain data.
    """
    with st.expander("What was assumed", key="assumptions"):
        st.markdown("\n".join(f"- {plain(text)}" for text in data["assumptions"]))


def source_list(plan: Plan) -> None:
    """Draw the sources, linked.

    Parameters
    ----------
    plan : Plan
        The answer.
    """
    box = st.expander("Sources of every figure", key="sources", on_change="rerun")
    if box.open:
        rows = [
            [plain(name), source.kind, explained.citation(source)]
            for name, source in plan.cited().items()
        ]
        box.markdown(table(["id", "kind", "source"], rows))
