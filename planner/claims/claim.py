"""A published claim, what may be changed about it, and the card that recomputes it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from planner.claims.published import PUBLISHED
from planner.claims.references import PUBLICATIONS
from planner.errors import ScenarioError, UnknownNameError
from planner.explanation import Explanation
from planner.units import parse_count

Verdict = Literal["true", "false", "depends", "unsupported"]
"""Unsupported: no source for it was found, whatever may be computed beside it."""

Value = int | float | str
Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """An assumption that a reader may change.

    Parameters
    ----------
    name : str
        As the command line names it.
    label : str
        As the page names it.
    unit : str
        Of its value; ``"1"`` for counts and ratios, ``""`` for choices.
    default : int, float or str
        What holds without a change.
    least, most : float
        Range of a number, both ends included. [``unit``]
    choices : callable, optional
        Gives what may be chosen; a number is asked for without it.
    whole : bool
        Whether the number is a whole one.
    """

    name: str
    label: str
    unit: str
    default: Value
    least: float = 1
    most: float = 2**31
    choices: Callable[[], tuple[str, ...]] | None = None
    whole: bool = True

    def read(self, given: object) -> Value:
        """Return a value that somebody gave.

        Parameters
        ----------
        given : object
            A number, or text as people write it.

        Returns
        -------
        int, float or str
            Within range. [``unit``]

        Raises
        ------
        UnknownNameError
            Not among the choices.
        ScenarioError
            Not a number, or out of range.

        Examples
        --------
        >>> Control(name="context", label="Context", unit="tokens", default=1).read("32K")
        32768
        """
        if self.choices is not None:
            known = self.choices()
            if str(given) not in known:
                raise UnknownNameError(self.label.lower(), str(given), known)
            return str(given)
        if self.whole:
            text = given if isinstance(given, int) else str(given)
            return parse_count(text, where=self.name, least=int(self.least), most=int(self.most))
        return self._number(given)

    def _number(self, given: object) -> float:
        allowed = f"a number from {self.least:g} to {self.most:g}"
        try:
            number = float(str(given)[:40])
        except ValueError as error:
            raise ScenarioError(
                "not a number", where=self.name, got=given, allowed=allowed
            ) from error
        if not math.isfinite(number) or not self.least <= number <= self.most:
            raise ScenarioError("out of range", where=self.name, got=given, allowed=allowed)
        return number

    def to_dict(self, value: Value) -> dict[str, object]:
        """Return the control with a value as plain data.

        Parameters
        ----------
        value : int, float or str
            What holds.

        Returns
        -------
        dict
            Name, unit, value, default, and range or choices.

        Examples
        --------
        >>> Control(name="n", label="N", unit="1", default=1, most=9).to_dict(2)["most"]
        9
        """
        plain: dict[str, object] = {
            "name": self.name,
            "label": self.label,
            "unit": self.unit,
            "value": value,
            "default": self.default,
        }
        if self.choices is None:
            return plain | {"least": self.least, "most": self.most}
        return plain | {"choices": list(self.choices())}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What came out.

    Parameters
    ----------
    verdict : {"true", "false", "depends", "unsupported"}
        Under the assumptions that hold.
    ruling : str
        The verdict in a few words, such as ``"half true"``.
    explanation : str
        Why.
    figures : tuple of Explanation
        What was computed, each with how.
    """

    verdict: Verdict
    ruling: str
    explanation: str
    figures: tuple[Explanation, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Something that was published, and how to recompute it.

    Parameters
    ----------
    id : str
        Short name.
    title : str
        What it is about.
    said : str
        The claim in our words; never to be printed without its verdict.
    controls : tuple of Control
        Assumptions that move the result.
    find : callable
        Values of the controls to what came out.
    sources : tuple of str
        References by id.
    quotes : tuple of str
        Published measurements that the explanation quotes, by name.
    on_record : {"open", "unsupported"}
        Whether the claim may be decided by computation, or lacks support whatever is computed.
    """

    id: str
    title: str
    said: str
    controls: tuple[Control, ...]
    find: Callable[[Values], Finding]
    sources: tuple[str, ...]
    quotes: tuple[str, ...] = ()
    on_record: Literal["open", "unsupported"] = "open"

    def card(self, changes: Mapping[str, object]) -> Card:
        """Return the claim recomputed.

        Parameters
        ----------
        changes : Mapping
            New value by name of a control; the others keep their defaults.

        Returns
        -------
        Card
            With verdict and figures.

        Raises
        ------
        UnknownNameError
            No such control or choice.
        ScenarioError
            A value is out of range, or the values contradict each other.
        """
        known = {control.name: control for control in self.controls}
        for name in changes:
            if name not in known:
                raise UnknownNameError(f"assumption of claim {self.id}", str(name)[:40], known)
        values = {
            name: control.read(changes[name]) if name in changes else control.default
            for name, control in known.items()
        }
        return Card(claim=self, values=values, finding=self.find(values))


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A claim under given assumptions.

    Parameters
    ----------
    claim : Claim
        What was said.
    values : Mapping
        Value by name of a control.
    finding : Finding
        What came out.
    """

    claim: Claim
    values: Mapping[str, Value]
    finding: Finding

    def figure(self, name: str) -> Explanation:
        """Return one of the computed figures.

        Parameters
        ----------
        name : str
            Of the figure.

        Returns
        -------
        Explanation
            The figure and how it came about.

        Raises
        ------
        UnknownNameError
            The card has no such figure.
        """
        for each in self.finding.figures:
            if each.figure == name:
                return each
        raise UnknownNameError("figure", name, (each.figure for each in self.finding.figures))

    @property
    def cited(self) -> tuple[str, ...]:
        """References of the claim and of its figures, by id."""
        inner = [name for each in self.finding.figures for name in each.sources]
        return tuple(name for name in dict.fromkeys((*self.claim.sources, *inner)))

    def to_dict(self) -> dict[str, Any]:
        """Return the card as plain data, ready for JSON.

        Returns
        -------
        dict
            Claim, verdict, assumptions, figures, sources.
        """
        claim, finding = self.claim, self.finding
        return {
            "id": claim.id,
            "title": claim.title,
            "claimed": claim.said,
            "verdict": finding.verdict,
            "ruling": finding.ruling,
            "on_record": claim.on_record,
            "explanation": finding.explanation,
            "assumptions": [
                control.to_dict(self.values[control.name]) for control in claim.controls
            ],
            "figures": [figure.to_dict() for figure in finding.figures],
            "quoted": [
                {"name": name} | PUBLISHED[name].model_dump(exclude_none=True)
                for name in claim.quotes
            ],
            "sources": [
                {"id": name} | PUBLICATIONS[name].model_dump(exclude_none=True)
                for name in self.cited
                if name in PUBLICATIONS
            ],
        }
