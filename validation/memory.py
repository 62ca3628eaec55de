"""Predicted bytes against the allocator's: weights, caches, pages, and the peak of attention."""

from __future__ import annotations

import gc
import math
from collections.abc import Callable
from dataclasses import replace

import torch

from planner.cost.shapes import Shape, execution_of, operations_of
from planner.deployment import weight_scheme
from planner.model import Execution, Model
from planner.model.cache import TokenCache
from planner.model.storage import CACHE_FORMATS, find_format
from validation.allocation import (
    all_cache_tensors,
    rounded_bytes,
    storage_bytes,
    watched,
    weight_tensors,
)
from validation.entries import Check
from validation.kernels.attention import make_attention_inputs
from validation.kernels.kernel import DTYPES
from validation.reduction import model_of


def _execution(model: Model, dtype: str, shape: Shape) -> Execution:
    """A stream of the dtype; weights and cache in the formats that the shape names."""
    stream = execution_of(dtype)
    weights = shape.get("weights")
    scheme = weight_scheme(model, None if weights == "checkpoint" else str(weights or dtype))
    cache = shape.get("kv_dtype")
    kept = find_format("the KV cache", str(cache), CACHE_FORMATS) if cache else stream.cache
    return replace(stream, weights=scheme, cache=kept)


def _sizes(
    what: str, predicted: int, make: Callable[[], list[torch.Tensor]], device: torch.device
) -> tuple[Check, ...]:
    """Make tensors under the allocator's watch and compare three sizes with the prediction."""
    gc.collect()
    before = torch.cuda.memory_allocated(device) if device.type == "cuda" else 0
    with watched(device) as allocated:
        tensors = make()
    checks = [
        Check(
            name=f"{what} in storages",
            predicted=predicted,
            measured=storage_bytes(tensors),
            unit="bytes",
        ),
        Check(
            name=f"{what} asked of the allocator",
            predicted=predicted,
            measured=allocated.net_bytes,
            unit="bytes",
            note="still held once all are made",
        ),
    ]
    if device.type == "cuda":
        checks.append(
            Check(
                name=f"{what} in the allocator's blocks",
                predicted=rounded_bytes(tensors),
                measured=torch.cuda.memory_allocated(device) - before,
                unit="bytes",
                rule="shown",
                note="each tensor is rounded up to 512 bytes; the rest of a large block of up to "
                "1 MiB stays with it",
            )
        )
    return tuple(checks)


def check_weights(shape: Shape, dtype: str, device: torch.device) -> tuple[Check, ...]:
    """Make all weights of a model.

    Parameters
    ----------
    shape : mapping
        ``model``, cuts, and ``weights``: a format, or ``checkpoint`` for the model's own.
    dtype : str
        Of what is not quantised.
    device : torch.device
        Where they are made.

    Returns
    -------
    tuple of Check
        Bytes predicted and held.
    """
    model = model_of(shape)
    execution = _execution(model, dtype, shape)
    predicted = model.weights_bytes(execution)
    return _sizes(
        "weights", predicted, lambda: list(weight_tensors(model, execution, device)), device
    )


def check_cache(shape: Shape, dtype: str, device: torch.device) -> tuple[Check, ...]:
    """Make all caches of a model.

    Parameters
    ----------
    shape : mapping
        ``model``, cuts, ``batch`` and ``context``.
    dtype : str
        Of the stream.
    device : torch.device
        Where they are made.

    Returns
    -------
    tuple of Check
        Bytes predicted and held.
    """
    model, batch, context = model_of(shape), int(shape["batch"]), int(shape["context"])
    execution = _execution(model, dtype, shape)
    predicted = batch * model.cache_bytes(context, execution)
    return _sizes(
        "caches",
        int(predicted),
        lambda: all_cache_tensors(model, execution, batch=batch, context=context, device=device),
        device,
    )


