"""Equations: every figure with its formula and the numbers put in."""

from __future__ import annotations

from planner.explanation import Explanation, Term
from planner.report.blocks import Equation, EquationTerm, Paragraph, Section
from planner.report.material import Material
from planner.units import format_quantity


def equations(material: Material) -> Section:
    """Return how every figure came about.

    Parameters
    ----------
    material : Material
        The plan.

    Returns
    -------
    Section
        An equation per figure that has a value.
    """
    found = tuple(
        _equation(material, path, explanation)
        for path, explanation in material.explanations.items()
        if explanation.value is not None
    )
    note = Paragraph(
        text="Each figure with its path in the JSON: what it means, the sources of its formula or "
        "numbers in brackets, the formula, the same with numbers, and its parts. Where many parts "
        "are left out as smaller, the XLSX, HTML and JSON reports have all of them.",
        tone="note",
    )
    return Section(title="Equations", blocks=(note, *found))


def _equation(material: Material, path: str, explanation: Explanation) -> Equation:
    unit = "s" if path.endswith(".bound") else explanation.unit
    return Equation(
        figure=material.figure(path),
        meaning=explanation.meaning,
        formula=explanation.formula,
        substituted=explanation.substituted,
        terms=tuple(_term(term, unit) for term in explanation.terms),
        sources=explanation.sources,
    )


def _term(term: Term, unit: str) -> EquationTerm:
    return EquationTerm(
        label=term.label,
        text=format_quantity(term.value, unit),
        value=term.value,
        unit=unit,
        detail=term.detail,
    )
