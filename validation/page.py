"""The page "Validation": how far predictions are from times that somebody measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from planner.errors import PlannerError
from planner.ui import frame
from planner.ui.markdown import plain
from validation import findings as found
from validation.accuracy import FOLDER
from validation.cli import DEFAULT_TOLERANCE
from validation.findings import Findings, off
from validation.page_details import counts, environment, faults, own_device, times
from validation.shares import percent

RECORDS = FOLDER
"""Records that come with this version."""

_UPLOADED = "uploaded"
_FILE = "_record_file"
_KEPT = "_record"
_PROBLEM = "_record_problem"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A record to show: the name of its file, and its content."""

    name: str
    content: bytes


def page() -> None:
    """Draw the page: the verdict and four figures first, then what they rest on."""
    heading = frame.begin("Validation", "Validation – how far off are the predictions?")
    chosen = _choose(heading)
    shown = _examined(chosen) if chosen else None
    if chosen and shown:
        _downloads(heading, chosen, shown)
        _verdict(shown)
        _figures(shown)
        times(shown)
        faults(shown)
        counts(shown)
        environment(shown)
    own_device()


def _choose(heading: DeltaGenerator) -> Chosen | None:
    """Draw the choice of a record and the upload; return what is chosen."""
    files = {path.stem: path for path in sorted(RECORDS.glob("*.json"))}
    kept: Chosen | None = st.session_state.get(_KEPT)
    names = [*files, *([_UPLOADED] if kept else [])]
    name = None
    if names:
        name = heading.selectbox(
            "Record",
            names,
            key="rec",
            bind="query-params",
            label_visibility="collapsed",
            format_func=lambda each: f"Uploaded: {kept.name}" if kept and each == _UPLOADED
            else each,
            width=300,
        )  # fmt: skip
    _upload(heading)
    if name is None:
        st.info(
            "**No record comes with this version yet.** Nothing can be said here about how far "
            "predictions are off. Run the commands below on your own device, or upload a record.",
            icon=":material/info:",
        )
        return None
    if name == _UPLOADED:
        return kept
    return Chosen(name=files[name].name, content=files[name].read_bytes())


def _upload(heading: DeltaGenerator) -> None:
    with heading.popover("Upload", icon=":material/upload_file:"):
        st.file_uploader(
            "Record of a run",
            type=["json"],
            key=_FILE,
            on_change=_take,
            max_upload_size=found.MOST_RECORD_BYTES // 2**20,
            help="What python -m validation run writes. It is read as data and stays in this "
            "session.",
        )
    if st.session_state.get(_PROBLEM):
        st.error(plain(st.session_state[_PROBLEM]), icon=":material/error:")


def _take() -> None:
    """Keep an upload that can be shown; leave everything as it is where it cannot."""
    file = st.session_state.get(_FILE)
    st.session_state[_PROBLEM] = ""
    if file is None:
        return
    chosen = Chosen(name=file.name, content=file.getvalue())
    try:
        _findings(chosen.name, chosen.content)
    except PlannerError as error:
        st.session_state[_PROBLEM] = str(error)
        return
    st.session_state[_KEPT] = chosen
    st.session_state["rec"] = _UPLOADED


@st.cache_resource(show_spinner="Comparing …", max_entries=8)
def _findings(name: str, content: bytes) -> Findings:
    return found.examine(content, name)


def _examined(chosen: Chosen) -> Findings | None:
    try:
        return _findings(chosen.name, chosen.content)
    except PlannerError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return None


def _downloads(heading: DeltaGenerator, chosen: Chosen, shown: Findings) -> None:
    stem = Path(chosen.name).stem
    files: tuple[tuple[str, str, str, Callable[[], str | bytes]], ...] = (
        ("Record (JSON)", f"{stem}.json", "application/json", lambda: chosen.content),
        ("Comparison (CSV)", f"{stem}-comparison.csv", "text/csv",
         lambda: shown.table),
    )  # fmt: skip
    with heading.popover("Export", icon=":material/download:"):
        for label, name, media_type, make in files:
            st.download_button(
                label,
                data=make,
                file_name=name,
                mime=media_type,
                on_click="ignore",
                icon=":material/download:",
                key=f"download_{media_type}",
                width="stretch",
            )


