"""Share link and downloads of a plan."""

from __future__ import annotations

import functools
import importlib.util
import json
from collections.abc import Callable
from urllib.parse import urlsplit

import streamlit as st

from planner.fleet import Fleet
from planner.plan import Plan
from planner.report import FORMATS, MEDIA_TYPES, file_name, write, write_fleet
from planner.report.formats import Format
from planner.ui.fields import UPLOADED
from planner.ui.link import MOST_CODE_CHARACTERS
from planner.ui.state import share_query

_LABELS = {"pdf": "PDF", "xlsx": "Excel", "html": "HTML", "md": "Markdown"}
_NEEDS = {
    "pdf": ("typst",),
    "xlsx": ("xlsxwriter",),
    "html": ("jinja2",),
    "md": (),
}
_HINT = 'Reports need the report extra: pip install "llm-capacity-planner[report]"'


def share(values: dict[str, str]) -> str:
    """Draw the share link.

    Parameters
    ----------
    values : dict
        The inputs by URL key.

    Returns
    -------
    str
        The link; relative where the browser has not told its address.
    """
    carried = dict(values)
    too_large = carried["m"] == UPLOADED and len(carried["cfg"]) > MOST_CODE_CHARACTERS
    if too_large:
        carried["cfg"] = ""
    link = _address() + share_query(carried)
    st.markdown("This link restores every input.")
    st.code(link, language=None, wrap_lines=True)
    if too_large:
        st.info(
            "The uploaded config.json is too large for a link: whoever opens the link must upload "
            "it again.",
            icon=":material/info:",
        )
    return link


def _address() -> str:
    url = (st.context.url or "").partition("?")[0]
    return f"{url}/" if url and not urlsplit(url).path else url


def downloads(plan: Plan, link: str) -> None:
    """Draw the downloads; a file is made when its button is pressed.

    Parameters
    ----------
    plan : Plan
        The answer.
    link : str
        Share link, printed in reports.
    """
    st.download_button(
        "JSON",
        data=lambda: json_text(plan),
        file_name=file_name(plan, "json"),
        mime=MEDIA_TYPES["json"],
        on_click="ignore",
        icon=":material/data_object:",
        help="The whole plan, as `planner plan --format json` prints it.",
        key="download_json",
        width="stretch",
    )
    for form in FORMATS:
        if form in _LABELS:
            _report(plan, form, link)


def _report(plan: Plan, form: Format, link: str) -> None:
    there = _installed(*_NEEDS[form])
    st.download_button(
        _LABELS[form],
        data=_writer(plan, form, link),
        file_name=file_name(plan, form),
        mime=MEDIA_TYPES[form],
        on_click="ignore",
        icon=":material/download:",
        disabled=not there,
        help=f"The report as {_LABELS[form]}." if there else _HINT,
        key=f"download_{form}",
        width="stretch",
    )


def fleet_downloads(fleet: Callable[[], Fleet]) -> None:
    """Draw the downloads of a fleet; a file is made when its button is pressed.

    Parameters
    ----------
    fleet : callable
        Makes the answer.
    """
    row = st.container(horizontal=True)
    for form in FORMATS:
        there = _installed(*_NEEDS.get(form, ()))
        label = _LABELS.get(form, "JSON")
        row.download_button(
            label,
            data=_fleet_writer(fleet, form),
            file_name=f"fleet.{form}",
            mime=MEDIA_TYPES[form],
            on_click="ignore",
            icon=":material/download:",
            disabled=not there,
            help=f"The fleet as {label}." if there else _HINT,
            key=f"download_fleet_{form}",
        )


def _fleet_writer(fleet: Callable[[], Fleet], form: Format) -> Callable[[], bytes]:
    return lambda: write_fleet(fleet(), form)


@functools.cache
def _installed(*libraries: str) -> bool:
    return all(importlib.util.find_spec(name) for name in libraries)


def _writer(plan: Plan, form: Format, link: str) -> Callable[[], bytes]:
    return lambda: write(plan, form, share_link=link)


def json_text(plan: Plan) -> str:
    """Return the plan's JSON, byte for byte as the command line prints it.

    Parameters
    ----------
    plan : Plan
        The answer.

    Returns
    -------
    str
        One object.
    """
    return json.dumps(plan.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
