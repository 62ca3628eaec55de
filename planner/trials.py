"""Candidates of a search put to the test of a simulation, the cheapest first."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from planner.service import Service
from planner.serving.outcome import Outcome

MOST_TRIALS = 48
SETTINGS_OF_A_FLEET = 2
"""Engine settings tried of one layout on so many devices: others of them hardly differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One candidate that was simulated.

    Parameters
    ----------
    place : int
        Which of the candidates.
    outcome : Outcome
        What the simulation found.
    missed : dict
        Figure of each objective that is missed at the percentile. [s]
    """

    place: int
    outcome: Outcome
    missed: dict[str, float]

    @property
    def holds(self) -> bool:
        """Whether every objective holds."""
        return not self.missed and not self.outcome.overloaded


def try_in_order(service: Service, *, requests: int, seed: int) -> tuple[Trial, ...]:
    """Simulate candidates in the order of cost, until one holds.

    Where the closed form is outside its validity the simulation alone decides, short of a miss by
    half. Where a replica with some settings fails at its part of the load, fewer of them are not
    tried; nor are more than two settings of one fleet, so that the next larger one has its turn.

    Parameters
    ----------
    service : Service
        Candidates in closed form.
    requests : int
        Requests of each simulation. [1]
    seed : int
        Of the requests.

    Returns
    -------
    tuple of Trial
        At most 48; the last one holds, or none does.
    """
    candidates = service.candidates
    found: list[Trial] = []
    failed: dict[tuple[int, int, int], int] = {}
    tries: Counter[tuple[int, int]] = Counter()
    for at in candidates.trial_order():
        place = int(at)
        if len(found) == MOST_TRIALS:
            break
        kind = (
            int(candidates.deployable[place]),
            int(candidates.max_num_seqs[place]),
            int(candidates.max_num_batched_tokens[place]),
        )
        fleet = kind[0], int(candidates.replicas[place])
        if failed.get(kind, 0) >= fleet[1] or tries[fleet] == SETTINGS_OF_A_FLEET:
            continue
        tries[fleet] += 1
        trial = _trial(service, place, requests, seed)
        found.append(trial)
        if trial.holds:
            break
        failed[kind] = fleet[1]
    return tuple(found)


def _trial(service: Service, place: int, requests: int, seed: int) -> Trial:
    outcome = service.simulated(place, requests=requests, seed=seed)
    objectives = service.question.objectives
    figures = {name: outcome.percentile(name, objectives.percent) for name in objectives.bounds()}
    missed = {
        name: figures[name] for name, most in objectives.bounds().items() if figures[name] > most
    }
    return Trial(place=place, outcome=outcome, missed=missed)


__all__ = ["MOST_TRIALS", "Trial", "try_in_order"]
