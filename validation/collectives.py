"""Collectives through ``torch.distributed``: NCCL on GPUs, gloo on hosts."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.distributed as dist

from validation.cases import Case
from validation.effort import Effort
from validation.entries import Correctness, Timing
from validation.kernels.kernel import DTYPES, Tolerance, relative_errors

_LINK_BYTES = 2**26
_LINK_REPEATS = 9
_WARM_UPS = 3
_ROUND_OFF = {torch.float32: 1e-6, torch.bfloat16: 1e-2, torch.float16: 2e-3}

Work = Callable[[], torch.Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A collective that is ready to be called.

    Parameters
    ----------
    work : callable
        Does it and returns this rank's result.
    expected : torch.Tensor
        What this rank's result should be, fp64.
    """

    work: Work
    expected: torch.Tensor


def _inputs(case: Case, ranks: int, seed: int, device: torch.device) -> list[torch.Tensor]:
    """What every rank contributes; each rank can make them all."""
    dtype = DTYPES[case.dtype]
    size = int(case.shape["message_bytes"]) // dtype.itemsize // ranks * ranks  # type: ignore[arg-type]
    made = []
    for rank in range(ranks):
        generator = torch.Generator(device).manual_seed(seed + rank)
        made.append(torch.randn(size, dtype=dtype, device=device, generator=generator))
    return made


