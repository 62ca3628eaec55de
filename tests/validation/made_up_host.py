"""A made-up host, and rows of records of it: no test has to measure anything to have one."""

from __future__ import annotations

from typing import Any

from validation.cases import Case
from validation.effort import Effort
from validation.entries import Ceilings, Environment, Row, Timing

QUICK = Effort(warmup_s=0.0, least_s=0.0, most_s=0.0, least_samples=2)

HOST = Environment(
    device="cpu",
    device_name="made-up host, 2 cores",
    host="made-up host, 2 cores",
    cores=2,
    threads=1,
    cache_bytes=2**25,
    memory_bytes=2**34,
    operating_system="Linux 6.0",
    python="3.12.0",
    torch="2.13.0",
    planner="0.1.0",
)
CEILINGS = Ceilings(memory_bytes_per_s=2e10, flops_per_s={"fp32": 1e11, "bf16": 2e11}, call_s=2e-6)


def product(m: int, n: int, k: int, dtype: str = "fp32") -> Case:
    shape = {"m": m, "n": n, "k": k}
    return Case(kind="gemm", kernel="torch_matmul", dtype=dtype, shape=shape)


def timed(case: Case, measured_s: float, **fields: Any) -> Row:
    timing = Timing(
        measured_s=measured_s, p10_s=measured_s, p90_s=measured_s, least_s=measured_s, samples=9,
        calls_per_sample=1, buffers=1, cold=True, clock="perf_counter",
    )  # fmt: skip
    return Row(
        id=case.id, kind=case.kind, kernel=case.kernel, backend=case.backend, dtype=case.dtype,
        variant=case.variant, shape=dict(case.shape), seed=1, status="ok", timing=timing, **fields,
    )  # fmt: skip
