"""Measured served loads: one model on one device, from the times of its steps alone."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from planner import Scenario, load_hardware, load_model
from planner.deployment import resolve
from planner.serving.arrivals import ClosedLoop
from planner.serving.lengths import Empirical
from planner.serving.replica import ReplicaSettings
from planner.serving.simulator import simulate
from planner.serving.site import Site
from planner.serving.workload import Workload
from validation.served_simulation import median_errors, simulated_runs

MOST_SLOTS = 256


def nominal(tokens: int) -> Empirical:
    """The benchmark draws lengths of 0.8 to 1 of the nominal one."""
    return Empirical(tuple(int(value) for value in np.linspace(0.8 * tokens, tokens, 9)))


def test_llama_8b_on_one_h100(shared_data: Path) -> None:
    model, hardware = load_model("llama-3.1-8b"), load_hardware("h100-sxm")
    deployment = resolve(
        Scenario(model=model, hardware=hardware, context=10_240, max_num_batched_tokens=8192)
    )
    site = Site(
        model=model,
        execution=deployment.execution,
        device=hardware.device,
        links=deployment.links,
        memory=deployment.memory,
    )
    times = site.step_table(
        max_batch=MOST_SLOTS, max_step_tokens=8192, max_context=16_384, confidence="p50"
    )
    settings = ReplicaSettings(
        max_num_seqs=MOST_SLOTS,
        max_num_batched_tokens=8192,
        pool=site.pool(site.pool_bytes(max_num_seqs=MOST_SLOTS), short=500, long=9000),
    )
    errors = []
    with (shared_data / "end_to_end" / "closed_loop.csv").open(newline="") as stream:
        for row in csv.DictReader(stream):
            told = row["model"], row["device"], row["tp"], row["precision"]
            if told != ("meta-llama/Llama-3.1-8B-Instruct", "h100-sxm", "1", "bf16"):
                continue
            users, output = int(float(row["concurrency"])), nominal(int(row["osl"]))
            load = Workload(
                prompt=nominal(int(row["isl"])), output=output, arrivals=ClosedLoop(users)
            )
            found = simulate(times, settings, load.draw(10 * users + 100, seed=1))
            ttft_s, tpot_s = float(row["ttft_s"]), float(row["tpot_s"])
            measured = users * output.mean / (ttft_s + tpot_s * (output.mean - 1))
            predicted = found.output_tokens.sum() / found.finish_s.max()
            errors.append((found.percentile("tpot_s", 50) / tpot_s - 1, predicted / measured - 1))
    assert len(errors) > 20
    tpot, throughput = np.median(np.abs(np.array(errors)), axis=0)
    assert tpot < 0.10
    assert throughput < 0.15


@pytest.mark.slow
def test_closed_loops_of_the_untouched_half_in_the_simulator(shared_data: Path) -> None:
    """Medians over every run that no constant was fitted on."""
    table = shared_data / "end_to_end" / "closed_loop.csv"
    runs = [run for run in simulated_runs(table) if not run.fitted]
    assert len(runs) > 1000
    errors = median_errors(runs)
    assert errors["throughput"] < 0.15
    assert errors["ttft"] < 0.30
    assert errors["tpot"] < 0.15