def _verdict(shown: Findings) -> None:
    """Say first how far off, of how many rows, on what; then what that does not tell."""
    of_floors = shown.floors.median_error
    of_calibrated = shown.calibrated.median_error if shown.calibrated else None
    device = plain(shown.record.environment.device_name)
    parts = []
    if shown.calibrated and of_calibrated is not None:
        parts.append(
            f"On {device}, calibrated predictions are off by **{percent(of_calibrated)}** in the "
            f"median of {len(shown.calibrated.pairs)} rows that were not fitted."
        )
    if of_floors is not None:
        subject = "Floors at efficiency 1" if parts else f"On {device}, floors at efficiency 1"
        parts.append(
            f"{subject} are off by {percent(of_floors)} in the median of "
            f"{len(shown.floors.pairs)} rows."
        )
    if shown.uncalibrated:
        parts.append(f"Not calibrated: {plain(shown.uncalibrated)}.")
    if not shown.floors.pairs:
        parts.insert(0, f"On {device}, no row has both a time and a prediction.")
    if shown.is_host:
        parts.append("**These are times of a processor; they say nothing about GPUs.**")
    with st.container(key="verdict"):
        _judged(shown, of_calibrated, " ".join(parts))


def _judged(shown: Findings, of_calibrated: float | None, text: str) -> None:
    limit = f"{DEFAULT_TOLERANCE:.0%}"
    if of_calibrated is None:
        st.info(text, icon=":material/info:")
    elif of_calibrated > DEFAULT_TOLERANCE:
        st.error(f"**Outside the tolerance of {limit}.** {text}", icon=":material/cancel:")
    elif shown.faults:
        some = f"but {len(shown.faults)} of {len(shown.record.rows)} rows failed or are wrong"
        st.warning(f"**Within the tolerance of {limit}, {some}.** {text}", icon=":material/error:")
    else:
        st.success(f"**Within the tolerance of {limit}.** {text}", icon=":material/check_circle:")


def _figures(shown: Findings) -> None:
    rows = shown.record.rows
    timed = sum(row.timing is not None for row in rows)
    checked = [row for row in rows if row.correctness is not None]
    checks = [check for row in rows for check in row.checks if check.rule != "shown"]
    pairs = (shown.calibrated or shown.floors).pairs
    what = "not fitted" if shown.calibrated else "timed"
    median, p90 = off(pairs), off(pairs, 90)
    with st.container(key="key_figures"):
        columns = st.columns(4)
    _figure(
        columns[0],
        "Rows",
        f"{len(rows):,}",
        f"{timed} timed, {len(shown.floors.pairs)} with a floor; the others check results, bytes "
        "or FLOP",
    )
    _figure(
        columns[1],
        "Kernels right",
        f"{sum(row.status == 'ok' for row in checked)} of {len(checked)}",
        f"against their equation; {sum(check.passed for check in checks)} of {len(checks)} counts "
        "of bytes and FLOP as predicted",
    )
    _figure(
        columns[2],
        "Median error of time" if shown.calibrated else "Median error of floors",
        "–" if median is None else percent(median),
        "nothing to compare"
        if p90 is None
        else f"of {len(pairs)} rows {what}; nine in ten are off by less than {percent(p90)}",
    )
    _figure(columns[3], "Failed or wrong", f"{len(shown.faults):,}", _fault_note(shown))


def _figure(column: DeltaGenerator, label: str, value: str, note: str) -> None:
    with column.container(border=True, height="stretch", gap="xxsmall"):
        st.metric(label, value)
        st.caption(note)


def _fault_note(shown: Findings) -> str:
    words = {"failed": "failed", "wrong": "wrong", "out_of_memory": "out of memory"}
    kinds = [row.status for row in shown.faults]
    if not kinds:
        return "every row ran, and no result is wrong"
    told = ", ".join(f"{kinds.count(key)} {word}" for key, word in words.items() if key in kinds)
    return f"{told}; each with its reason below"
