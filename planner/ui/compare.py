"""The page "Compare": devices that each model needs of each kind for one load."""

from __future__ import annotations

import streamlit as st

from planner.errors import PlannerError
from planner.serving.objectives import MEETS, REASONS
from planner.ui import frame
from planner.ui.markdown import plain, table
from planner.ui.serve_inputs import (
    MOST_CHOICES,
    Load,
    ask_devices,
    ask_load,
    models_of_catalog,
    service_of,
)
from planner.units import format_seconds


def page() -> None:
    """Draw the page: a row for each model, a column for each device."""
    frame.begin("Compare", "Compare – which model on which device for this load?")
    models = st.multiselect(
        "Models",
        models_of_catalog(),
        default=["llama-3.1-8b", "llama-3.1-70b"],
        key="cm",
        max_selections=MOST_CHOICES,
        bind="query-params",
    )
    devices = ask_devices("cd", ["h100-sxm", "l40s"])
    load = ask_load()
    rows = []
    try:
        for model in models:
            cells = [_cell(str(model), device, load) for device in devices]
            rows.append([plain(str(model)), *cells])
    except PlannerError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    if not rows or not devices:
        st.info("Choose a model and a device.", icon=":material/info:")
        return
    st.header("Fewest devices within the objectives", anchor=False)
    st.markdown(table(["model", *map(plain, devices)], rows))
    st.caption(
        "In closed form, by means over requests, at the p90 of step times; the page Serve "
        "simulates one choice."
    )


@st.cache_data(show_spinner=False, max_entries=128)
def _cell(model: str, device: str, load: Load) -> str:
    service = service_of(model, (device,), load)
    if not service.deployables:
        return "does not fit"
    found = service.candidates
    place = int(found.best_order()[0])
    deployable, _, replicas = service.settings_of(place)
    if found.reason[place] != MEETS:
        return f"misses {REASONS[int(found.reason[place])]}"
    return (
        f"**{int(found.devices[place]):,}** ({replicas:,} × tp {deployable.labels['tp']}), "
        f"TTFT {format_seconds(float(found.ttft_s[place]))}, "
        f"TPOT {format_seconds(float(found.tpot_s[place]))}"
    )
