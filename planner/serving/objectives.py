"""What a service must keep, which objective a deployment misses, and by how much."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from planner.errors import ScenarioError
from planner.serving.capacity import Capacity

REASONS = ("meets all", "load", "ttft", "tpot", "e2e")
MEETS = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Objectives:
    """Upper bounds; None is no objective.

    Parameters
    ----------
    ttft_s, tpot_s, e2e_s : float or None
        Time to first token, per further token, and to the last. [s]
    most_utilisation : float
        Load over the most that the fleet bears; the rest is headroom. [1]
    percent : float
        Share of requests for which the times must hold, checked by simulation. [%]
    """

    ttft_s: float | None = None
    tpot_s: float | None = None
    e2e_s: float | None = None
    most_utilisation: float = 0.85
    percent: float = 90.0

    def __post_init__(self) -> None:
        for name in ("ttft_s", "tpot_s", "e2e_s"):
            value = getattr(self, name)
            if value is not None and not 0 < value < 1e9:
                raise ScenarioError("not a positive time", where=name.removesuffix("_s"), got=value)
        if not 0 < self.most_utilisation < 1:
            raise ScenarioError(
                "out of range",
                where="utilisation",
                got=self.most_utilisation,
                allowed="above 0, below 1",
            )
        if not 0 < self.percent < 100:
            raise ScenarioError("out of range", where="percentile", got=self.percent)

    def bounds(self) -> dict[str, float]:
        """Return the objectives that are set.

        Returns
        -------
        dict
            Bound by name: ``ttft_s``, ``tpot_s``, ``e2e_s``. [s]
        """
        return {
            name: value
            for name in ("ttft_s", "tpot_s", "e2e_s")
            if (value := getattr(self, name)) is not None
        }

    def judge(self, found: Capacity) -> tuple[Any, Any]:
        """Return which objective is missed first, and how far the worst is missed.

        Parameters
        ----------
        found : Capacity
            Means of one or many deployments.

        Returns
        -------
        reason : array of int
            0 where all are met, else the place in :data:`REASONS`.
        miss : array
            Largest relative excess. [1]
        """
        excess = np.maximum(found.utilisation / self.most_utilisation - 1, 0.0)
        reason = np.where(excess > 1e-9, 1, MEETS)
        worst = np.where(excess > 1e-9, excess, 0.0)
        for name, bound in self.bounds().items():
            over = np.asarray(getattr(found, name)) / bound - 1
            place = REASONS.index(name.removesuffix("_s"))
            reason = np.where((reason == MEETS) & (over > 0), place, reason)
            worst = np.maximum(worst, over)
        return reason, np.maximum(worst, 0.0)


__all__ = ["MEETS", "REASONS", "Objectives"]
