"""One document made from a plan; every format is written from it and from nothing else."""

from __future__ import annotations

import dataclasses
import unicodedata
from collections.abc import Callable
from typing import TypeVar

from planner.plan import Plan
from planner.report.blocks import Document, Section
from planner.report.material import Material
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

T = TypeVar("T")

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


def document(plan: Plan, *, share_link: str | None = None) -> Document:
    """Return the report of a plan.

    Parameters
    ----------
    plan : Plan
        The answer.
    share_link : str, optional
        Where the page shows the same scenario.

    Returns
    -------
    Document
        Every text free of control characters, every number as in the plan.
    """
    material = Material(plan=plan, share_link=share_link)
    load, hardware = plan.deployment.load, plan.deployment.scenario.hardware
    made = (section(material) for section in SECTIONS)
    return printable(
        Document(
            title=f"{_short(plan.model.name)} on {hardware.devices:,} × {hardware.device.name}",
            subtitle=f"{load.sequences:,} × {load.context:,} tokens; "
            f"weights {plan.deployment.execution.weights.name}, "
            f"cache {plan.deployment.execution.cache.name}; "
            f"{plan.deployment.layout}",
            sections=tuple(section for section in made if section is not None),
        )
    )


def _short(name: str) -> str:
    return name if len(name) <= _NAME_CHARACTERS else name[: _NAME_CHARACTERS - 1] + "…"


def printable(value: T) -> T:
    r"""Return blocks whose texts hold no control characters, bidirectional overrides or surrogates.

    Parameters
    ----------
    value : dataclass, tuple, str or any other
        A document or a part of one.

    Returns
    -------
    same type
        With U+FFFD in place of what no writer can print; line breaks become blanks.

    Examples
    --------
    >>> printable(("a\x00b", "one\ntwo", 3))
    ('a\ufffdb', 'one two', 3)
    """
    if isinstance(value, str):
        return _printable_text(value)  # type: ignore[return-value]
    if isinstance(value, tuple):
        return tuple(printable(item) for item in value)  # type: ignore[return-value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {
            field.name: printable(getattr(value, field.name)) for field in dataclasses.fields(value)
        }
        return dataclasses.replace(value, **fields)
    return value


def _printable_text(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_printable_character, text))


def _printable_character(character: str) -> str:
    if character in "\n\r\t\u2028\u2029":
        return " "
    if unicodedata.category(character) in {"Cc", "Cs", "Cn", "Co"} or character in _OVERRIDES:
        return "\ufffd"
    return character


_OVERRIDES = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
