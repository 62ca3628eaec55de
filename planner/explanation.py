"""How a figure came about: formula, substituted numbers, parts, sources.

An explanation is made by the object that computed the figure, from the same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One addend of a figure, with the numbers that gave it."""

    label: str
    value: float
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A figure with everything needed to recompute it by hand."""

    figure: str
    meaning: str
    formula: str
    substituted: str
    value: float | int | str | bool | None
    unit: str
    terms: tuple[Term, ...] = ()
    sources: tuple[str, ...] = field(default=())

    def to_dict(self) -> dict[str, object]:
        """Return the explanation as plain data, ready for JSON.

        Returns
        -------
        dict
            All fields; terms as a list of objects.

        Examples
        --------
        >>> Explanation(
        ...     figure="x", meaning="m", formula="a+b", substituted="1+2", value=3, unit="bytes"
        ... ).to_dict()["value"]
        3
        """
        return {
            "figure": self.figure,
            "meaning": self.meaning,
            "formula": self.formula,
            "substituted": self.substituted,
            "value": self.value,
            "unit": self.unit,
            "terms": [{"label": t.label, "value": t.value, "detail": t.detail} for t in self.terms],
            "sources": list(self.sources),
        }
