"""Library kernels beside our own: attention, matrix products, copies and norms."""

from __future__ import annotations

from validation.kernels import flex, matmul, sdpa, streams, varlen

KERNELS = (*sdpa.KERNELS, *flex.KERNELS, *varlen.KERNELS, *matmul.KERNELS, *streams.KERNELS)
