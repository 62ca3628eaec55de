"""How long a call takes: warm-up, cold inputs, median of many, bounded in time.

On the host a clock stands around each call; where another process took the core of a lone thread
meanwhile, the thread's own clock counts, which stood still. On a GPU the calls of all sets of
inputs are captured into one CUDA graph, as engines replay them, and events stand around the graph;
what cannot be captured is timed call by call behind a flushed cache. Inputs rotate through sets
that together exceed the last-level cache, so that every call finds its inputs in device memory.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch

from validation.effort import NORMAL, Effort
from validation.entries import Timing

Call = Callable[[], object]

COLD_CACHES = 2
"""How many times the last-level cache the sets of inputs exceed together."""
MOST_BUFFERS = 64
_SHORTEST_SAMPLE_S = 50e-6
# More time off the core than this is another process's.
_UNDISTURBED_FRACTION = 0.03


def buffer_sets(input_bytes: int, cache_bytes: int | None, spare_bytes: int) -> int:
    """Return how many sets of inputs keep each of them out of the caches.

    Parameters
    ----------
    input_bytes : int
        One set. [bytes]
    cache_bytes : int or None
        Last-level cache. [bytes]
    spare_bytes : int
        Memory that sets may take. [bytes]

    Returns
    -------
    int
        At least 1. [1]

    Examples
    --------
    >>> buffer_sets(2**20, 32 * 2**20, 2**33), buffer_sets(2**30, 32 * 2**20, 2**33)
    (64, 1)
    """
    wanted = -(-COLD_CACHES * (cache_bytes or 0) // max(input_bytes, 1))
    affordable = max(spare_bytes // max(input_bytes, 1), 1)
    return max(1, min(wanted, affordable, MOST_BUFFERS))


def measure(
    calls: Sequence[Call], device: torch.device, *, cold: bool, effort: Effort = NORMAL
) -> Timing:
    """Return how long one of several equal calls takes.

    Parameters
    ----------
    calls : sequence of callable
        The same work on different inputs; gone through in turn.
    device : torch.device
        Where they run.
    cold : bool
        Whether the sets of inputs exceed the caches.
    effort : Effort
        How much time it may take.

    Returns
    -------
    Timing
        Median and spread.
    """
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        with torch.no_grad():
            if device.type == "cuda":
                return _on_gpu(calls, device, cold, effort)
            return _on_host(calls, cold, effort)
    finally:
        if collecting:
            gc.enable()


def _timing(
    seconds: list[float],
    *,
    calls_per_sample: int,
    buffers: int,
    cold: bool,
    clock: str,
    disturbed: int = 0,
) -> Timing:
    p10, median, p90 = np.percentile(seconds, [10, 50, 90])
    return Timing(
        measured_s=float(median),
        p10_s=float(p10),
        p90_s=float(p90),
        least_s=min(seconds),
        samples=len(seconds),
        calls_per_sample=calls_per_sample,
        buffers=buffers,
        cold=cold,
        disturbed=disturbed,
        clock=clock,
    )


def _warm_up(calls: Sequence[Call], effort: Effort, wait: Call) -> float:
    """Call each once, then until the time is over; the shortest call in the last round. [s]."""
    begin = time.perf_counter()
    shortest = float("inf")
    while True:
        for call in calls:
            start = time.perf_counter()
            call()
            wait()
            shortest = min(shortest, time.perf_counter() - start)
        if time.perf_counter() - begin >= effort.warmup_s:
            return shortest


def _on_host(calls: Sequence[Call], cold: bool, effort: Effort) -> Timing:
    shortest = _warm_up(calls, effort, lambda: None)
    repeats = max(1, round(_SHORTEST_SAMPLE_S / max(shortest, 1e-9)))
    seconds: list[float] = []
    disturbed = position = 0
    begin = time.perf_counter()
    while not effort.enough(len(seconds), time.perf_counter() - begin):
        on_core, start = time.thread_time(), time.perf_counter()
        for _ in range(repeats):
            calls[position]()
            position = (position + 1) % len(calls)
        elapsed, on_core = time.perf_counter() - start, time.thread_time() - on_core
        # A thread that works alone and was off its core was waiting for another process.
        if torch.get_num_threads() == 1 and elapsed > on_core * (1 + _UNDISTURBED_FRACTION):
            elapsed = on_core
            disturbed += 1
        seconds.append(elapsed / repeats)
    return _timing(
        seconds, calls_per_sample=repeats, buffers=len(calls), cold=cold, clock="perf_counter",
        disturbed=disturbed,
    )  # fmt: skip


def _on_gpu(calls: Sequence[Call], device: torch.device, cold: bool, effort: Effort) -> Timing:
    def wait() -> None:
        torch.cuda.synchronize(device)

    _warm_up(calls, effort, wait)
    graph = _captured(calls, device)
    if graph is None:
        return _behind_a_flush(calls, device, effort)
    graph.replay()
    wait()
    seconds: list[float] = []
    begin = time.perf_counter()
    while not effort.enough(len(seconds), time.perf_counter() - begin):
        seconds.append(_between_events(graph.replay, device) / len(calls))
    return _timing(
        seconds, calls_per_sample=len(calls), buffers=len(calls), cold=cold,
        clock="CUDA events around a graph",
    )  # fmt: skip


def _captured(calls: Sequence[Call], device: torch.device) -> torch.cuda.CUDAGraph | None:
    """All calls as one graph; None where one of them cannot be captured."""
    graph = torch.cuda.CUDAGraph()
    stream = torch.cuda.Stream(device)
    stream.wait_stream(torch.cuda.current_stream(device))
    try:
        with torch.cuda.stream(stream):
            for call in calls:
                call()
        stream.synchronize()
        with torch.cuda.graph(graph, stream=stream):
            for call in calls:
                call()
    except torch.cuda.OutOfMemoryError:
        raise
    except RuntimeError:
        torch.cuda.synchronize(device)
        return None
    return graph


def _between_events(call: Call, device: torch.device) -> float:
    start = torch.cuda.Event(enable_timing=True)
    end = torch.cuda.Event(enable_timing=True)
    start.record()
    call()
    end.record()
    torch.cuda.synchronize(device)
    return start.elapsed_time(end) / 1e3


def _behind_a_flush(calls: Sequence[Call], device: torch.device, effort: Effort) -> Timing:
    """Overwrite the cache before each call; the overwriting also hides the launch."""
    size = COLD_CACHES * torch.cuda.get_device_properties(device).L2_cache_size
    scratch = torch.empty(max(size, 1), dtype=torch.uint8, device=device)
    seconds: list[float] = []
    begin = time.perf_counter()
    while not effort.enough(len(seconds), time.perf_counter() - begin):
        call = calls[len(seconds) % len(calls)]
        scratch.zero_()
        seconds.append(_between_events(call, device))
    return _timing(
        seconds, calls_per_sample=1, buffers=len(calls), cold=True,
        clock="CUDA events behind a flushed cache",
    )  # fmt: skip
