"""The lower part of the page "Validation": charts, errors, faults, counts, environment."""

from __future__ import annotations

import streamlit as st

from planner.ui.charted import numbers, picture
from planner.ui.markdown import plain, table
from planner.units import format_seconds
from validation.compare import Comparison, Pair, describe, worst
from validation.error_charts import error_chart, scatter_chart
from validation.findings import Findings, off
from validation.setting import commands, environment_rows
from validation.shares import percent, signed

_CALIBRATED, _FLOORS = "Calibrated", "Floors at efficiency 1"
_MOST_LISTED = 50
_FURTHEST = 6
_MOST_REASON_CHARACTERS = 400


def times(shown: Findings) -> None:
    """Draw predicted against measured times, and the error by kind.

    Parameters
    ----------
    shown : Findings
        Of the record.
    """
    if not shown.floors.pairs:
        return
    wanted = _wanted(shown)
    st.caption(_meaning(shown, calibrated=wanted is shown.calibrated))
    scatter, errors = scatter_chart(wanted), error_chart(wanted)
    picture(scatter, key="scatter")
    numbers(scatter, key="scatter")
    st.header("Error by kind", anchor=False)
    st.markdown(_by_kind(shown))
    if shown.calibrated:
        st.caption(
            "Off by: median of |predicted − measured| / measured. A band from p10 to p90 that is "
            "neither too narrow nor too wide holds 80% of the rows."
        )
    picture(errors, key="errors")
    numbers(errors, key="errors")
    st.subheader("Furthest off", anchor=False)
    st.markdown(_furthest(wanted))


def _wanted(shown: Findings) -> Comparison:
    """Draw the heading with the choice of predictions; return those chosen."""
    row = st.container(horizontal=True, vertical_alignment="bottom")
    row.header("Predicted against measured", anchor=False, width="stretch")
    if not shown.calibrated:
        return shown.floors
    chosen = row.segmented_control(
        "Predictions",
        [_CALIBRATED, _FLOORS],
        default=_CALIBRATED,
        required=True,
        key="predictions",
        persist_state="session",
        label_visibility="collapsed",
    )
    return shown.floors if chosen == _FLOORS else shown.calibrated


def _meaning(shown: Findings, *, calibrated: bool) -> str:
    if calibrated and shown.profile is not None:
        split = shown.profile.split
        return (
            f"Efficiencies and overheads were fitted on {len(split.fit)} rows, chosen by the hash "
            f"of their case before any time was looked at. Shown are the other {len(split.test)}."
        )
    text = (
        "Floors say how fast the device could be at its peaks; nothing is fitted. Rows below the "
        "line took longer than their floor."
    )
    if shown.below_floor:
        text += (
            f" {shown.below_floor} above it were faster: data stayed in a cache, or a peak is "
            "set too low."
        )
    return text


def _by_kind(shown: Findings) -> str:
    rows = []
    kinds = dict.fromkeys(pair.observation.kind for pair in shown.floors.pairs)
    for kind in (*kinds, "all"):
        floors, tested = _of_kind(shown.floors, kind), _of_kind(shown.calibrated, kind)
        errors = shown.profile.errors.get(kind) if shown.profile else None
        rows.append(
            [
                plain(kind.replace("_", " ")),
                str(len(floors)),
                _share(off(floors)),
                str(len(tested)) if tested else "–",
                _share(off(tested)),
                _share(off(tested, 90)),
                "–" if errors is None else f"{errors.in_band_fraction:.0%}",
            ]
        )
    header = ["kind", "rows with a floor", "floor off by", "rows not fitted",
              "calibrated off by", "nine in ten within", "inside p10–p90"]  # fmt: skip
    return table(header, rows, right=range(1, 7))


def _of_kind(comparison: Comparison | None, kind: str) -> list[Pair]:
    pairs = comparison.pairs if comparison else ()
    return [pair for pair in pairs if kind in ("all", pair.observation.kind)]


def _share(fraction: float | None) -> str:
    return "–" if fraction is None else percent(fraction)


