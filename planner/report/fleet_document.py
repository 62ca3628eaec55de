"""The sections about a fleet, and the report of a fleet alone."""

from __future__ import annotations

from collections.abc import Callable

from planner.fleet import Fleet
from planner.report.blocks import Document, Section
from planner.report.fleet_material import FleetMaterial
from planner.report.printable import printable
from planner.report.sections.fleet import alternatives, changes, launch, load, rests_on, verdict
from planner.report.sections.fleet_costs import costs, growth

FLEET_SECTIONS: tuple[Callable[[FleetMaterial], Section | None], ...] = (
    verdict,
    load,
    alternatives,
    costs,
    changes,
    growth,
    launch,
    rests_on,
)
"""In reading order."""


def fleet_sections(fleet: Fleet) -> tuple[Section, ...]:
    """Return the sections about a fleet.

    Parameters
    ----------
    fleet : Fleet
        The answer.

    Returns
    -------
    tuple of Section
        In reading order.
    """
    material = FleetMaterial(fleet=fleet)
    made = (section(material) for section in FLEET_SECTIONS)
    return tuple(section for section in made if section is not None)


def fleet_document(fleet: Fleet) -> Document:
    """Return the report of a fleet.

    Parameters
    ----------
    fleet : Fleet
        The answer.

    Returns
    -------
    Document
        Every text free of control characters.
    """
    service = fleet.service
    devices = ", ".join(each.id for each in service.question.hardware)
    shape = service.shape
    return printable(
        Document(
            title=f"A fleet for {service.question.model.name}",
            subtitle=f"{service.rate_per_s:,.4g} requests/s of {shape.prompt_tokens:,.0f} + "
            f"{shape.output_tokens:,.0f} tokens in the mean; among {devices}",
            sections=fleet_sections(fleet),
        )
    )