def prepare(case: Case, seed: int, device: torch.device) -> Prepared:
    """Return a collective with fresh inputs, its output full of NaN, and its result.

    ``message_bytes`` is what every rank contributes.

    Parameters
    ----------
    case : Case
        A case of a collective.
    seed : int
        Of the inputs, the same on every rank. [1]
    device : torch.device
        Of this rank.

    Returns
    -------
    Prepared
        Call and expected result.
    """
    ranks, rank = dist.get_world_size(), dist.get_rank()
    inputs = _inputs(case, ranks, seed, device)
    mine, size = inputs[rank], inputs[rank].numel()
    total = torch.stack([each.double() for each in inputs]).sum(0)
    share = slice(rank * size // ranks, (rank + 1) * size // ranks)

    def empty(length: int) -> torch.Tensor:
        return torch.full((length,), float("nan"), dtype=mine.dtype, device=device)

    if case.kind == "all_reduce":
        result = empty(size)

        def work() -> torch.Tensor:
            dist.all_reduce(result.copy_(mine))
            return result

        return Prepared(work=work, expected=total)
    call: Callable[..., Any]
    if case.kind == "all_gather":
        result, call = empty(ranks * size), _newest("all_gather_single", "all_gather_into_tensor")
        expected = torch.cat(inputs)
    elif case.kind == "reduce_scatter":
        result = empty(size // ranks)
        call = _newest("reduce_scatter_single", "reduce_scatter_tensor")
        expected = total[share]
    elif case.kind == "all_to_all":
        result, call = empty(size), dist.all_to_all_single
        expected = torch.cat([each[share] for each in inputs])
    else:
        return _ring(inputs, empty(size))

    def collect() -> torch.Tensor:
        call(result, mine)
        return result

    return Prepared(work=collect, expected=expected.double())


def _newest(*names: str) -> Callable[..., Any]:
    """The first of several names that this PyTorch has; the later ones are going out of use."""
    return next(found for name in names if (found := getattr(dist, name, None)) is not None)


def _ring(inputs: list[torch.Tensor], result: torch.Tensor) -> Prepared:
    """Send to the next rank and receive from the one before."""
    ranks, rank = dist.get_world_size(), dist.get_rank()

    def work() -> torch.Tensor:
        operations = [
            dist.P2POp(dist.isend, inputs[rank], (rank + 1) % ranks),
            dist.P2POp(dist.irecv, result, (rank - 1) % ranks),
        ]
        for request in dist.batch_isend_irecv(operations):
            request.wait()
        return result

    return Prepared(work=work, expected=inputs[(rank - 1) % ranks].double())


def agree(value: float, device: torch.device, how: Any) -> float:
    """Return a number that all ranks agree on.

    Parameters
    ----------
    value : float
        This rank's.
    device : torch.device
        Of this rank.
    how : object
        A reduction of ``torch.distributed``.

    Returns
    -------
    float
        The same on every rank.
    """
    shared = torch.tensor([value], dtype=torch.float32, device=device)
    dist.all_reduce(shared, op=how)
    return float(shared[0])


def link_rate(device: torch.device) -> float:
    """Measure what one rank sends to the next while it receives as much.

    Parameters
    ----------
    device : torch.device
        Of this rank.

    Returns
    -------
    float
        Bytes sent over the least time of several. [bytes/s]
    """
    shape = {"message_bytes": _LINK_BYTES}
    case = Case(kind="send_recv", kernel="torch_distributed", dtype="fp32", shape=shape)
    prepared = prepare(case, 0, device)
    seconds = _samples(prepared.work, _LINK_REPEATS, 1, device)
    return _LINK_BYTES / min(seconds)


def _samples(work: Work, samples: int, repeats: int, device: torch.device) -> list[float]:
    """Seconds of one call, of the slowest rank, for each sample."""
    mine = []
    for _ in range(samples):
        dist.barrier()
        if device.type == "cuda":
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            for _ in range(repeats):
                work()
            end.record()
            torch.cuda.synchronize(device)
            mine.append(start.elapsed_time(end) / 1e3 / repeats)
        else:
            begin = time.perf_counter()
            for _ in range(repeats):
                work()
            mine.append((time.perf_counter() - begin) / repeats)
    slowest = torch.tensor(mine, dtype=torch.float64, device=device)
    dist.all_reduce(slowest, op=dist.ReduceOp.MAX)
    return [float(each) for each in slowest]


def collective(case: Case, seed: int, device: torch.device, effort: Effort) -> dict[str, Any]:
    """Check and time a collective; every rank calls this, and all come to the same end.

    Parameters
    ----------
    case : Case
        The case.
    seed : int
        Of the inputs. [1]
    device : torch.device
        Of this rank.
    effort : Effort
        How much time it may take.

    Returns
    -------
    dict
        Fields of a row.
    """
    reason, error = "", 0.0
    prepared: Prepared | None = None
    try:
        prepared = prepare(case, seed, device)
        result = prepared.work()
        error, _ = relative_errors(result, prepared.expected)
    except Exception as fault:
        reason = f"{type(fault).__name__}: {fault}"
    # Every rank hears whether any of them failed, or the next barrier would wait for it.
    if agree(float(bool(reason)), device, dist.ReduceOp.MAX) or prepared is None:
        return {"status": "failed", "reason": (reason or "another rank failed")[:400]}
    tolerance = _tolerance(DTYPES[case.dtype], case.kind)
    worst = agree(error, device, dist.ReduceOp.MAX)
    correctness = Correctness(
        overall_error=worst,
        row_error=worst,
        overall_tolerance=tolerance.overall,
        row_tolerance=tolerance.row,
        reason=tolerance.reason,
    )
    if not worst <= tolerance.overall:
        return {"status": "wrong", "reason": f"off by {worst:.2e}", "correctness": correctness}
    return {"status": "ok", "correctness": correctness, "timing": _timed(prepared, device, effort)}


def _tolerance(dtype: torch.dtype, kind: str) -> Tolerance:
    if kind in ("all_reduce", "reduce_scatter"):
        bound = _ROUND_OFF[dtype]
        return Tolerance(overall=bound, row=bound, reason="one sum per rank, in any order")
    return Tolerance(overall=0.0, row=0.0, reason="data is moved, not changed")


def _timed(prepared: Prepared, device: torch.device, effort: Effort) -> Timing:
    first = min(_samples(prepared.work, _WARM_UPS, 1, device))
    repeats = max(1, round(100e-6 / max(first, 1e-7)))
    wanted = effort.most_s / max(first * repeats, 1e-7)
    samples = int(max(effort.least_samples, min(effort.most_samples, wanted)))
    seconds = _samples(prepared.work, samples, repeats, device)
    p10, median, p90 = np.percentile(seconds, [10, 50, 90])
    return Timing(
        measured_s=float(median),
        p10_s=float(p10),
        p90_s=float(p90),
        least_s=min(seconds),
        samples=samples,
        calls_per_sample=repeats,
        buffers=1,
        cold=False,
        clock="CUDA events" if device.type == "cuda" else "perf_counter of the slowest rank",
    )
