"""Weights and caches as real tensors, made as the planner describes them, and their true size."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from planner.cost.shapes import NoModelError
from planner.errors import ScenarioError
from planner.model import Execution, Model, Tensor
from planner.model.cache import Cache, StateCache, TokenCache
from planner.model.latent_cache import LatentCache
from planner.model.placement import stored_tensors
from planner.model.storage import BF16, Format, WeightScheme, stored_matrices

# The profiler tells of every allocation on the host; its own log line at each start is noise.
os.environ.setdefault("KINETO_LOG_LEVEL", "99")

_SCALARS: dict[str, torch.dtype] = {
    "fp32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
    "fp8": torch.float8_e4m3fn,
    "int8": torch.int8,
}
_RANDOM_ELEMENTS = 2**20
_GPU_ROUNDING_BYTES = 512
_MEMORY_EVENT = "[memory]"


def dtype_of(fmt: Format) -> torch.dtype:
    """Return the dtype of a format whose elements stand alone.

    Parameters
    ----------
    fmt : Format
        A scalar format.

    Returns
    -------
    torch.dtype
        Of one element.

    Raises
    ------
    ScenarioError
        PyTorch has no such dtype.
    """
    if fmt.name not in _SCALARS or not fmt.is_scalar:
        raise ScenarioError(
            "no dtype of PyTorch", where="dtype", got=fmt.name, allowed=", ".join(_SCALARS)
        )
    return _SCALARS[fmt.name]


def filled(shape: Iterable[int], dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """Return a tensor of random data, made fast by repeating a block.

    Parameters
    ----------
    shape : iterable of int
        Its shape. [elements]
    dtype : torch.dtype
        Any dtype; integers and packed formats get random bytes.
    device : torch.device
        Where it lives.

    Returns
    -------
    torch.Tensor
        Normal with standard deviation 0.02 where it can be, random bytes otherwise.
    """
    tensor = torch.empty(tuple(shape), dtype=dtype, device=device)
    plain = dtype in (torch.float32, torch.bfloat16, torch.float16)
    flat = tensor.view(-1) if plain else tensor.view(-1).view(torch.uint8)
    length = min(flat.numel(), _RANDOM_ELEMENTS)
    if plain:
        block = (torch.randn(length, device=device) * 0.02).to(dtype)
    else:
        # Below 120 every byte is a finite float8 of either form.
        block = torch.randint(0, 120, (length,), dtype=torch.uint8, device=device)
    for first in range(0, flat.numel(), length):
        part = flat[first : first + length]
        part.copy_(block[: part.numel()])
    return tensor


Stored = tuple[tuple[int, ...], torch.dtype]


def _matrix_parts(fmt: Format, rows: int, columns: int) -> Iterator[Stored]:
    """What is kept of one matrix, or of one vector: elements, and every kind of scale."""
    if fmt.name in _SCALARS and fmt.is_scalar:
        yield (rows, columns), dtype_of(fmt)
        return
    high, wide = (1, rows * columns) if fmt.flat else (rows, columns)
    block_rows, block_columns = fmt.block_rows or high, fmt.block_columns or wide
    blocks = (-(-high // block_rows), -(-wide // block_columns))
    number = blocks[0] * blocks[1]
    stored = number * block_rows * block_columns if fmt.padded else rows * columns
    if fmt.bits == 8 and not fmt.padded:
        yield (rows, columns), torch.int8 if fmt.precision == "int8" else torch.float8_e4m3fn
    else:
        yield (math.ceil(stored * fmt.bits / 8),), torch.uint8
    outer = -(-number // fmt.outer_blocks) if fmt.outer_blocks else 0
    beside: tuple[tuple[int, ...], ...] = (
        (*blocks, fmt.scale_bytes)
        if isinstance(fmt.scale_bytes, int)
        else (math.ceil(number * fmt.scale_bytes),),
        (outer, fmt.outer_bytes),
        (rows, fmt.row_bytes),
        (columns, fmt.column_bytes),
        (fmt.matrix_bytes,),
    )
    yield from ((shape, torch.uint8) for shape in beside if math.prod(shape))


def _stored_shapes(tensor: Tensor, scheme: WeightScheme) -> Iterator[Stored]:
    """What a checkpoint keeps of one tensor: of each matrix that it stores apart, the same."""
    fmt = scheme.format_of(tensor)
    if fmt.is_scalar and fmt.name not in _SCALARS:
        yield (math.ceil(tensor.elements * fmt.bits / 8),), torch.uint8
        return
    if fmt.is_scalar or len(tensor.shape) < 2:
        yield tensor.shape, dtype_of(fmt if fmt.is_scalar else scheme.base)
        return
    *stack, rows, columns = tensor.shape
    fused = stored_matrices(tensor)
    for shape, dtype in _matrix_parts(fmt, rows // fused, columns):
        yield (*stack, fused, *shape), dtype


def weight_tensors(
    model: Model, execution: Execution, device: torch.device
) -> Iterator[torch.Tensor]:
    """Yield every weight of a model as its checkpoint would hold it, with random data.

    Parameters
    ----------
    model : Model
        The model.
    execution : Execution
        Storage formats and tensor-parallel ranks.
    device : torch.device
        Where they live.

    Yields
    ------
    torch.Tensor
        Elements, then scales, of each tensor of each layer.
    """
    for _, tensor, count, scheme in stored_tensors(model, execution.weights):
        for shape, dtype in _stored_shapes(tensor.on_rank(execution.layout), scheme):
            for _ in range(count):
                yield filled(shape, dtype, device)


def _vectors(
    fmt: Format, width: int, size: tuple[int, ...], device: torch.device
) -> Iterator[torch.Tensor]:
    """Yield what is kept of so many vectors, with zeros; the newest in 16 bits if it says so."""
    *outer, tokens = size
    newest = min(tokens, fmt.recent_tokens)
    kept = ((fmt, tokens - newest), *(((BF16, newest),) if newest else ()))
    for own, number in kept:
        for shape, dtype in _matrix_parts(own, 1, width):
            whole = (*outer, number, *shape[shape[0] == 1 :])
            yield torch.zeros(whole, dtype=dtype, device=device)


def cache_tensors(
    cache: Cache, execution: Execution, *, batch: int, context: int, device: torch.device
) -> tuple[torch.Tensor, ...]:
    """Return the tensors of one cache of one layer, with zeros.

    Parameters
    ----------
    cache : Cache
        A descriptor.
    execution : Execution
        Cache format and tensor-parallel ranks.
    batch, context : int
        Sequences, and tokens of each. [1], [tokens]
    device : torch.device
        Where they live.

    Returns
    -------
    tuple of torch.Tensor
        Keys and values of shape ``(batch, heads, tokens, width)``; latents of shape
        ``(batch, entries, width)``, in bytes where a kernel packs them; or one state of shape
        ``(batch, split axis, other axes)``.

    Raises
    ------
    NoModelError
        A kind of cache that this has no tensors for yet.
    """
    tp = execution.layout.tp
    if isinstance(cache, LatentCache):
        fmt, entries = cache.format or execution.cache, int(cache.entries(context))
        if cache.packing is not None and fmt.precision == "fp8":
            packed = (batch, entries, cache.packing.vector_bytes(cache.dim))
            return (torch.zeros(packed, dtype=torch.uint8, device=device),)
        return tuple(_vectors(fmt, cache.dim, (batch, entries), device))
    if isinstance(cache, TokenCache):
        fmt, heads = execution.cache, cache.heads.units_on_rank(tp)
        size = (batch, heads, int(cache.tokens(context)))
        keys = _vectors(fmt, cache.key_dim, size, device)
        return (*keys, *_vectors(fmt.value_format or fmt, cache.value_dim, size, device))
    if not isinstance(cache, StateCache):
        raise NoModelError("no tensors of this kind of cache yet", where="cache", got=cache.kind)
    width = sum(section.units_on_rank(tp) * section.width for section in cache.sections)
    dtype = dtype_of(cache.format or execution.stream)
    return (torch.zeros((batch, width, *cache.shape), dtype=dtype, device=device),)


def all_cache_tensors(
    model: Model, execution: Execution, *, batch: int, context: int, device: torch.device
) -> list[torch.Tensor]:
    """Return the tensors of all caches of all layers.

    Parameters
    ----------
    model : Model
        The model.
    execution : Execution
        Cache format and tensor-parallel ranks.
    batch, context : int
        Sequences, and tokens of each. [1], [tokens]
    device : torch.device
        Where they live.

    Returns
    -------
    list of torch.Tensor
        As :func:`cache_tensors` gives them.
    """
    return [
        tensor
        for _, cache, count in model.caches
        for _ in range(count)
        for tensor in cache_tensors(cache, execution, batch=batch, context=context, device=device)
    ]


def storage_bytes(tensors: Iterable[torch.Tensor]) -> int:
    """Return the size of the storages behind tensors, shared ones once.

    Parameters
    ----------
    tensors : iterable of torch.Tensor
        Any tensors.

    Returns
    -------
    int
        Sum over distinct storages. [bytes]
    """
    sizes = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}
    return sum(sizes.values())


def rounded_bytes(tensors: Iterable[torch.Tensor]) -> int:
    """Return what CUDA's caching allocator counts at least: each storage in units of 512 bytes.

    Parameters
    ----------
    tensors : iterable of torch.Tensor
        Tensors of distinct storages.

    Returns
    -------
    int
        Sum of the rounded sizes. [bytes]
    """
    unit = _GPU_ROUNDING_BYTES
    return sum(-(-t.untyped_storage().nbytes() // unit) * unit for t in tensors)


@dataclass(slots=True)
class Allocated:
    """What the allocator gave out between two moments.

    Parameters
    ----------
    net_bytes : int
        Still held at the end, as asked for. [bytes]
    peak_bytes : int
        Most held at once beyond the beginning, as asked for. [bytes]
    """

    net_bytes: int = 0
    peak_bytes: int = 0


@contextmanager
def watched(device: torch.device) -> Iterator[Allocated]:
    """Watch the allocator of a device.

    Parameters
    ----------
    device : torch.device
        The device.

    Yields
    ------
    Allocated
        Filled in at the end. On a GPU the allocator's own count of requested bytes, which knows
        no rounding; on the host the allocations that the profiler saw.
    """
    result = Allocated()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_stats(device)["requested_bytes.all.current"]
        yield result
        torch.cuda.synchronize(device)
        after = torch.cuda.memory_stats(device)
        result.net_bytes = after["requested_bytes.all.current"] - before
        result.peak_bytes = after["requested_bytes.all.peak"] - before
        return
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        yield result
    events = profiler.profiler.kineto_results.events()
    sizes = [
        (event.start_ns(), event.nbytes()) for event in events if event.name() == _MEMORY_EVENT
    ]
    held = 0
    for _, size in sorted(sizes, key=lambda pair: pair[0]):
        held += size
        result.peak_bytes = max(result.peak_bytes, held)
    result.net_bytes = held
