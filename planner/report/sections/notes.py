"""Assumptions and warnings: what the figures rest on and what the reader should know."""

from __future__ import annotations

from planner.report.blocks import Block, Bullets, Paragraph, Section
from planner.report.material import Material


def notes(material: Material) -> Section:
    """Return warnings, then assumptions.

    Parameters
    ----------
    material : Material
        The plan.

    Returns
    -------
    Section
        Two lists of sentences.
    """
    warnings, assumptions = material.data["warnings"], material.data["assumptions"]
    blocks: list[Block] = [
        Bullets(title="Warnings", items=tuple(warnings))
        if warnings
        else Paragraph(text="There are no warnings."),
        Bullets(title="Assumptions", items=tuple(assumptions)),
    ]
    return Section(title="Assumptions and warnings", sheet="Assumptions", blocks=tuple(blocks))
