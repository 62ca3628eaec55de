"""How weights and caches of a rank come about, term by term."""

from __future__ import annotations

from dataclasses import replace

from planner.cost.activations import ActivationPeak
from planner.explanation import Explanation, Term
from planner.model import Execution, Layout, Model
from planner.model.layout import SINGLE
from planner.model.offload import BUFFERED_LAYERS, Offload
from planner.model.placement import stored_tensors


def explain_weights(model: Model, execution: Execution, layout: Layout = SINGLE) -> Explanation:
    """Return how the bytes of the weights came about.

    Parameters
    ----------
    model : Model
        The model.
    execution : Execution
        Gives the storage scheme.
    layout : Layout
        Parallel sizes; those of one device for the whole.

    Returns
    -------
    Explanation
        One term per kind of layer and tensor.
    """
    rows: dict[tuple[str, str, str], list[int]] = {}
    for layer, tensor, count, scheme in stored_tensors(model, execution.weights):
        own = tensor.on_rank(layout)
        shape = f"{'×'.join(map(str, own.shape))} in {scheme.format_of(own).name}"
        size = scheme.tensor_bytes(own) * count
        times, total = rows.get((layer, tensor.name, shape), (0, 0))
        rows[layer, tensor.name, shape] = [times + count, total + size]
    terms = [
        Term(label=f"{layer} · {name}", value=size, detail=f"{count} × {shape}")
        for (layer, name, shape), (count, size) in rows.items()
    ]
    if execution.weights.extra_bytes:
        terms.append(Term(label="what else the file holds", value=execution.weights.extra_bytes))
    where = "the whole model" if layout.replica_devices == 1 else f"one rank of {layout}"
    return Explanation(
        figure="weights_bytes",
        meaning=f"Stored weights of {where}, scales included.",
        formula="Σ over tensors: occurrences · elements on the rank · bits / 8 + scales",
        substituted=f"{len(terms)} kinds of tensor, {model.parameters:,} parameters in all",
        value=sum(int(term.value) for term in terms),
        unit="bytes",
        terms=tuple(terms),
        sources=("shoeybi-2019",),
    )


_CACHE_SOURCES = {
    "full": "ainslie-2023", "sliding": "jiang-2023", "chunked": "meta-2025",
    "latent": "deepseek-v2-2024", "indexer": "deepseek-v3.2-2025", "state": "dao-2024",
    "convolution": "dao-2024", "compressed": "deepseek-v4-2026", "encoder": "vaswani-2017",
}  # fmt: skip
"""What describes a kind of cache."""


def explain_cache(
    model: Model, execution: Execution, context: int, sequences: int, layout: Layout = SINGLE
) -> Explanation:
    """Return how the bytes of the caches came about.

    Parameters
    ----------
    model : Model
        The model.
    execution : Execution
        Gives the cache format.
    context, sequences : int
        Tokens in each cache, and how many sequences. [tokens], [1]
    layout : Layout
        Parallel sizes; those of one device for the whole.

    Returns
    -------
    Explanation
        One term per kind of cache.
    """
    terms = []
    for layer, cache, count in model.caches:
        held, tp = int(cache.share(context, layout.token_ranks)), layout.tp
        size = cache.sequence_bytes(held, execution, tp=tp)
        detail = f"{count} layers × {cache.describe(held, execution, tp=tp)}"
        label = f"{layer} · {cache.kind}"
        terms.append(Term(label=label, value=sequences * size * count, detail=detail))
    return Explanation(
        figure="cache_bytes",
        meaning="Keys, values and states of all sequences at the given context.",
        formula="sequences · Σ over caches: layers · min(context, window) · kv_heads · "
        "(key_dim + value_dim) · bytes, or the state's size",
        substituted=f"{sequences:,} sequences × {context:,} tokens",
        value=sum(int(term.value) for term in terms),
        unit="bytes",
        terms=tuple(terms),
        sources=tuple(
            dict.fromkeys(
                _CACHE_SOURCES[cache.kind]
                for _, cache, _ in model.caches
                if cache.kind in _CACHE_SOURCES
            )
        ),
    )


