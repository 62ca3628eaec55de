"""The page "Claims": what has been published, what follows from stated assumptions, the verdict."""

from __future__ import annotations

from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from planner.claims import Claim, all_claims, evaluate
from planner.claims.claim import Control
from planner.claims.references import PUBLICATIONS
from planner.errors import PlannerError
from planner.tables import reckoned
from planner.ui import explained, frame
from planner.ui.fields import MOST_CHARACTERS
from planner.ui.markdown import plain, table

_VERDICTS = {
    "true": ("True", ":material/check_circle:", "green"),
    "false": ("False", ":material/cancel:", "red"),
    "depends": ("Depends", ":material/balance:", "orange"),
    "unsupported": ("No support", ":material/help:", "gray"),
}
"""Verdict → its word, its icon and its colour; never the colour alone."""

_ALL = "All"
_INTRODUCTION = """
Each card says what is claimed, what the planner computes for it with its own models and devices,
and whether the two agree. Open *Assumptions* to change what a result rests on. Claims that no
source supports stay marked so, whatever is computed beside them.
"""


def page() -> None:
    """Draw the page."""
    frame.begin("Claims", "Claims – published, and recomputed")
    st.markdown(_INTRODUCTION)
    row = st.container(horizontal=True, vertical_alignment="bottom")
    words = frame.search(
        row, "claims_q", "window, H100, mamba", "Shows cards that contain every word."
    )
    shown = row.segmented_control(
        "Verdict",
        [_ALL, *(word for word, _, _ in _VERDICTS.values())],
        default=_ALL,
        required=True,
        key="claims_verdict",
        bind="query-params",
    )
    cards = [claim for claim in all_claims() if _matches(claim, words)]
    if shown not in {_ALL, None}:
        cards = [claim for claim in cards if _VERDICTS[_answer(claim)[0]["verdict"]][0] == shown]
    for claim in cards:
        _card(claim.id)
    if not cards:
        st.info("No card is left.", icon=":material/search_off:")


def _matches(claim: Claim, words: str) -> bool:
    text = f"{claim.id} {claim.title} {claim.said}".lower()
    return all(word in text for word in words.lower().split())


@st.cache_data(max_entries=512, show_spinner=False)
def _recomputed(claim_id: str, changes: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    return evaluate(claim_id, **dict(changes)).to_dict()


def _changes(claim: Claim) -> tuple[tuple[str, str], ...]:
    """Return what somebody changed, as it stands in the widgets."""
    given = {c.name: st.session_state.get(_key(claim, c)) for c in claim.controls}
    defaults = {c.name: _text(c) for c in claim.controls}
    return tuple(
        (name, str(value))
        for name, value in given.items()
        if value is not None and str(value) != defaults[name]
    )


def _key(claim: Claim, control: Control) -> str:
    return f"claim_{claim.id}_{control.name}"


def _text(control: Control) -> str:
    """The default as the widget shows it."""
    return str(control.default) if control.choices or not control.whole else f"{control.default:,}"


def _answer(claim: Claim) -> tuple[dict[str, Any], str | None]:
    """Return a card under the assumptions of its widgets, and what is wrong with them."""
    last = f"_claim_{claim.id}"
    try:
        card = _recomputed(claim.id, _changes(claim))
        st.session_state[last] = card
        return card, None
    except PlannerError as error:
        return st.session_state.get(last) or _recomputed(claim.id, ()), str(error)


@st.fragment
def _card(claim_id: str) -> None:
    """Draw one card; its assumptions redraw it and no other."""
    claim = next(claim for claim in all_claims() if claim.id == claim_id)
    card, problem = _answer(claim)
    with st.container(border=True, key=f"card_{claim.id}"):
        _head(claim, card)
        place = st.container()
        with st.expander("Assumptions", key=f"assumptions_{claim.id}"):
            _controls(claim)
        if problem:
            place.error(
                f"{plain(problem)} **The card shows the last valid assumptions.**",
                icon=":material/error:",
            )
        _computed(claim, card)


def _head(claim: Claim, card: dict[str, Any]) -> None:
    word, icon, color = _VERDICTS[card["verdict"]]
    row = st.container(horizontal=True, vertical_alignment="center")
    row.subheader(plain(claim.title), anchor=f"claim-{claim.id}", width="stretch")
    row.badge(word, icon=icon, color=color)  # type: ignore[arg-type]
    without = ", without support" if claim.on_record == "unsupported" else ""
    st.markdown(f"*Claimed{without}:* “{plain(card['claimed'])}”")
    st.markdown(f"**{plain(_ruling(word, card))}.** {plain(card['explanation'])}")


def _ruling(word: str, card: dict[str, Any]) -> str:
    """The verdict in a few words, its own word once."""
    ruling = str(card["ruling"])
    if ruling.startswith(str(card["verdict"])):
        return ruling[0].upper() + ruling[1:]
    return f"{word} – {ruling}"


def _controls(claim: Claim) -> None:
    columns = st.columns(3)
    for i, control in enumerate(claim.controls):
        _control(columns[i % 3], claim, control)


def _control(place: DeltaGenerator, claim: Claim, control: Control) -> None:
    label = control.label if control.unit in {"", "1"} else f"{control.label} [{control.unit}]"
    if control.choices is not None:
        options = control.choices()
        place.selectbox(
            label, options, index=options.index(str(control.default)), key=_key(claim, control)
        )
        return
    place.text_input(
        label,
        value=_text(control),
        key=_key(claim, control),
        max_chars=MOST_CHARACTERS,
        help=f"From {control.least:,} to {control.most:,}."
        + (" 32K = 32,768 and 32k = 32,000." if control.whole else ""),
    )


def _computed(claim: Claim, card: dict[str, Any]) -> None:
    rows = [
        [plain(each["meaning"]), plain(reckoned(each["value"], each["unit"]))]
        for each in card["figures"]
    ]
    st.markdown(table(["computed", "value"], rows, right=(1,)))
    with st.popover("How computed", type="tertiary", icon=":material/function:"):
        for each in card["figures"]:
            st.markdown(f"**{plain(reckoned(each['value'], each['unit']))}**")
            st.code(f"{each['formula']}\n= {each['substituted']}", language=None, wrap_lines=True)
            terms = [
                [plain(t["label"]), f"{t['value']:,.6g}", plain(t["detail"])] for t in each["terms"]
            ]
            if terms:
                st.markdown(table(["part", "value", "how"], terms, right=(1,)))
        st.caption(f"`planner claims {claim.id}`")
    loose = "; ".join(_quoted(each) for each in card["quoted"] if not each["verified"])
    if loose:
        st.caption(f"Quoted, not re-read in its source: {plain(loose)}.")
    cited = explained.sources(tuple(each["id"] for each in card["sources"]), PUBLICATIONS)
    if cited:
        st.caption(f"Sources: {cited}")


def _quoted(figure: dict[str, Any]) -> str:
    """What was measured, with its value."""
    unit = "" if figure["unit"] == "1" else f" {figure['unit']}"
    return f"{figure['note']}: {figure['value']:g}{unit}"
