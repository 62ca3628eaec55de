"""How a figure came about, on the page: meaning, formula, numbers, terms, sources."""

from __future__ import annotations

import re
from collections.abc import Mapping

import streamlit as st

from planner.explanation import Explanation
from planner.plan import Plan
from planner.sources import Source
from planner.ui.markdown import plain, table
from planner.units import format_bytes, format_seconds, format_si

_SHORT_LIST = 8
_IDENTIFIERS = (
    (re.compile(r"arXiv:(\d{4}\.\d{4,5})"), "https://arxiv.org/abs/"),
    (re.compile(r"doi:(10\.\d{4,9}/\S+)"), "https://doi.org/"),
)


def show(plan: Plan, path: str, *, every_term: bool = False) -> None:
    """Write how one figure came about.

    Parameters
    ----------
    plan : Plan
        The answer.
    path : str
        Where the figure stands in the plan's JSON.
    every_term : bool
        Whether to list all addends, or only the largest.
    """
    explanation = plan.explain(path)
    brief(explanation)
    if explanation.terms:
        st.markdown(terms(explanation, most=None if every_term else _SHORT_LIST))
    cited = sources(explanation.sources, plan.cited())
    if cited:
        st.caption(f"Sources: {cited}")
    st.caption(f"In the JSON: `{path}`")


def brief(explanation: Explanation) -> None:
    """Write value, meaning, formula and numbers of a figure.

    Parameters
    ----------
    explanation : Explanation
        Of the figure.
    """
    st.markdown(f"**{value(explanation)}** – {plain(explanation.meaning)}")
    st.code(f"{explanation.formula}\n= {explanation.substituted}", language=None, wrap_lines=True)


def value(explanation: Explanation) -> str:
    """Return a figure for people, with its exact value where it was rounded.

    Parameters
    ----------
    explanation : Explanation
        Of the figure.

    Returns
    -------
    str
        Markdown.

    Examples
    --------
    >>> value(
    ...     Explanation(
    ...         figure="x", meaning="", formula="", substituted="", value=2**31, unit="bytes"
    ...     )
    ... )
    '2.00 GiB (2,147,483,648 bytes)'
    """
    exact = explanation.value
    if isinstance(exact, bool):
        return "yes" if exact else "no"
    if exact is None:
        return "none"
    if isinstance(exact, str):
        return plain(exact)
    short = quantity(exact, explanation.unit)
    unit = "" if explanation.unit == "1" else f" {explanation.unit}"
    full = f"{exact:,}{unit}" if isinstance(exact, int) else f"{exact:,.6g}{unit}"
    return short if short == full else f"{short} ({full})"


def quantity(number: float, unit: str) -> str:
    """Return a number in the unit that suits its size.

    Parameters
    ----------
    number : float
        The number. [``unit``]
    unit : str
        As explanations name it.

    Returns
    -------
    str
        For people.

    Examples
    --------
    >>> quantity(0.0131, "s"), quantity(131072, "bytes/token"), quantity(80, "layers")
    ('13.1 ms', '128.00 KiB/token', '80 layers')
    """
    if unit == "s":
        return format_seconds(number)
    if unit.startswith("bytes"):
        return format_bytes(number) + unit.removeprefix("bytes")
    if unit in {"FLOP", "FLOP/s"}:
        return format_si(number, unit)
    text = f"{number:,}" if isinstance(number, int) else f"{number:,.4g}"
    return text if unit == "1" else f"{text} {unit}"


def terms(explanation: Explanation, *, most: int | None) -> str:
    """Return the addends of a figure as a Markdown table.

    Parameters
    ----------
    explanation : Explanation
        Of the figure.
    most : int or None
        How many to list, the largest; all in their own order without it. [1]

    Returns
    -------
    str
        The table, and a line on what is left out.
    """
    listed = explanation.terms
    if most is not None and len(listed) > most:
        largest = sorted(range(len(listed)), key=lambda i: -abs(listed[i].value))[:most]
        listed = tuple(explanation.terms[i] for i in sorted(largest))
    unit = explanation.unit
    told = unit.startswith("bytes") or unit in {"s", "FLOP", "1"}
    rows = [[plain(term.label), quantity(term.value, unit if told else "1")] for term in listed]
    header = ["part", "value" if told else plain(unit)]
    if any(term.detail for term in listed):
        header.append("how")
        rows = [[*row, plain(term.detail)] for row, term in zip(rows, listed, strict=True)]
    text = table(header, rows, right=[1])
    left = len(explanation.terms) - len(listed)
    if not left:
        return text
    rest = sum(term.value for term in explanation.terms) - sum(term.value for term in listed)
    return f"{text}\n\nand {left} smaller ones, {quantity(rest, explanation.unit)} together."


def sources(ids: tuple[str, ...], known: Mapping[str, Source]) -> str:
    """Return sources as a Markdown list in one line, linked where they have an address.

    Parameters
    ----------
    ids : tuple of str
        What is cited.
    known : Mapping
        Source by id.

    Returns
    -------
    str
        Titles, joined by semicolons.
    """
    return "; ".join(citation(known[name]) if name in known else plain(name) for name in ids)


def citation(source: Source) -> str:
    """Return one source as Markdown.

    Parameters
    ----------
    source : Source
        The source.

    Returns
    -------
    str
        Title with link, publisher, year, where in it.
    """
    title = plain(source.title)
    url = address(source)
    if url:
        title = f"[{title}](<{url.replace('<', '%3C').replace('>', '%3E')}>)"
    rest = [plain(part) for part in (source.publisher, source.date, source.locator) if part]
    return ", ".join([title, *rest])


def address(source: Source) -> str | None:
    """Return where a source can be read.

    Parameters
    ----------
    source : Source
        The source.

    Returns
    -------
    str or None
        Its address, or that of its arXiv number or DOI.

    Examples
    --------
    >>> from planner.references import REFERENCES
    >>> address(REFERENCES["dao-2022"])
    'https://arxiv.org/abs/2205.14135'
    """
    if source.url:
        return source.url if source.url.startswith(("https://", "http://")) else None
    for pattern, base in _IDENTIFIERS:
        found = pattern.search(source.publisher or "")
        if found:
            return base + found[1]
    return None