def explain_activations(
    peak: ActivationPeak, tokens: int, sequences: int, received: int
) -> Explanation:
    """Return how the bytes of the activations came about.

    Parameters
    ----------
    peak : ActivationPeak
        Bounds per token and row.
    tokens, sequences : int
        Tokens of one rank's step, and rows of logits. [tokens], [1]
    received : int
        Room for keys and values that other ranks pass on. [bytes]

    Returns
    -------
    Explanation
        With the residual stream, and what of the rest is largest.
    """
    beside = peak.sequence_bytes
    terms = [
        Term(label="residual stream", value=peak.residual_bytes * tokens),
        Term(label=f"widest operation: {peak.widest}", value=peak.widest_bytes * tokens),
        Term(label="logits with an fp32 copy", value=peak.logits_bytes * sequences),
    ]
    if beside:
        terms.append(Term(label="work on another sequence", value=beside * sequences))
    if received:
        terms.append(Term(label="keys and values of other ranks", value=received))
    return Explanation(
        figure="activations_bytes",
        meaning="The most that activations of one step take at once on a device.",
        formula="tokens · residual + max(tokens · widest operation, rows · logits"
        + (", rows · other sequence)" if beside else ")")
        + (" + received" if received else ""),
        substituted=f"{tokens:,} · {peak.residual_bytes:,} + max({tokens:,} · "
        f"{peak.widest_bytes:,.0f}, {sequences:,} · {peak.logits_bytes:,}"
        + (f", {sequences:,} · {beside:,.0f})" if beside else ")")
        + (f" + {received:,}" if received else ""),
        value=int(peak.bytes(tokens, sequences)) + received,
        unit="bytes",
        terms=tuple(terms),
    )


def explain_none(figure: str, what: str) -> Explanation:
    """Return why something that only engines take is nothing here.

    Parameters
    ----------
    figure : str
        Its name.
    what : str
        What it would be.

    Returns
    -------
    Explanation
        Zero.
    """
    return Explanation(
        figure=figure,
        meaning=f"{what}; belongs to an engine, and none was named.",
        formula="0",
        substituted="0",
        value=0,
        unit="bytes",
    )


def less(whole: Explanation, freed: int, offload: Offload) -> Explanation:
    """Return an explanation of what stays on the device.

    Parameters
    ----------
    whole : Explanation
        Of everything.
    freed : int
        What offloading frees. [bytes]
    offload : Offload
        Where the rest lives.

    Returns
    -------
    Explanation
        With one more term; the same where nothing is freed.
    """
    if not freed:
        return whole
    away = Term(
        label=f"in {offload.to} memory" if offload.to == "host" else "on NVMe",
        value=-freed,
        detail=f"less room for {BUFFERED_LAYERS} layers of it on the device",
    )
    return replace(
        whole,
        formula=f"{whole.formula} - offloaded",
        value=int(whole.value or 0) - freed,
        terms=(*whole.terms, away),
    )


def explain_offloaded(part: str, value: float, substituted: str, offload: Offload) -> Explanation:
    """Return how much of weights or caches lives elsewhere.

    Parameters
    ----------
    part : str
        What it is a share of.
    value : float
        The figure. [bytes]
    substituted : str
        The formula with its numbers.
    offload : Offload
        Where it lives.

    Returns
    -------
    Explanation
        Of one device.
    """
    return Explanation(
        figure="offloaded_bytes",
        meaning=f"What of {part} of one device lives in {offload.to} memory and is streamed in.",
        formula=f"⌊fraction · {part}⌋",
        substituted=substituted,
        value=int(value),
        unit="bytes",
        terms=(Term(label=part, value=int(value)),),
        sources=("zero-inference-2022",),
    )
