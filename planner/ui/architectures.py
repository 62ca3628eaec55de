"""The page "Architectures": one backbone, its mixer exchanged, against context."""

from __future__ import annotations

import streamlit as st

from planner.attention_io import RATIOS, layer_traffic
from planner.charts import comparison_charts
from planner.comparison import MEANINGS, METRICS, Comparison, MetricName, compare_variants
from planner.errors import PlannerError
from planner.plan import Plan
from planner.ui import explained, frame, inputs
from planner.ui.charted import numbers, picture
from planner.ui.fields import MOST_CHARACTERS
from planner.ui.markdown import plain, table
from planner.units import format_quantity, parse_count
from planner.variants import VARIANTS, parse_exchanges

_SHORT: dict[MetricName, str] = {
    "cache_bytes": "Cache and state",
    "flop_per_token": "FLOP per token",
    "bytes_per_token": "Bytes per token",
    "step_time_s": "Decode step",
}
_HELP = (
    "MHA, GQA, MQA, MLA, SWA, SSM or HYBRID. Type one with a size to add it: GQA:4 (KV heads), "
    "MLA:512 (rank of the latent), SWA:1K (window), SSM:64 (state), HYBRID:7 (state-space layers "
    "to one of attention)."
)
_LAST = "_last_comparison"


def page() -> None:
    """Draw the page: where each mixer is better first, then the curves."""
    frame.begin("Architectures", "Architectures – what if the mixer were another?")
    asked = inputs.ask()
    if asked.plan is None or asked.problems:
        texts = "\n\n".join(plain(problem.text) for problem in asked.problems)
        st.error(texts, icon=":material/error:")
    names, longest = _choices()
    if asked.plan is None:
        return
    comparison = _compared(asked.plan, names, longest)
    if comparison is not None:
        _shown(comparison)
        _kernels(asked.plan)


def _choices() -> tuple[list[str], str]:
    row = st.container(horizontal=True, vertical_alignment="bottom")
    names = row.multiselect(
        "Mixers",
        list(VARIANTS),
        default=list(VARIANTS),
        key="mixers",
        help=_HELP,
        accept_new_options=True,
        max_selections=12,
        bind="query-params",
    )
    longest = row.text_input(
        "Longest context",
        key="longest",
        max_chars=MOST_CHARACTERS,
        placeholder="that of the model",
        help="Where the curves end. 32K = 32,768 and 32k = 32,000.",
        bind="query-params",
        width=220,
    )
    return [str(name) for name in names], (longest or "").strip()


def _compared(plan: Plan, names: list[str], longest: str) -> Comparison | None:
    """Return the comparison; with bad input, a message and the last one."""
    try:
        found = compare_variants(
            plan.deployment.scenario,
            parse_exchanges(",".join(names)),
            longest=parse_count(longest, where="Longest context", least=2) if longest else None,
        )
        st.session_state[_LAST] = found
        return found
    except PlannerError as error:
        st.error(plain(str(error)), icon=":material/error:")
    last: Comparison | None = st.session_state.get(_LAST)
    if last is not None:
        st.warning("Below is the answer to the last valid input.", icon=":material/history:")
    return last


def _shown(comparison: Comparison) -> None:
    load = comparison.deployment
    backbone = comparison.curves[0]
    longest = int(comparison.contexts[-1])
    st.caption(
        f"{plain(backbone.label)} on {load.layout.tp} × "
        f"{plain(load.scenario.hardware.device.name)}, {load.replica_sequences:,} sequences per "
        f"replica, weights {load.execution.weights.name}, KV cache {load.execution.cache.name}. "
        "Depth, widths and feed-forward blocks stay; times are floors."
    )
    st.header("From which context another mixer needs less", anchor=False)
    st.markdown(_crossings(comparison))
    st.caption(
        f"Against {plain(backbone.label)} as it is; how much less is that at {longest:,} tokens. "
        "It says what a mixer takes, not how well a model with it answers."
    )
    st.header("Against context", anchor=False)
    places = [place for _ in range(0, len(METRICS), 2) for place in st.columns(2)]
    for place, metric, chart in zip(places, METRICS, comparison_charts(comparison), strict=True):
        with place:
            st.subheader(MEANINGS[metric][0], anchor=False)
            picture(chart, key=metric)
            numbers(chart, key=metric)
    st.caption(
        f"A mark on the line of {plain(backbone.label)} shows from which context another mixer "
        "needs less; its colour is that mixer's."
    )
    st.header("What each one holds", anchor=False)
    st.markdown(_held(comparison))


def _crossings(comparison: Comparison) -> str:
    rows = []
    for curve in comparison.curves[1:]:
        cells = [plain(curve.label)]
        for metric in METRICS:
            found = comparison.crossover(curve.label, metric)
            if found.start is None:
                same = found.factor_at_longest == 1
                cells.append(found.outcome if same else f"never; {found.outcome}")
                continue
            until = "" if found.end is None else f" to {found.end:,}"
            always = found.start <= comparison.contexts[0] and found.end is None
            where = "always" if always else f"from {found.start:,}{until}"
            cells.append(f"{where}; {found.outcome}")
        rows.append(cells)
    return table(["mixer", *(_SHORT[metric] for metric in METRICS)], rows)


def _held(comparison: Comparison) -> str:
    execution = comparison.deployment.execution
    rows = [
        [
            plain(curve.label),
            f"{curve.model.parameters:,}",
            format_quantity(curve.weights_bytes, "bytes"),
            format_quantity(curve.model.cache_bytes_per_token(execution), "bytes"),
            format_quantity(curve.model.state_bytes(execution), "bytes"),
        ]
        for curve in comparison.curves
    ]
    header = ["mixer", "parameters", "weights", "cache per token", "state per sequence"]
    return table(header, rows, right=range(1, 5))


_ORDERS = {
    "materialised_bytes": "Materialised: scores go through memory",
    "flash1_bytes": "FlashAttention-1: keys and values outside",
    "flash2_bytes": "FlashAttention-2 and -3: queries outside",
    "fused_bytes": "The same, with this level-2 cache",
    "compulsory_bytes": "Every operand once",
}


def _kernels(plan: Plan) -> None:
    """Draw what the order of computation saves in the backbone's attention."""
    try:
        layers = layer_traffic(plan)
    except PlannerError:
        return
    st.header("What a fused kernel saves", anchor=False)
    for each in layers:
        traffic = each.traffic
        rows = [
            [
                name,
                format_quantity(int(getattr(traffic, figure)), "bytes"),
                f"{float(traffic.materialised_bytes / getattr(traffic, figure)):.3g}×",
            ]
            for figure, name in _ORDERS.items()
        ]
        st.caption(
            f"Memory traffic of attention over one prompt in one of {each.layers} layers "
            f"({plain(each.layer)}): {plain(traffic.explain('saving').substituted)}."
        )
        st.markdown(table(["order of computation", "traffic", "less"], rows, right=(1, 2)))
        with st.popover("How computed", type="tertiary", icon=":material/function:"):
            for figure in (*_ORDERS, *RATIOS):
                explained.brief(traffic.explain(figure))
            st.caption("`planner attention`")
