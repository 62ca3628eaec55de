"""Owned against rented, and growth to the next purchase, on the page "Serve"."""

from __future__ import annotations

from typing import Any

import streamlit as st

from planner.ui.markdown import table


def owned(answer: dict[str, Any]) -> None:
    """Draw owning against renting, where a purchase is given.

    Parameters
    ----------
    answer : dict
        As :meth:`planner.fleet.Fleet.to_dict` gives it.
    """
    found = answer["economics"].get("owned")
    if found is None:
        return
    st.header("Owned against rented", anchor=False)
    row = st.container(horizontal=True)
    row.metric("Purchase", f"{found['purchase_usd']:,.0f} USD")
    row.metric("Owned, by the hour", f"{found['usd_per_h']:,.2f} USD/h")
    if found["rented_usd"] is None:
        st.caption("Give a price of the device-hour to compare with renting.")
        return
    after = found["break_even_years"]
    row.metric("Owning pays after", "never" if after is None else f"{after:.2f} years")
    rows = [
        [f"{each['year']}", f"{each['owned_usd']:,.0f}", f"{each['rented_usd']:,.0f}"]
        for each in found["spent_by_year"]
    ]
    header = ["end of year", "spent owning [USD]", "spent renting [USD]"]
    st.markdown(table(header, rows, right=range(3)))


def growth(answer: dict[str, Any]) -> None:
    """Draw the devices by month, where growth is given.

    Parameters
    ----------
    answer : dict
        As :meth:`planner.fleet.Fleet.to_dict` gives it.
    """
    found = answer["growth"]
    if found is None:
        return
    st.header("Growth", anchor=False)
    month = found["next_purchase_month"]
    when = {None: "never", 0: "now"}.get(month, f"in month {month}")
    st.markdown(f"The next purchase is {when}.")
    months = found["months"]
    rows = [
        [f"{each['month']}", f"{each['rate_per_s']:,.3g}", f"{each['devices']:,}"]
        for each in months[:: max(1, len(months) // 12)]
    ]
    st.markdown(table(["month", "requests per second", "devices"], rows, right=range(3)))
