"""Sources: everything the figures rest on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from planner.report.blocks import Section, SourceEntry, SourceList
from planner.report.material import Material


def sources(material: Material) -> Section:
    """Return the sources in the order of the plan.

    Parameters
    ----------
    material : Material
        The plan.

    Returns
    -------
    Section
        One entry per source.
    """
    entries = tuple(_entry(source) for source in material.data["sources"])
    return Section(title="Sources", blocks=(SourceList(entries=entries),))


def _entry(source: Mapping[str, Any]) -> SourceEntry:
    def text(key: str) -> str:
        return str(source.get(key) or "")

    return SourceEntry(
        id=text("id"),
        kind=text("kind"),
        title=text("title"),
        publisher=text("publisher"),
        url=text("url"),
        date=text("date"),
        accessed=text("accessed"),
        detail=". ".join(part.rstrip(".") for key in ("locator", "note") if (part := text(key))),
    )