def check_paged_cache(shape: Shape, dtype: str, device: torch.device) -> tuple[Check, ...]:
    """Make the pages that hold some sequences: whole blocks, so more than the tokens need.

    Parameters
    ----------
    shape : mapping
        ``model``, cuts, ``batch``, ``context`` and ``block_tokens``; the model keeps keys and
        values only.
    dtype : str
        Of the stream.
    device : torch.device
        Where they are made.

    Returns
    -------
    tuple of Check
        Bytes predicted for the context rounded up to whole blocks, and held; and what the rounding
        adds.
    """
    model, batch, context = model_of(shape), int(shape["batch"]), int(shape["context"])
    execution = _execution(model, dtype, shape)
    block = int(shape["block_tokens"])
    pages = -(-context // block)

    def pools() -> list[torch.Tensor]:
        made = []
        for _, cache, count in model.caches:
            assert isinstance(cache, TokenCache)
            heads = cache.heads.units_on_rank(1)
            for width in (cache.key_dim, cache.value_dim) * count:
                size = (batch * pages, block, heads, width)
                made.append(torch.zeros(size, dtype=DTYPES[execution.cache.name], device=device))
        return made

    rounded = batch * model.cache_bytes(pages * block, execution)
    checks = _sizes("pages", int(rounded), pools, device)
    exact = batch * model.cache_bytes(context, execution)
    waste = Check(
        name="pages beyond the tokens",
        predicted=batch * (block - 1) * model.cache_bytes_per_token(execution),
        measured=float(rounded - exact),
        unit="bytes",
        rule="at_most",
        note="at most one block less a token per sequence",
    )
    return (*checks, waste)


def _peak(call: Callable[[], torch.Tensor], device: torch.device) -> int:
    with torch.no_grad():
        call()
        gc.collect()
        with watched(device) as allocated:
            result = call()
        del result
    return allocated.peak_bytes


def _attention_peaks(shape: Shape, dtype: str, device: torch.device) -> tuple[int, int, int]:
    """Peaks of materialised and of flash attention, and the size of a matrix of scores. [bytes]."""
    inputs = make_attention_inputs(shape, DTYPES[dtype], device, 0)
    query, key, value = (x.transpose(1, 2) for x in (inputs.query, inputs.key, inputs.value))
    batch, heads, new, width = query.shape

    def naive() -> torch.Tensor:
        grouped = query.reshape(batch, key.shape[1], -1, width)
        scores = (grouped @ key.transpose(-1, -2)).softmax(dim=-1)
        return scores @ value

    def flash() -> torch.Tensor:
        return torch.nn.functional.scaled_dot_product_attention(
            query, key, value, is_causal=True, enable_gqa=key.shape[1] != heads
        )

    scores_bytes = math.prod((batch, heads, new, key.shape[2])) * query.element_size()
    return _peak(naive, device), _peak(flash, device), scores_bytes


def check_attention_peak(shape: Shape, dtype: str, device: torch.device) -> tuple[Check, ...]:
    """Compare the memory that attention takes with and without its scores in memory.

    Parameters
    ----------
    shape : mapping
        Shape columns of ``attention_prefill``.
    dtype : str
        Of queries, keys and values.
    device : torch.device
        Where it runs.

    Returns
    -------
    tuple of Check
        Materialised scores take at least one matrix of scores; flash attention its output and,
        beside it, less than the scores.
    """
    ((_, operation, _),) = operations_of("attention_prefill", shape, execution_of(dtype))
    materialised, streamed, scores_bytes = _attention_peaks(shape, dtype, device)
    return (
        Check(
            name="peak of flash attention below that of materialised attention",
            predicted=materialised,
            measured=streamed,
            unit="bytes",
            rule="at_most",
        ),
        Check(
            name="materialised attention holds all its scores",
            predicted=materialised,
            measured=scores_bytes,
            unit="bytes",
            rule="at_most",
        ),
        Check(
            name="flash attention holds its output",
            predicted=streamed,
            measured=float(operation.output_bytes),
            unit="bytes",
            rule="at_most",
            note="the rest is the kernel's own: a sum per row, buffers per thread",
        ),
        Check(
            name="flash attention holds less than the scores",
            predicted=scores_bytes,
            measured=streamed,
            unit="bytes",
            rule="at_most",
        ),
    )


CHECKS: dict[str, Callable[[Shape, str, torch.device], tuple[Check, ...]]] = {
    "weights": check_weights,
    "cache": check_cache,
    "paged_cache": check_paged_cache,
    "attention_peak": check_attention_peak,
}
"""Kind of memory check → what does it."""
