"""The page "Size": does it fit, what takes the room, what would have to change."""

from __future__ import annotations

from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from planner.charts import cache_chart, memory_chart
from planner.plan import Plan
from planner.ui import explained, exports, frame, inputs
from planner.ui.allocation import allocation
from planner.ui.charted import numbers, picture
from planner.ui.details import assumptions, every_figure, operations, source_list
from planner.ui.inputs import Asked
from planner.ui.markdown import plain
from planner.units import format_bytes, format_seconds

_PARTS = {"reserve": "Left alone"}


def page() -> None:
    """Draw the page: the verdict and four figures first, then what they rest on."""
    heading = frame.begin("Size", "Size – does it fit?")
    asked = inputs.ask()
    if asked.plan is None:
        _nothing_yet(asked)
        return
    data = asked.plan.to_dict()
    if asked.problems:
        _stale(asked)
    _verdict(asked.plan)
    _figures(asked.plan, data)
    _export(heading, asked)
    if data["warnings"]:
        st.warning(_listing(data["warnings"]), icon=":material/warning:")
    if asked.plan.suggestions:
        _suggestions(asked.plan)
    _memory(asked.plan)
    allocation(asked.plan)
    _what_if(asked.plan)
    operations(asked.plan, data)
    every_figure(asked.plan)
    assumptions(data)
    source_list(asked.plan)


def _nothing_yet(asked: Asked) -> None:
    texts = "\n\n".join(plain(problem.text) for problem in asked.problems)
    st.error(texts, icon=":material/error:")
    st.markdown("Correct the input on the left; everything else you entered is kept.")


def _stale(asked: Asked) -> None:
    """Say what is wrong where the sidebar is folded away too; the style dims what follows."""
    texts = " ".join(plain(problem.text) for problem in asked.problems)
    with st.container(key="stale"):
        st.warning(
            f"{texts} **Below is the answer to the last valid input.**", icon=":material/history:"
        )


def _verdict(plan: Plan) -> None:
    with st.container(key="verdict"):
        text = plain(plan.verdict)
        if plan.fits:
            st.success(f"**Fits.** {text}", icon=":material/check_circle:")
        else:
            st.error(f"**Does not fit.** {text}", icon=":material/cancel:")


def _figures(plan: Plan, data: dict[str, Any]) -> None:
    memory, capacity, decode = data["memory"]["per_device"], data["capacity"], data["decode"]
    load, one_replica = plan.deployment.load, plan.deployment.layout.dp == 1
    with st.container(key="key_figures"):
        columns = st.columns(4)
    _figure(
        columns[0],
        plan,
        "Memory, fullest device",
        format_bytes(memory["total_bytes"]),
        f"of {format_bytes(memory['capacity_bytes'])}, "
        f"{memory['total_bytes'] / memory['capacity_bytes']:.0%}",
        ("memory.per_device.total_bytes", "memory.per_device.capacity_bytes"),
    )
    _figure(
        columns[1],
        plan,
        "Largest context",
        _limit(capacity["largest_context_tokens"], "tokens"),
        f"at {_sequences(load.sequences)}, {_limiting(capacity['largest_context_limited_by'])}",
        ("capacity.largest_context_tokens",),
    )
    _figure(
        columns[2],
        plan,
        "Most sequences",
        _limit(capacity["most_sequences"], ""),
        f"of {load.context:,} tokens, {_limiting(capacity['most_sequences_limited_by'])}",
        ("capacity.most_sequences",),
    )
    _figure(
        columns[3],
        plan,
        "Decode step, at best",
        format_seconds(decode["floor_s"]),
        ("" if plan.fits else "if it fitted: ")
        + f"typically {format_seconds(decode['time_s'])}, {decode['tokens_per_s']:,.0f} tokens/s"
        + f"{'' if one_replica else ' per replica'}, "
        + f"{decode['bound']} bound",
        ("decode.floor_s", "decode.time_s", "decode.tokens_per_s"),
    )


def _figure(
    column: DeltaGenerator, plan: Plan, label: str, value: str, note: str, paths: tuple[str, ...]
) -> None:
    with column.container(border=True, height="stretch", gap="xxsmall"):
        st.metric(label, value)
        st.caption(note)
        with st.popover("How computed", type="tertiary", icon=":material/function:"):
            for path in paths:
                explained.show(plan, path)


def _limit(value: int | None, unit: str) -> str:
    if not value:
        return "no limit" if value is None else "none"
    return f"{value:,} {unit}".strip()


def _limiting(limited_by: str) -> str:
    words = {"nothing": "nothing limits it", "positions": "as far as its positions go"}
    return words.get(limited_by, f"limited by {limited_by}")


def _sequences(number: int) -> str:
    return "1 sequence" if number == 1 else f"{number:,} sequences"


def _listing(texts: list[str]) -> str:
    return "\n".join(f"- {plain(text)}" for text in texts) if len(texts) > 1 else plain(texts[0])


def _export(heading: DeltaGenerator, asked: Asked) -> None:
    if asked.plan is None:
        return
    with heading.popover("Share", icon=":material/link:"):
        link = exports.share(asked.values)
    with heading.popover("Export", icon=":material/download:"):
        exports.downloads(asked.plan, link)


def _suggestions(plan: Plan) -> None:
    st.header("What would make it fit", anchor=False)
    for i, suggestion in enumerate(plan.suggestions):
        icon = "check" if suggestion.fits else "remove"
        row = st.container(horizontal=True, vertical_alignment="center")
        row.button(
            "Apply",
            key=f"apply_{i}",
            icon=f":material/{icon}:",
            on_click=inputs.apply,
            args=(suggestion.change,),
        )
        row.markdown(plain(suggestion.text))


def _memory(plan: Plan) -> None:
    st.header("What takes the room on the fullest device", anchor=False)
    st.caption(_choices(plan))
    chart = memory_chart(plan)
    picture(chart, key="memory")
    row = st.container(horizontal=True, vertical_alignment="center", key="memory_figures")
    row.caption("How computed:", width="content")
    parts = ("weights", "cache", "activations", "runtime", "graphs", "reserve")
    for name in parts:
        path = f"memory.per_device.{name}_bytes"
        size = getattr(plan.memory, f"{name}_bytes")
        if size:
            with row.popover(
                f"{_PARTS.get(name, name.capitalize())} {format_bytes(size)}", type="tertiary"
            ):
                explained.show(plan, path)
    numbers(chart, key="memory")


def _choices(plan: Plan) -> str:
    """What auto became."""
    chosen = plan.inputs()
    layout = plan.deployment.layout
    further = f" ({layout})" if layout.devices > layout.tp * layout.dp or layout.ep > 1 else ""
    return (
        f"Tensor parallel {chosen['tp']} × {chosen['dp']} "
        f"{'replica' if chosen['dp'] == 1 else 'replicas'}{further}; "
        f"weights {chosen['weights']}, KV cache {chosen['kv_cache_dtype']}, activations "
        f"{chosen['activations']}; prompts of {chosen['isl']:,} tokens, at most "
        f"{chosen['max_num_batched_tokens']:,} tokens in one step."
    )


def _what_if(plan: Plan) -> None:
    st.header("What another mixer would remember", anchor=False)
    st.markdown(
        f"Cache of one sequence on the backbone of {plain(plan.model.name)}, its mixer exchanged "
        "and everything else equal."
    )
    chart = cache_chart(plan)
    picture(chart, key="cache")
    numbers(chart, key="cache")
