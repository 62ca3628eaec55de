"""What would change an answer: inputs a fifth larger, and loads at which another one wins."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from planner.serving.objectives import MEETS, Objectives
from planner.serving.search import Candidates, Deployable, Search, best_of_each

SHIFT = 0.2
LEADERS = 6
"""Deployables that are tried again: the best of each, from the cheapest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shifted:
    """The best answer after one input changed.

    Parameters
    ----------
    input : str
        Which input, and how it changed.
    cost : float or None
        Of the best answer then, in the unit of the search; None where none meets the objectives.
    relative : float or None
        Change of cost. [1]
    deployable : str or None
        What the best answer then is.
    utilisation : float
        Of the present best answer, kept as it is. [1]
    holds : bool
        Whether that still meets the objectives.
    """

    input: str
    cost: float | None
    relative: float | None
    deployable: str | None
    utilisation: float
    holds: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakPoint:
    """The best answer from a load on.

    Parameters
    ----------
    rate_per_s : float
        Requests per second. [1/s]
    deployable : str or None
        What wins; None where nothing meets the objectives.
    replicas, devices : int
        How many. [1]
    cost : float or None
        Of it.
    """

    rate_per_s: float
    deployable: str | None
    replicas: int
    devices: int
    cost: float | None


def leaders(search: Search, candidates: Candidates) -> Search:
    """Return the search among the best few deployables.

    Parameters
    ----------
    search : Search
        The whole.
    candidates : Candidates
        Its answers.

    Returns
    -------
    Search
        Of at most six deployables.
    """
    places = best_of_each(candidates)[:LEADERS]
    kept = tuple(search.deployables[int(candidates.deployable[at])] for at in places)
    return replace(search, deployables=kept)


def sensitivity(search: Search, rate_per_s: float) -> tuple[Shifted, ...]:
    """Return the best answer with each input a fifth worse, the most important first.

    Parameters
    ----------
    search : Search
        Among the leaders.
    rate_per_s : float
        Peak requests per second. [1/s]

    Returns
    -------
    tuple of Shifted
        By utilisation of the present best, descending; what breaks it first.
    """
    base = _best(search, rate_per_s)
    candidates = search.at(rate_per_s)
    present = int(candidates.best_order()[0])
    found = []
    for name, other, rate in _shifts(search, rate_per_s):
        best = _best(other, rate)
        cost = None if best is None else best[1]
        kept = other.capacity_of(candidates, present, rate)
        reason, _ = other.objectives.judge(kept)
        relative = None if cost is None or base is None else cost / base[1] - 1
        found.append(
            Shifted(
                input=name,
                cost=cost,
                relative=relative,
                deployable=None if best is None else best[0].id,
                utilisation=float(kept.utilisation),
                holds=int(reason) == MEETS,
            )
        )
    return tuple(sorted(found, key=lambda each: (each.holds, -each.utilisation)))


def _best(search: Search, rate: float) -> tuple[Deployable, float, int] | None:
    candidates = search.at(rate)
    place = int(candidates.best_order()[0])
    if candidates.reason[place] != MEETS:
        return None
    deployable = search.deployables[int(candidates.deployable[place])]
    return deployable, float(candidates.cost[place]), int(candidates.replicas[place])


def _shifts(search: Search, rate: float) -> Iterator[tuple[str, Search, float]]:
    more = 1 + SHIFT
    yield "20 % more requests", search, rate * more
    yield "prompts 20 % longer", replace(search, shape=search.shape.scaled(prompt=more)), rate
    yield "outputs 20 % longer", replace(search, shape=search.shape.scaled(output=more)), rate
    slower = tuple(replace(each, times=each.times.slowed(more)) for each in search.deployables)
    yield "steps 20 % slower", replace(search, deployables=slower), rate
    tighter = tuple(
        replace(each, pool=replace(each.pool, blocks=int(each.pool.blocks * (1 - SHIFT))))
        for each in search.deployables
        if each.pool.blocks
    )
    if tighter:
        yield "20 % less room for caches", replace(search, deployables=tighter), rate
    for name, bound in search.objectives.bounds().items():
        objectives = _tightened(search.objectives, name, bound)
        label = name.removesuffix("_s").upper()
        yield f"{label} objective 20 % tighter", search.with_objectives(objectives), rate


def _tightened(objectives: Objectives, name: str, bound: float) -> Objectives:
    fields = {**objectives.bounds(), name: bound * (1 - SHIFT)}
    return Objectives(
        ttft_s=fields.get("ttft_s"),
        tpot_s=fields.get("tpot_s"),
        e2e_s=fields.get("e2e_s"),
        most_utilisation=objectives.most_utilisation,
        percent=objectives.percent,
    )


def break_points(
    search: Search, rate_per_s: float, *, span: float = 8.0, points: int = 25
) -> tuple[BreakPoint, ...]:
    """Return the loads at which another deployable wins.

    Parameters
    ----------
    search : Search
        Among the leaders.
    rate_per_s : float
        Peak requests per second. [1/s]
    span : float
        From this fraction of the load to this multiple. [1]
    points : int
        Loads tried, in equal ratios. [1]

    Returns
    -------
    tuple of BreakPoint
        The first load tried, and each at which the winner changes; good to one ratio.
    """
    found: list[BreakPoint] = []
    for rate in np.geomspace(rate_per_s / span, rate_per_s * span, points):
        best = _best(search, float(rate))
        name = None if best is None else best[0].id
        if found and found[-1].deployable == name:
            continue
        found.append(
            BreakPoint(
                rate_per_s=float(rate),
                deployable=name,
                replicas=0 if best is None else best[2],
                devices=0 if best is None else best[2] * best[0].devices,
                cost=None if best is None else best[1],
            )
        )
    return tuple(found)


__all__ = ["BreakPoint", "Shifted", "break_points", "leaders", "sensitivity"]
