"""SGLang's own choice of the share that weights and caches may take, and of a step's size."""

from __future__ import annotations

from dataclasses import dataclass

from planner.hardware import Device
from planner.units import GIB, MIB

_BASE_MIB = 512
_CHUNK_MIB = 1.5
_LEAST_CHUNK_TOKENS = 2048
_RANK_MIB = 128
_GRAPH_MIB = 2
_LATENT_MIB = 1536
_LARGE_BYTES = 60 * GIB
_LEAST_OF_LARGE_MIB = 10 * 1024
_TOWER_SHARE = 0.95
_WIDE_TP = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The engine's own size of a step.

    Parameters
    ----------
    chunk_tokens : int
        ``chunked_prefill_size``. [tokens]
    graph_sequences : int
        Largest batch of decoding that a CUDA graph is captured for. [1]
    """

    chunk_tokens: int
    graph_sequences: int


_BY_MEMORY = (
    (20, Step(chunk_tokens=2048, graph_sequences=8), 8),
    (35, Step(chunk_tokens=4096, graph_sequences=48), 160),
    (60, Step(chunk_tokens=4096, graph_sequences=32), 160),
    (160, Step(chunk_tokens=8192, graph_sequences=256), 512),
)
_LARGEST = Step(chunk_tokens=16384, graph_sequences=512)


def reported_bytes(device: Device) -> int:
    """Return the memory that the driver's tool reports, which the rules go by. [bytes]."""
    return device.reported_capacity_bytes or device.capacity_bytes


def default_step(device: Device, tp: int) -> Step:
    """Return the engine's own size of a step.

    Parameters
    ----------
    device : Device
        Its memory decides.
    tp : int
        Tensor-parallel ranks; four and more decode larger batches. [1]

    Returns
    -------
    Step
        Tokens of a chunk, and sequences of the largest graph.

    References
    ----------
    sglang-memory

    Examples
    --------
    >>> from planner import load_device
    >>> default_step(load_device("h100-sxm"), 1)
    Step(chunk_tokens=8192, graph_sequences=256)
    """
    size = reported_bytes(device)
    for gib, step, wide in _BY_MEMORY:
        if size < gib * GIB:
            return (
                Step(chunk_tokens=step.chunk_tokens, graph_sequences=wide)
                if tp >= _WIDE_TP
                else step
            )
    return _LARGEST


def static_fraction(device: Device, step: Step, ranks: int, *, latent: bool, tower: bool) -> float:
    """Return ``mem_fraction_static`` where nobody gave it.

    Parameters
    ----------
    device : Device
        Its memory.
    step : Step
        Tokens of a chunk, and sequences of the largest graph.
    ranks : int
        Tensor-parallel ranks times pipeline stages. [1]
    latent : bool
        Whether attention is latent, which needs more for graphs of chunks.
    tower : bool
        Whether a tower reads images.

    Returns
    -------
    float
        Share of the memory that was free at the start. [1]

    References
    ----------
    sglang-memory

    Examples
    --------
    >>> from planner import load_device
    >>> def of(name):
    ...     device = load_device(name)
    ...     return static_fraction(device, default_step(device, 1), 1, latent=False, tower=False)
    >>> of("t4"), of("h100-sxm"), of("b200-sxm")
    (0.757, 0.835, 0.857)
    """
    reserved = _BASE_MIB + _CHUNK_MIB * max(step.chunk_tokens, _LEAST_CHUNK_TOKENS)
    reserved += _RANK_MIB * ranks + _GRAPH_MIB * step.graph_sequences
    reserved += _LATENT_MIB if latent else 0
    size = reported_bytes(device)
    if size > _LARGE_BYTES:
        reserved = max(reserved, _LEAST_OF_LARGE_MIB)
    share = round((size / MIB - reserved) / (size / MIB), 3)
    return round(share * _TOWER_SHARE, 3) if tower else share
