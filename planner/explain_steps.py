"""Explanations of the work and the times of a plan's two steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from planner.cost.step_times import explain_times
from planner.explanation import Explanation

if TYPE_CHECKING:
    from planner.cost.roofline import StepCost
    from planner.plan import Plan

Explain = Callable[["Plan"], Explanation]
PHASES = ("prefill", "decode")
WORK = ("flop", "read_bytes", "write_bytes", "floor_s", "bound")


def _step(phase: str, field: str) -> Explain:
    def explain(plan: Plan) -> Explanation:
        cost: StepCost = getattr(plan, phase)
        return cost.explain(field)

    return explain


TIMES = ("time_s", "time_p10_s", "time_p90_s")


def _time(phase: str, field: str) -> Explain:
    def explain(plan: Plan) -> Explanation:
        times = getattr(plan, f"{phase}_times")
        if times is None:
            cost: StepCost = getattr(plan, phase)
            return replace(cost.explain("floor_s"), figure=field)
        return explain_times(getattr(plan, phase), times, field)

    return explain


def _tokens_per_s(phase: str) -> Explain:
    def explain(plan: Plan) -> Explanation:
        cost, times = getattr(plan, phase), getattr(plan, f"{phase}_times")
        time_s = float(times.time_s if times else cost.floor_s)
        return Explanation(
            figure=f"{phase}.tokens_per_s",
            meaning="Tokens per second of one replica at the step's time."
            if times
            else "Tokens per second of one replica at the floor time; a ceiling.",
            formula="tokens of the step / time_s",
            substituted=f"{cost.step.tokens:,} / {time_s:.6g}",
            value=cost.step.tokens / time_s,
            unit="tokens/s",
        )

    return explain


STEPS: Mapping[str, Explain] = {
    **{f"{phase}.{field}": _step(phase, field) for phase in PHASES for field in WORK},
    **{f"{phase}.{field}": _time(phase, field) for phase in PHASES for field in TIMES},
    **{f"{phase}.tokens_per_s": _tokens_per_s(phase) for phase in PHASES},
}
"""Path of a figure of a step → its explanation."""
