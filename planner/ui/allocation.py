"""The part of the page "Size" on an engine: from the label capacity to what is left."""

from __future__ import annotations

import streamlit as st

from planner.engines import Allocation, steps
from planner.plan import Plan
from planner.ui.markdown import plain, table
from planner.units import format_bytes


def allocation(plan: Plan) -> None:
    """Draw what the engine takes, step by step; nothing where none was named.

    Parameters
    ----------
    plan : Plan
        The answer.
    """
    found = plan.deployment.allocation
    if found is None:
        return
    st.header(f"What {plain(found.engine)} {plain(found.version)} allocates", anchor=False)
    st.markdown(_printed(found))
    st.markdown(_way(plan, found))
    st.markdown(_beside(plan))


def _printed(found: Allocation) -> str:
    pool = found.pool
    tokens = "–" if pool.reported_cache_tokens is None else f"{pool.reported_cache_tokens:,}"
    many = "–" if pool.max_concurrency is None else f"{pool.max_concurrency:,.2f}"
    longest = pool.max_context_tokens
    return (
        f"{pool.blocks:,} blocks of {pool.block_tokens:,} tokens. When it starts, the engine "
        f"prints a cache of **{tokens} tokens** and **{many} requests** of "
        f"{pool.max_model_len:,} tokens at once. Longest request that fits: "
        + ("no limit." if longest is None else f"{longest:,} tokens.")
    )


def _way(plan: Plan, found: Allocation) -> str:
    rows = [
        [
            plain(step.item.name),
            format_bytes(step.item.bytes),
            format_bytes(step.left_bytes),
            plain(step.item.rule),
            plain(step.item.versions),
        ]
        for step in steps(found, int(plan.memory.cache_bytes))
    ]
    return table(["step", "size", "left", "why", "versions"], rows, right=range(1, 3))


def _beside(plan: Plan) -> str:
    data = plan.to_dict()["memory"]
    devices = plan.deployment.layout.devices
    rows = [
        [
            label,
            format_bytes(data["architectural"][key]),
            format_bytes(devices * data["per_device"][key]),
        ]
        for label, key in (("Weights", "weights_bytes"), ("Caches of the load", "cache_bytes"))
    ]
    header = ["", "the model needs at least", f"{devices:,} devices allocate"]
    return table(header, rows, right=range(1, 3))
