"""The fleet for a load: the cheapest that holds its objectives in simulation, and its rivals."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from planner.fleet_costs import economics, growth
from planner.service import Service
from planner.serving.launch import VERIFIED, Launch
from planner.serving.objectives import MEETS, REASONS
from planner.serving.search import best_of_each
from planner.serving.stability import (
    BreakPoint,
    Shifted,
    break_points,
    leaders,
    sensitivity,
)
from planner.serving.terms import Terms
from planner.trials import MOST_TRIALS, Trial, try_in_order
from planner.version import SCHEMA_VERSION, __version__

ASSUMPTIONS = (
    "Requests reach replicas at random; one replica at its part of the load stands for all.",
    "The closed form ranks by means over requests; the winner is the first by cost that holds the "
    "objectives in simulation at the stated percentile.",
    "Caches are counted between half and twice the mean resident length.",
)


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """The answer to a question about a service.

    Parameters
    ----------
    service : Service
        Candidates in closed form.
    requests : int
        Requests of each simulation. [1]
    seed : int
        Of the requests.
    terms : Terms
        Of costs and growth.
    """

    service: Service
    requests: int = 4000
    seed: int = 0
    terms: Terms = field(default_factory=Terms)

    @cached_property
    def trials(self) -> tuple[Trial, ...]:
        """Candidates simulated in the order of cost, until one holds."""
        return try_in_order(self.service, requests=self.requests, seed=self.seed)

    @property
    def chosen(self) -> Trial | None:
        """The cheapest that holds; None where none was found."""
        return self.trials[-1] if self.trials and self.trials[-1].holds else None

    @property
    def met(self) -> bool:
        """Whether the objectives can be met."""
        return self.chosen is not None

    @property
    def shown(self) -> int:
        """The place of the answer, or of the nearest miss."""
        if self.chosen is not None:
            return self.chosen.place
        if self.trials:
            return min(self.trials, key=lambda trial: self._excess(trial.missed)).place
        return int(self.service.candidates.best_order()[0])

    def _excess(self, missed: dict[str, float]) -> float:
        bounds = self.service.question.objectives.bounds()
        return max((figure / bounds[name] for name, figure in missed.items()), default=np.inf)

    def unmet(self) -> tuple[dict[str, Any], ...]:
        """Return which objectives are missed, by how much, and the nearest that can be met.

        Returns
        -------
        tuple of dict
            Empty where all are met.
        """
        if self.met:
            return ()
        objectives, candidates = self.service.question.objectives, self.service.candidates
        trial = next((each for each in self.trials if each.place == self.shown), None)
        found = []
        for name, asked in objectives.bounds().items():
            here = float(getattr(candidates, name)[self.shown]) if name != "e2e_s" else self._e2e()
            if trial is not None:
                here = trial.outcome.percentile(name, objectives.percent)
            if here > asked:
                found.append(
                    {
                        "objective": name,
                        "asked_s": asked,
                        "nearest_s": here if np.isfinite(here) else None,
                        "excess_fraction": here / asked - 1 if np.isfinite(here) else None,
                    }
                )
        return tuple(found)

    def _e2e(self) -> float:
        candidates, shape = self.service.candidates, self.service.shape
        tpot = float(candidates.tpot_s[self.shown])
        return float(candidates.ttft_s[self.shown]) + tpot * shape.decode_steps

    @cached_property
    def sensitivity(self) -> tuple[Shifted, ...]:
        """Which input moves the answer most."""
        service = self.service
        return sensitivity(leaders(service.search, service.candidates), service.rate_per_s)

    @cached_property
    def break_points(self) -> tuple[BreakPoint, ...]:
        """At which load the answer changes."""
        service = self.service
        return break_points(leaders(service.search, service.candidates), service.rate_per_s)

    def verdict(self) -> str:
        """Return the answer as a sentence.

        Returns
        -------
        str
            What to deploy, or what cannot be had.
        """
        row = self.row(self.shown)
        devices = f"{row['devices']:,} device{'s' if row['devices'] > 1 else ''}"
        fleet = f"{devices}, {row['replicas']:,} × {row['deployable']},"
        if self.met:
            return f"{fleet} for {self.service.rate_per_s:,.3g} requests/s, all objectives held."
        missed = [
            f"{each['objective'].removesuffix('_s').upper()} of {each['asked_s']:.4g} s is missed"
            + (
                f" by {each['excess_fraction']:.0%}; the nearest is {each['nearest_s']:.4g} s"
                if each["nearest_s"] is not None
                else ": the load exceeds what the fleet bears"
            )
            for each in self.unmet()
        ]
        why = "; ".join(missed) or "the load exceeds what the fleet bears"
        cut = len(self.trials) == MOST_TRIALS
        tried = f"None of the {MOST_TRIALS} cheapest that were simulated" if cut else "Nothing"
        return f"{tried} meets the objectives. {why} (Nearest: {fleet.rstrip(',')}.)"

    def row(self, place: int) -> dict[str, Any]:
        """Return one candidate as plain data.

        Parameters
        ----------
        place : int
            Which of the candidates.

        Returns
        -------
        dict
            Deployment, cost and means in closed form.
        """
        candidates, service = self.service.candidates, self.service
        deployable = service.deployables[int(candidates.deployable[place])]
        priced = service.search.priced
        return {
            "deployable": deployable.id,
            **deployable.labels,
            "replicas": int(candidates.replicas[place]),
            "devices": int(candidates.devices[place]),
            "max_num_seqs": int(candidates.max_num_seqs[place]),
            "max_num_batched_tokens": int(candidates.max_num_batched_tokens[place]),
            "usd_per_h": float(candidates.cost[place]) if priced else None,
            "ttft_s": _plain(candidates.ttft_s[place]),
            "tpot_s": _plain(candidates.tpot_s[place]),
            "utilisation_fraction": float(candidates.utilisation[place]),
            "concurrency": float(candidates.concurrency[place]),
            "reason": REASONS[int(candidates.reason[place])],
            "miss_fraction": _plain(candidates.miss[place]),
            "closed_form_valid": not bool(candidates.doubtful[place]),
        }

    def alternatives(self, most: int = 12) -> list[dict[str, Any]]:
        """Return the best of each deployable, with why it lost.

        Parameters
        ----------
        most : int
            How many. [1]

        Returns
        -------
        list of dict
            By rank.
        """
        candidates = self.service.candidates
        own = self.shown
        rows = []
        for place in best_of_each(candidates):
            if candidates.deployable[place] == candidates.deployable[own]:
                place = own  # noqa: PLW2901
            rows.append({**self.row(place), "lost": self._lost(place)})
        rows.sort(key=lambda row: row["lost"] is not None)
        return rows[:most]

    def _lost(self, place: int) -> str | None:
        candidates = self.service.candidates
        if place == self.shown and self.met:
            return None
        reason = int(candidates.reason[place])
        if reason != MEETS:
            miss = candidates.miss[place]
            by = f" by {miss:.0%}" if np.isfinite(miss) else ""
            return f"misses {REASONS[reason]}{by}"
        tried = next((each for each in self.trials if each.place == place), None)
        if tried is not None and not tried.holds:
            percent = self.service.question.objectives.percent
            missed = ", ".join(name.removesuffix("_s").upper() for name in tried.missed)
            return f"misses {missed or 'the load'} at p{percent:g} in simulation"
        more = candidates.cost[place] / candidates.cost[self.shown] - 1
        unit = "costs" if self.service.search.priced else "takes"
        what = "" if self.service.search.priced else " devices"
        return f"{unit} {more:.0%} more{what}" if more > 0 else "equal cost, more loaded"

    def launch(self) -> Launch:
        """Return what starts one replica of the shown fleet.

        Returns
        -------
        Launch
            Commands by engine.
        """
        row, model = self.row(self.shown), self.service.question.model
        return Launch(
            model=model.hf_id or model.id,
            tp=row["tp"],
            pp=row["pp"],
            cp=row["cp"],
            ep=row["ep"] or 1,
            attention_dp=row["attention_dp"],
            max_num_seqs=row["max_num_seqs"],
            max_num_batched_tokens=row["max_num_batched_tokens"],
            max_model_len=self.service.shape.longest_tokens,
            weights=row["weights"],
            kv_cache_dtype=row["kv_cache_dtype"],
        )

    def assumptions(self) -> tuple[str, ...]:
        """Return what the answer takes for granted."""
        question = self.service.question
        notes = self.service.settings_of(self.shown)[0].notes
        pool = (
            "Caches are contiguous and nothing is set aside for an engine."
            if question.engine is None
            else f"The pool for caches is that of {question.engine.engine}."
        )
        which = f"Objectives are held against the {question.confidence} of each step's time."
        return (which, *notes, *ASSUMPTIONS, pool)

    def to_dict(self) -> dict[str, Any]:
        """Return the answer as plain data.

        Returns
        -------
        dict
            Verdict, fleet, simulation, alternatives, cost, growth, sensitivity, break points.
        """
        service = self.service
        trial = next((each for each in self.trials if each.place == self.shown), None)
        return {
            "schema_version": SCHEMA_VERSION,
            "planner_version": __version__,
            "verdict": {"met": self.met, "sentence": self.verdict(), "unmet": list(self.unmet())},
            "load": {
                "rate_per_s": service.rate_per_s,
                "mean_prompt_tokens": service.shape.prompt_tokens,
                "mean_output_tokens": service.shape.output_tokens,
                "resident_tokens": service.shape.resident_tokens,
                "output_tokens_per_s": service.rate_per_s * service.shape.output_tokens,
            },
            "objectives": asdict(service.question.objectives),
            "fleet": self.row(self.shown),
            "simulation": None if trial is None else trial.outcome.to_dict(),
            "alternatives": self.alternatives(),
            "launch": self.launch().commands(),
            "launch_verified": dict(VERIFIED),
            "launch_left_out": self.launch().left_out(),
            "rejected": [asdict(each) for each in service.rejected],
            "economics": economics(service, self.shown, self.terms),
            "growth": growth(service, self.shown, self.terms),
            "sensitivity": [asdict(each) for each in self.sensitivity],
            "break_points": [asdict(each) for each in self.break_points],
            "candidates_tried": len(service.candidates),
            "assumptions": list(self.assumptions()),
        }


def _plain(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None


__all__ = ["ASSUMPTIONS", "Fleet"]
