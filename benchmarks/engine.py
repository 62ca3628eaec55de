"""One plan and a million-point grid, beside a scalar loop over the same formulas in one run."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np

from benchmarks.scalar import LLAMA_8B, decode_point
from planner import Scenario, load_hardware, load_model, plan, sweep
from planner.cost.calibration import load_calibrations
from planner.cost.efficiency import Times, operation_times
from planner.hardware import load_device


def median_s(call: Callable[[], object], runs: int) -> float:
    """Return the median wall time of a call after one warm-up.

    Parameters
    ----------
    call : callable
        What to time.
    runs : int
        Counted runs. [1]

    Returns
    -------
    float
        Median. [s]
    """
    call()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def check_same_figures(scenario: Scenario) -> None:
    """Raise unless planner and scalar loop agree, so that like is compared with like.

    Parameters
    ----------
    scenario : Scenario
        Llama-3.1-8B on one device in bf16.

    Raises
    ------
    AssertionError
        A figure differs by more than 10⁻⁹ of itself.
    """
    device = scenario.hardware.device
    grid = sweep(scenario, context=[512, 8192], sequences=[1, 64])
    for i, context in enumerate((512, 8192)):
        for j, sequences in enumerate((1, 64)):
            _, time_s = decode_point(
                LLAMA_8B,
                context,
                sequences,
                device.rate("bf16"),
                device.memory_bandwidth_bytes_per_s,
            )
            assert np.isclose(grid.decode_time_s[i, j], time_s, rtol=1e-9)


def million_products() -> Times:
    """Predict a million matrix products of a few weights and any number of rows."""
    draw = np.random.default_rng(0)
    rows = 10**6
    columns = {
        "device": np.full(rows, "h100-sxm", object),
        "dtype": draw.choice(np.array(["bf16", "fp8"], object), rows),
        "m": draw.integers(1, 16_384, rows).astype(float),
        "n": draw.choice([4096.0, 6144.0, 28_672.0, 128_256.0], rows),
        "k": draw.choice([4096.0, 14_336.0], rows),
    }
    devices = {"h100-sxm": load_device("h100-sxm")}
    return operation_times("gemm", columns, devices, load_calibrations()["gemm"])


def main() -> None:
    """Print the table."""
    hardware = load_hardware("h100-sxm")
    scenario = Scenario(
        model=load_model("llama-3.1-8b"), hardware=hardware, context=8192, sequences=16
    )
    check_same_figures(scenario)
    rate = hardware.device.rate("bf16")
    bandwidth = hardware.device.memory_bandwidth_bytes_per_s

    def scalar_points() -> None:
        for context in range(1000, 3000):
            decode_point(LLAMA_8B, context, 16, rate, bandwidth)

    scalar_s = median_s(scalar_points, 9) / 2000
    one_s = median_s(lambda: plan(scenario), 101)
    timed_s = median_s(lambda: plan(scenario).decode_times, 101)
    million_s = median_s(million_products, 3)
    whole_s = median_s(lambda: plan(scenario).to_dict(), 51)
    axis = np.arange(1, 1001)
    grid_s = median_s(lambda: sweep(scenario, context=axis * 128, sequences=axis), 5)
    rows = (
        ("scalar loop, one point", scalar_s, 1.0),
        ("plan()", one_s, one_s / scalar_s),
        ("plan() with prefill and decode times", timed_s, timed_s / scalar_s),
        ("calibrated products, 10⁶ rows, per row", million_s / 1e6, million_s / 1e6 / scalar_s),
        ("plan().to_dict(), limits and fewest devices included", whole_s, whole_s / scalar_s),
        ("sweep of 1000 × 1000, per point", grid_s / 1e6, grid_s / 1e6 / scalar_s),
    )
    for name, seconds, ratio in rows:
        print(f"{name:<55} {seconds * 1e6:12.3f} µs {ratio:10.4f} × scalar")
    print(f"{'grid':<55} {1e6 / grid_s:12.3g} points/s")


if __name__ == "__main__":
    main()
