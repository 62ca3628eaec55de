"""Closed loops of a published benchmark in the simulator, beside what was measured.

``python -m validation.served_simulation TABLE.csv`` prints the errors on runs that no constant was
fitted on.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from planner.errors import PlannerError
from planner.served_prediction import group_of
from planner.served_sites import site_of
from planner.served_table import ServedRow, ServedRun, read_served_table
from planner.serving.arrivals import ClosedLoop
from planner.serving.engine_habits import Habits, habits_of, load_habits
from planner.serving.lengths import Empirical
from planner.serving.paged_pool import CachePool
from planner.serving.replica import ReplicaSettings
from planner.serving.served_load import REAL_LENGTH
from planner.serving.simulator import simulate
from planner.serving.site import Site
from planner.serving.step_table import StepTable
from planner.serving.workload import Workload
from planner.tables import align

STEP_TOKENS = 8192
REQUESTS_PER_USER = 10
"""The benchmark sends ten requests for each in flight, all users at once at the start."""
SIMULATED_BURST, SIMULATED_STEPS = 0.08, 0.5
"""What the simulator itself has of the constants' burst and waited steps: the start's crowd over
ten requests, and half a step under way. The better of six pairs on the fitted half."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedRun:
    """One run, simulated and measured.

    Parameters
    ----------
    run : ServedRun
        What was run.
    fitted : bool
        Whether a constant was fitted on it.
    ttft, tpot, throughput : float
        Simulated over measured. [1]
    """

    run: ServedRun
    fitted: bool
    ttft: float
    tpot: float
    throughput: float


def simulated_runs(path: Path) -> Iterator[SimulatedRun]:
    """Simulate every closed loop of a table that has both times.

    Parameters
    ----------
    path : pathlib.Path
        A table of served loads.

    Yields
    ------
    SimulatedRun
        Runs of one site together; those of unknown models or devices are left out.
    """
    places: dict[tuple[str | int, ...], list[ServedRow]] = {}
    for row in read_served_table(path):
        both = row.measured("ttft_s") and row.measured("tpot_s")
        if row.run is not None and row.run.kind == "closed_loop" and both:
            places.setdefault(row.run.place, []).append(row)
    for rows in places.values():
        runs = [row.run for row in rows if row.run is not None]
        habits = habits_of(runs[0].engine, runs[0].precision)
        try:
            site = replace(site_of(runs[0]), habits=habits)
            times = site.step_table(
                max_batch=max(2, *(_users(site, run) for run in runs)),
                max_step_tokens=STEP_TOKENS,
                max_context=int(max(run.isl + run.osl for run in runs)) + 1,
                confidence="p50",
            )
        except PlannerError:
            continue
        for row, run in zip(rows, runs, strict=True):
            yield _simulated(site, times, habits, row, run)


def _users(site: Site, run: ServedRun) -> int:
    """Requests in flight on one data-parallel rank of one replica."""
    copies = run.replicas * site.execution.layout.attention_dp
    return max(round(run.concurrency / copies), 1)


def _simulated(
    site: Site, times: StepTable, habits: Habits, row: ServedRow, run: ServedRun
) -> SimulatedRun:
    users = _users(site, run)
    load = Workload(
        prompt=drawn_lengths(run.isl), output=drawn_lengths(run.osl), arrivals=ClosedLoop(users)
    )
    settings = ReplicaSettings(
        max_num_seqs=users,
        max_num_batched_tokens=STEP_TOKENS,
        pool=CachePool(blocks=None),
        request_s=site.request_s + _engine_s(times, habits, run, users),
    )
    found = simulate(times, settings, load.draw(REQUESTS_PER_USER * users, seed=1))
    ttft_s = float((found.first_token_s - found.arrival_s).mean())
    steps = np.maximum(found.output_tokens - 1, 1)
    tpot_s = float(((found.finish_s - found.first_token_s) / steps).mean())
    measured_ttft_s = row.measured("ttft_s") or np.nan
    measured_tpot_s = row.measured("tpot_s") or np.nan
    output = REAL_LENGTH * run.osl
    measured_s = measured_ttft_s + measured_tpot_s * (output - 1)
    rate = float(found.output_tokens.sum() / found.finish_s.max())
    return SimulatedRun(
        run=run,
        fitted=group_of(run, site.model.parameters) in set(load_habits().fitted),
        ttft=ttft_s / measured_ttft_s,
        tpot=tpot_s / measured_tpot_s,
        throughput=rate / (users * output / measured_s),
    )


def _engine_s(times: StepTable, habits: Habits, run: ServedRun, users: int) -> float:
    """Until the first token beyond what the simulator has: the engine's queues. [s]."""
    prompt, context = REAL_LENGTH * run.isl, REAL_LENGTH * (run.isl + run.osl / 2)
    prompt_s = float(times.prefill_time_s(prompt))
    step_s = float(times.decode_time_s(users, context))
    crowd = max(float(habits.burst) - SIMULATED_BURST, 0.0) * users
    steps = max(float(habits.waited_steps) - SIMULATED_STEPS, 0.0)
    return (float(habits.prompt) - 1 + crowd) * prompt_s + steps * step_s


def drawn_lengths(tokens: float) -> Empirical:
    """Return lengths as the benchmark draws them, from 0.8 to 1 of the nominal one.

    Parameters
    ----------
    tokens : float
        Nominal. [tokens]

    Returns
    -------
    Empirical
        Nine lengths, equally frequent. [tokens]
    """
    return Empirical(tuple(max(int(each), 1) for each in np.linspace(0.8 * tokens, tokens, 9)))


def median_errors(runs: list[SimulatedRun]) -> dict[str, float]:
    """Return the medians of absolute relative errors.

    Parameters
    ----------
    runs : list of SimulatedRun
        Any.

    Returns
    -------
    dict
        By figure. [1]
    """
    return {
        name: float(np.median([abs(getattr(run, name) - 1) for run in runs]))
        for name in ("ttft", "tpot", "throughput")
    }


def main(arguments: list[str]) -> int:
    """Print errors by engine, and over all.

    Parameters
    ----------
    arguments : list of str
        The table's path.

    Returns
    -------
    int
        0.
    """
    runs = [run for run in simulated_runs(Path(arguments[0])) if not run.fitted]
    rows = [["runs not fitted", "count", "TTFT", "TPOT", "throughput"]]
    for name in ("all", *sorted({run.run.engine for run in runs})):
        kept = [run for run in runs if name in ("all", run.run.engine)]
        errors = median_errors(kept)
        rows.append([name, f"{len(kept):,}", *(f"{each:.1%}" for each in errors.values())])
    sys.stdout.write(align(rows, right=[1, 2, 3, 4]) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
