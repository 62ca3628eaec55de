"""One document made from a plan; every format is written from it and from nothing else."""

from __future__ import annotations

from collections.abc import Callable

from planner.fleet import Fleet
from planner.plan import Plan
from planner.report.blocks import Document, Section
from planner.report.fleet_document import fleet_sections
from planner.report.material import Material
from planner.report.printable import printable
from planner.report.sections.allocation import allocation
from planner.report.sections.equations import equations
from planner.report.sections.inputs import inputs
from planner.report.sections.limits import limits
from planner.report.sections.memory import memory
from planner.report.sections.notes import notes
from planner.report.sections.reproduce import reproduce
from planner.report.sections.sources import sources
from planner.report.sections.times import decode, prefill
from planner.report.sections.verdict import verdict
from planner.report.sections.what_if import what_if

_NAME_CHARACTERS = 60

SECTIONS: tuple[Callable[[Material], Section | None], ...] = (
    verdict,
    inputs,
    memory,
    allocation,
    prefill,
    decode,
    what_if,
    limits,
    notes,
    equations,
    sources,
    reproduce,
)
"""The sections in reading order. A new one is a function that returns None where it has nothing
to say."""


def document(plan: Plan, *, share_link: str | None = None, fleet: Fleet | None = None) -> Document:
    """Return the report of a plan.

    Parameters
    ----------
    plan : Plan
        The answer.
    share_link : str, optional
        Where the page shows the same scenario.
    fleet : Fleet, optional
        What bears a load on the same devices.

    Returns
    -------
    Document
        Every text free of control characters, every number as in the plan.
    """
    material = Material(plan=plan, share_link=share_link)
    load, hardware = plan.deployment.load, plan.deployment.scenario.hardware
    made = (section(material) for section in SECTIONS)
    of_fleet = () if fleet is None else fleet_sections(fleet)
    return printable(
        Document(
            title=f"{_short(plan.model.name)} on {hardware.devices:,} × {hardware.device.name}",
            subtitle=f"{load.sequences:,} × {load.context:,} tokens; "
            f"weights {plan.deployment.execution.weights.name}, "
            f"cache {plan.deployment.execution.cache.name}; "
            f"{plan.deployment.layout}",
            sections=(*(section for section in made if section is not None), *of_fleet),
        )
    )


def _short(name: str) -> str:
    return name if len(name) <= _NAME_CHARACTERS else name[: _NAME_CHARACTERS - 1] + "…"
