"""What the sections about a fleet are written from: the answer and its charts, computed once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from planner.fleet import Fleet
from planner.report.blocks import Figure
from planner.service_charts import LoadPoint, load_curve
from planner.units import format_quantity


@dataclass(frozen=True, kw_only=True)
class FleetMaterial:
    """One fleet, and what a report needs of it.

    Parameters
    ----------
    fleet : Fleet
        The answer.
    """

    fleet: Fleet

    @cached_property
    def data(self) -> dict[str, Any]:
        """The fleet as its JSON has it."""
        return self.fleet.to_dict()

    @cached_property
    def points(self) -> tuple[LoadPoint, ...]:
        """The fleet simulated at loads around the peak."""
        return load_curve(self.fleet)

    def figure(self, label: str, path: str, unit: str = "1", *, note: str = "") -> Figure:
        """Return a figure of the answer as text and value.

        Parameters
        ----------
        label : str
            What to call it.
        path : str
            Keys joined by points.
        unit : str
            Base unit.
        note : str
            What it is measured against.

        Returns
        -------
        Figure
            A dash where the answer has no value.
        """
        value: Any = self.data
        for key in path.split("."):
            value = value[key]
        text = "–" if value is None else _text(value, unit)
        return Figure(
            label=label, text=text, value=value, unit=unit, path=f"fleet.{path}", note=note
        )


def _text(value: float | str, unit: str) -> str:
    if isinstance(value, str):
        return value
    if unit in ("USD", "USD/h", "USD/Mtok"):
        return f"{value:,.0f} {unit}" if abs(value) >= 1000 else f"{value:,.3f} {unit}"
    return format_quantity(value, unit)
