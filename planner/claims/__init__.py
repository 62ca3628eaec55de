"""Published claims, each recomputed with the planner's own mixers and devices.

A card says what is claimed, what follows from stated assumptions, and whether the two agree. The
assumptions can be changed. What no source supports stays marked so, whatever is computed.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

from planner.claims.claim import Card, Claim, Control, Finding, Verdict
from planner.errors import ScenarioError, UnknownNameError

__all__ = [
    "Card",
    "Claim",
    "Control",
    "Finding",
    "Verdict",
    "all_claims",
    "answer",
    "evaluate",
]


@functools.cache
def all_claims() -> tuple[Claim, ...]:
    """Return every claim on record.

    Returns
    -------
    tuple of Claim
        In order of their ids.

    Examples
    --------
    >>> [claim.id for claim in all_claims()][:4]
    ['a', 'b', 'c1', 'c2']
    """
    from planner.claims import (
        cache_sizes,
        devices,
        formats,
        head_sharing,
        kernels,
        mixers,
        positions,
        scaling,
        servers,
        windows,
    )

    rooms = (
        cache_sizes, devices, formats, head_sharing, kernels, mixers, positions, scaling, servers,
        windows,
    )  # fmt: skip
    found = [claim for room in rooms for claim in room.CLAIMS]
    return tuple(sorted(found, key=lambda claim: (claim.id[0], claim.id)))


def evaluate(claim_id: str, **controls: object) -> Card:
    """Recompute one claim.

    Parameters
    ----------
    claim_id : str
        Its id.
    **controls : object
        New values of its assumptions, by name.

    Returns
    -------
    Card
        Verdict, figures, sources.

    Raises
    ------
    UnknownNameError
        No such claim, assumption or choice.
    ScenarioError
        A value is out of range.

    Examples
    --------
    >>> card = evaluate("a")
    >>> card.finding.verdict, round(card.figure("cache_bytes").value / 1e9, 1)
    ('false', 154.6)
    >>> evaluate("a", context=10_172).finding.verdict
    'true'
    """
    known = {claim.id: claim for claim in all_claims()}
    if claim_id not in known:
        raise UnknownNameError("claim", str(claim_id)[:40], known)
    return known[claim_id].card(controls)


def answer(claim_id: str | None, changes: Sequence[str] = ()) -> tuple[Card, ...]:
    """Return the cards that a command line asks for.

    Parameters
    ----------
    claim_id : str or None
        A claim, or the letter that several share; all of them without it.
    changes : sequence of str
        ``NAME=VALUE`` each.

    Returns
    -------
    tuple of Card
        At least one.

    Raises
    ------
    UnknownNameError
        No such claim, assumption or choice.
    ScenarioError
        A change without a claim, or not of the form ``NAME=VALUE``.

    Examples
    --------
    >>> [card.claim.id for card in answer("c")]
    ['c1', 'c2']
    """
    named = _changes(changes)
    claims = all_claims()
    if claim_id is not None:
        claims = tuple(c for c in claims if c.id == claim_id) or tuple(
            c for c in claims if c.id[0] == claim_id
        )
        if not claims:
            raise UnknownNameError("claim", claim_id[:40], (c.id for c in all_claims()))
    if named and len(claims) > 1:
        raise ScenarioError(
            "an assumption is changed, but of which claim is not said",
            where="--set",
            fix="Name one claim.",
        )
    return tuple(claim.card(named) for claim in claims)


def _changes(changes: Sequence[str]) -> dict[str, str]:
    named = {}
    for change in changes:
        name, equals, value = change.partition("=")
        if not equals or not name.strip():
            raise ScenarioError(
                "not a change of an assumption", where="--set", got=change, allowed="NAME=VALUE"
            )
        named[name.strip()] = value.strip()
    return named