def _case(name: str) -> str:
    """A case with room for line breaks."""
    return plain(name.replace("/", " · ").replace(",", ", "))


def _furthest(comparison: Comparison) -> str:
    rows = [
        [
            _case(pair.observation.id),
            format_seconds(pair.observation.measured_s or 0.0),
            format_seconds(pair.predicted_s or 0.0),
            signed(pair.error or 0.0),
            plain(describe(pair)[1][:_MOST_REASON_CHARACTERS]),
        ]
        for pair in worst(comparison, _FURTHEST)
    ]
    header = ["case", "measured", "predicted", "off by", "what the floor rests on"]
    return table(header, rows, right=(1, 2, 3))


def faults(shown: Findings) -> None:
    """Draw what failed or came out wrong, with the reasons.

    Parameters
    ----------
    shown : Findings
        Of the record.
    """
    if not shown.faults:
        return
    st.header("Rows that failed or are wrong", anchor=False)
    rows = [
        [
            _case(row.id),
            row.status.replace("_", " "),
            plain(row.reason[:_MOST_REASON_CHARACTERS]) or "no reason was recorded",
        ]
        for row in shown.faults[:_MOST_LISTED]
    ]
    st.markdown(table(["case", "what", "reason"], rows))
    left = len(shown.faults) - len(rows)
    if left:
        st.caption(f"and {left} more in the exported record.")


def counts(shown: Findings) -> None:
    """Draw counts, and reasons of what is missing, made when they are opened.

    Parameters
    ----------
    shown : Findings
        Of the record.
    """
    box = st.expander("Bytes and FLOP, predicted and counted", key="counts", on_change="rerun")
    if box.open:
        box.markdown(_checks(shown))
    box = st.expander("Rows without a time or a prediction", key="untimed", on_change="rerun")
    if box.open:
        box.markdown(_reasons(shown))


def _checks(shown: Findings) -> str:
    signs = {"equal": "equal", "at_most": "at most", "shown": "for information"}
    rows = [
        [_case(row.id), plain(check.name), f"{check.predicted:,.0f}", f"{check.measured:,.0f}",
         "" if check.unit == "1" else plain(check.unit), signs[check.rule],
         "yes" if check.passed else "**no**"]
        for row in shown.record.rows
        for check in row.checks
    ]  # fmt: skip
    header = ["case", "figure", "predicted", "counted", "unit", "rule", "as predicted"]
    return table(header, rows, right=(2, 3)) if rows else "This record holds no such row."


def _reasons(shown: Findings) -> str:
    reasons: dict[tuple[str, str], int] = {}
    for row in shown.record.rows:
        if row.timing is None and row.correctness is None:
            continue  # a count of bytes or FLOP
        for what, why in (("no time", row.untimed), ("no prediction", row.unpredicted)):
            if why and row.status == "ok":
                reasons[what, why] = reasons.get((what, why), 0) + 1
    rows = [[what, plain(why), str(count)] for (what, why), count in reasons.items()]
    if not rows:
        return "Every row that ran has both."
    return table(["what", "reason", "rows"], rows, right=(2,))


def environment(shown: Findings) -> None:
    """Draw what the record was made on.

    Parameters
    ----------
    shown : Findings
        Of the record.
    """
    st.header("Environment", anchor=False)
    rows = [[plain(name), plain(value)] for name, value in environment_rows(shown.record)]
    half = (len(rows) + 1) // 2
    for column, part in zip(st.columns(2), (rows[:half], rows[half:]), strict=True):
        column.markdown(table(["what", "value"], part))


def own_device() -> None:
    """Draw the commands that make a record on one's own device."""
    st.header("On your own device", anchor=False)
    known = commands()
    where = st.segmented_control(
        "Device", list(known), default=next(iter(known)), required=True, key="own",
        persist_state="session",
    )  # fmt: skip
    chosen = known[where or next(iter(known))]
    st.code(chosen.lines, language="bash", wrap_lines=True)
    st.caption(chosen.note)
