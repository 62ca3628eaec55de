"""What all pages share: browser title, heading, style."""

from __future__ import annotations

from pathlib import Path

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

PRODUCT = "LLM capacity planner"
_STYLE = Path(__file__).with_name("style.css")
_ICON = Path(__file__).with_name("icon.svg")


def begin(page: str, heading: str) -> DeltaGenerator:
    """Begin a page.

    Parameters
    ----------
    page : str
        Its name in the navigation.
    heading : str
        The question it answers.

    Returns
    -------
    DeltaGenerator
        A place to the right of the heading.
    """
    st.set_page_config(page_title=f"{page} – {PRODUCT}", page_icon=_ICON, layout="wide")
    st.html(_STYLE)
    row = st.container(horizontal=True, vertical_alignment="center", key="heading")
    row.title(heading, anchor=False, width="stretch")
    return row


def search(place: DeltaGenerator, key: str, example: str, shows: str) -> str:
    """Draw a field that narrows a list down as words are typed; the link keeps them.

    Parameters
    ----------
    place : DeltaGenerator
        Where it stands.
    key : str
        Its name in the link.
    example, shows : str
        What may be typed, and what is then left.

    Returns
    -------
    str
        The words; empty where there are none.
    """
    words = place.text_input(
        "Search",
        key=key,
        type="search",
        live=True,
        max_chars=60,
        placeholder=f"such as {example}",
        help=shows,
        bind="query-params",
    )
    return words or ""


def is_dark() -> bool:
    """Return whether the browser shows the dark theme.

    Returns
    -------
    bool
        False where the browser has not said.
    """
    return st.context.theme.type == "dark"
