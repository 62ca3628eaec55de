"""A search over 100,000 deployments and a simulation of a million requests."""

from __future__ import annotations

import time

from planner import load_hardware, load_model
from planner.service import Service, ServiceQuestion
from planner.serving.arrivals import Poisson
from planner.serving.objectives import Objectives
from planner.serving.presets import load_preset
from planner.serving.search import SettingsSpace
from planner.serving.simulator import simulate

DEVICES = (
    "a100-sxm-80gb", "h100-sxm", "h200-sxm", "b200-sxm", "b300-sxm", "gb200", "l40s", "mi300x",
    "mi325x", "mi355x", "h20", "h100-nvl",
)  # fmt: skip
REQUESTS = 1_000_000


def service(rate_per_s: float = 200.0) -> Service:
    """Return a question with more than 100,000 answers.

    Parameters
    ----------
    rate_per_s : float
        Requests per second. [1/s]

    Returns
    -------
    Service
        Llama-3.1-70B for chat on every device, in two weight and two cache formats.
    """
    return Service(
        question=ServiceQuestion(
            model=load_model("llama-3.1-70b"),
            hardware=tuple(load_hardware(name) for name in DEVICES),
            workload=load_preset("chat").workload(Poisson(rate_per_s)),
            objectives=Objectives(ttft_s=1.0, tpot_s=0.04),
            weights=(None, "int4"),
            kv_cache_dtype=(None, "fp8"),
            tp=(1, 2, 4, 8),
            space=SettingsSpace(
                max_num_batched_tokens=(2048, 4096, 8192, 16384),
            ),
        )
    )


def main() -> None:
    """Print the table."""
    asked = service()
    start = time.perf_counter()
    candidates = asked.candidates
    searched_s = time.perf_counter() - start
    print(f"search of {len(candidates):,} deployments {searched_s:22.2f} s")
    chosen = int(candidates.best_order()[0])
    deployable, settings, replicas = asked.settings_of(chosen)
    requests = asked.question.workload.at_rate(asked.rate_per_s / replicas).draw(REQUESTS)
    start, busy = time.perf_counter(), time.process_time()
    outcome = simulate(deployable.times, settings, requests)
    wall_s, cpu_s = time.perf_counter() - start, time.process_time() - busy
    print(
        f"simulation of {REQUESTS:,} requests {wall_s:19.2f} s wall, {cpu_s:.2f} s on one core, "
        f"{outcome.mean_state('running'):.0f} in flight"
    )


if __name__ == "__main__":
    main()
