"""What a fleet costs, draws, and when it grows."""

from __future__ import annotations

from typing import Any

from planner.report.blocks import Block, Figure, Figures, Paragraph, Section, Table
from planner.report.columns import amounts, counts, table, words
from planner.report.fleet_material import FleetMaterial

_MONEY = (
    ("Rented", "usd_per_h", "USD/h"),
    ("Input tokens", "usd_per_input_mtok", "USD/Mtok"),
    ("Output tokens", "usd_per_output_mtok", "USD/Mtok"),
    ("Output tokens, where they bear everything", "usd_per_mtok", "USD/Mtok"),
)
_POWER = (
    ("Power at the meter, at most", "power_w", "W"),
    ("Energy of a million output tokens", "wh_per_mtok", "Wh"),
    ("Energy of a year at this power", "kwh_per_year", "kWh"),
    ("Power usage effectiveness", "pue", "1"),
)
_OWNED = (
    ("Purchase", "purchase_usd", "USD"),
    ("Owned, by the hour", "usd_per_h", "USD/h"),
    ("Owned, over all years", "owned_usd", "USD"),
    ("Rented, over the same years", "rented_usd", "USD"),
    ("Owning pays from year", "break_even_years", "1"),
)


def costs(material: FleetMaterial) -> Section:
    """Return what the fleet costs and draws.

    Parameters
    ----------
    material : FleetMaterial
        The fleet.

    Returns
    -------
    Section
        Only what prices are known for; owned against rented where a purchase is given.
    """
    found = material.data["economics"]
    blocks: list[Block] = []
    if found["usd_per_h"] is None:
        blocks.append(Paragraph(text="No price of the hour is given: devices are counted."))
    else:
        blocks.append(Figures(title="Money", figures=_figures(material, _MONEY, "economics")))
    if "power_w" in found:
        figures = _figures(material, _POWER, "economics")
        blocks.append(
            Figures(title="Power and energy, without hosts and switches", figures=figures)
        )
    if "owned" in found:
        years = f"{found['owned']['years']:g} years"
        figures = _figures(material, _OWNED, "economics.owned")
        blocks.append(Figures(title=f"Owned against rented, {years}", figures=figures))
        blocks.append(_by_year(found["owned"]["spent_by_year"]))
    return Section(title="Cost and energy", sheet="Cost", blocks=tuple(blocks))


def _figures(
    material: FleetMaterial, rows: tuple[tuple[str, str, str], ...], at: str
) -> tuple[Figure, ...]:
    return tuple(material.figure(label, f"{at}.{key}", unit) for label, key, unit in rows)


def _by_year(rows: list[dict[str, Any]]) -> Table:
    columns = [
        words("end of year", [f"{row['year']}" for row in rows]),
        amounts("owned", [row["owned_usd"] for row in rows], "USD"),
    ]
    if all(row["rented_usd"] is not None for row in rows):
        columns.append(amounts("rented", [row["rented_usd"] for row in rows], "USD"))
    return table("Spent by then, resale left out", *columns)


def growth(material: FleetMaterial) -> Section | None:
    """Return the fleet month by month.

    Parameters
    ----------
    material : FleetMaterial
        The fleet.

    Returns
    -------
    Section or None
        None where no growth is given.
    """
    found = material.data["growth"]
    if found is None:
        return None
    month = found["next_purchase_month"]
    when = {None: "never", 0: "now"}.get(month, f"in month {month}")
    months = found["months"]
    return Section(
        title="Growth",
        blocks=(
            Paragraph(
                text=f"At {found['per_month_fraction']:.1%} a month the next purchase is {when}."
            ),
            table(
                "Devices by month",
                words("month", [f"{each['month']}" for each in months]),
                amounts("load", [each["rate_per_s"] for each in months], "requests/s"),
                counts("devices", [each["devices"] for each in months]),
            ),
        ),
    )
