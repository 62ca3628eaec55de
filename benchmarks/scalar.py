"""The same formulas as a scalar loop, the way calculators are usually written.

One call answers one point: every operation of one layer in plain Python numbers, times the layers.
It is the fastest such form (layers collapsed, constants hoisted), for a dense GQA model in bf16.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DenseModel:
    """Figures of a dense decoder."""

    layers: int
    hidden: int
    query_heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    vocabulary: int


LLAMA_8B = DenseModel(32, 4096, 32, 8, 128, 14336, 128256)


def decode_point(
    model: DenseModel, context: int, sequences: int, flops_per_s: float, bytes_per_s: float
) -> tuple[float, float]:
    """Return memory and decode time of one point: the sum of each operation's roofline.

    Parameters
    ----------
    model : DenseModel
        The model.
    context, sequences : int
        The load. [tokens], [1]
    flops_per_s, bytes_per_s : float
        Peak rate and bandwidth. [FLOP/s], [bytes/s]

    Returns
    -------
    tuple of float
        Weights and caches, and time of one step. [bytes], [s]
    """
    q, kv = model.query_heads * model.head_dim, model.kv_heads * model.head_dim
    size = 2

    def product(n: int, k: int) -> float:
        flop = 2 * sequences * n * k
        moved = size * (n * k + sequences * (n + k))
        return max(flop / flops_per_s, moved / bytes_per_s)

    def stream(read: int, written: int) -> float:
        return size * sequences * (read + written) / bytes_per_s

    attention_flop = 4 * sequences * context * q
    attention_moved = size * sequences * (2 * kv * context + 2 * q)
    layer_s = (
        2 * stream(2 * model.hidden, 2 * model.hidden)
        + product(q + 2 * kv, model.hidden)
        + stream(q + kv, q + kv)
        + stream(2 * kv, 2 * kv)
        + max(attention_flop / flops_per_s, attention_moved / bytes_per_s)
        + product(model.hidden, q)
        + product(2 * model.intermediate, model.hidden)
        + stream(2 * model.intermediate, model.intermediate)
        + product(model.hidden, model.intermediate)
    )
    time_s = (
        stream(model.hidden, model.hidden)
        + model.layers * layer_s
        + stream(2 * model.hidden, 2 * model.hidden)
        + product(model.vocabulary, model.hidden)
        + stream(model.vocabulary, 1)
    )
    per_layer = (2 * q + 2 * kv) * model.hidden + 3 * model.hidden * model.intermediate
    weights = size * (
        model.layers * (per_layer + 2 * model.hidden)
        + 2 * model.vocabulary * model.hidden
        + model.hidden
    )
    cache = sequences * context * model.layers * 2 * kv * size
    return weights + cache, time_s
