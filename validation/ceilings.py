"""What a host reaches at best: copy bandwidth by size, matrix products by dtype, cost of a call.

A GPU's ceilings are printed by its vendor; a host's depend on the machine it is rented on, so they
are measured, and the planner's floors on the host are made from them.
"""

from __future__ import annotations

import torch

from planner.cost.shapes import execution_of, operations_of
from planner.units import KIB, MIB
from validation.allocation import filled
from validation.effort import Effort
from validation.entries import Ceilings, CopyRate
from validation.kernels.kernel import DTYPES
from validation.measure import measure

HOST_DTYPES = ("fp32", "bf16")
_HOST = torch.device("cpu")
_EFFORT = Effort(warmup_s=0.05, least_s=0.2, most_s=0.6)
_COPY_BYTES = (256 * KIB, MIB, 4 * MIB, 16 * MIB, 64 * MIB)
# Square products: large enough to reach the rate, small enough to take milliseconds.
_PRODUCTS = (768, 1536)
_FAR_BEYOND_CACHES = 8


def copy_rate(total_bytes: int) -> CopyRate:
    """Measure a copy between two buffers that stay where they are.

    Parameters
    ----------
    total_bytes : int
        Size of both buffers together. [bytes]

    Returns
    -------
    CopyRate
        Bytes read and written over the least time: others may share the host.
    """
    size = total_bytes // 2
    source = filled((size,), torch.uint8, _HOST)
    target = torch.empty_like(source)
    timing = measure([lambda: target.copy_(source)], _HOST, cold=False, effort=_EFFORT)
    return CopyRate(total_bytes=2 * size, bytes_per_s=2 * size / timing.least_s)


def product_rate(dtype: str) -> float:
    """Measure square matrix products.

    Parameters
    ----------
    dtype : str
        Of operands and result.

    Returns
    -------
    float
        The best of the sizes tried. [FLOP/s]
    """
    rates = []
    for size in _PRODUCTS:
        left = filled((size, size), DTYPES[dtype], _HOST)
        right = filled((size, size), DTYPES[dtype], _HOST)
        shape = {"m": size, "n": size, "k": size}
        ((_, operation, _),) = operations_of("gemm", shape, execution_of(dtype))

        def product(left: torch.Tensor = left, right: torch.Tensor = right) -> torch.Tensor:
            return torch.nn.functional.linear(left, right)

        timing = measure([product], _HOST, cold=False, effort=_EFFORT)
        rates.append(operation.flop / timing.least_s)
    return max(rates)


def host_ceilings(cache_bytes: int | None) -> Ceilings:
    """Measure what this host reaches at best.

    Parameters
    ----------
    cache_bytes : int or None
        Its last-level cache. [bytes]

    Returns
    -------
    Ceilings
        Without a link, which takes two processes to measure.
    """
    beyond = max(_FAR_BEYOND_CACHES * (cache_bytes or 32 * MIB), 2 * max(_COPY_BYTES))
    copies = tuple(copy_rate(size) for size in (*_COPY_BYTES, beyond))
    one = torch.zeros(1)
    call = measure([lambda: one.add_(1.0)], _HOST, cold=False, effort=_EFFORT)
    return Ceilings(
        memory_bytes_per_s=copies[-1].bytes_per_s,
        copies=copies,
        flops_per_s={dtype: product_rate(dtype) for dtype in HOST_DTYPES},
        call_s=call.least_s,
    )
