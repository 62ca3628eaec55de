"""Claims about how much keys and values take."""

from __future__ import annotations

from planner.arrays import ceil_div
from planner.claims.assumptions import (
    cache_control,
    cached_in,
    device_control,
    figure,
    model_control,
    references,
    tokens_control,
)
from planner.claims.claim import Claim, Control, Finding, Values, Verdict
from planner.cost.limits import MOST_TOKENS, largest
from planner.cost.memory import explain_cache
from planner.explanation import Term
from planner.hardware import load_device
from planner.importers import load_model
from planner.units import GB, TB, format_bytes

_CLAIMED_48_BYTES = 48 * GB
_CLAIMED_1_BYTES = 1 * TB
_TOLERANCE = 0.05


def _gigabytes(value: float) -> str:
    return f"{value / GB:,.4g} GB"


def _gpt3(values: Values) -> Finding:
    model, context = load_model(values["model"]), values["context"]
    execution = cached_in(values["kv_cache_dtype"])
    size = explain_cache(model, execution, context, 1)
    computed = int(size.value or 0)
    per_token = model.cache_bytes_per_token(execution)
    holds = largest(
        lambda n: bool(model.cache_bytes(n, execution) <= _CLAIMED_48_BYTES), MOST_TOKENS
    )
    right = abs(computed / _CLAIMED_48_BYTES - 1) <= _TOLERANCE
    ratio = computed / _CLAIMED_48_BYTES
    beyond = model.usable_context is not None and context > model.usable_context
    note = (
        f" Its positions reach {model.usable_context:,} tokens only, so the length is hypothetical."
        if beyond
        else ""
    )
    return Finding(
        verdict="true" if right else "false",
        ruling="true under these assumptions" if right else f"off by a factor of {ratio:.3g}",
        explanation=f"{model.name} keeps {per_token:,} bytes per token in "
        f"{execution.cache.name}; {context:,} tokens take {_gigabytes(computed)}, against the "
        f"48 GB that are claimed. 48 GB hold {holds:,} tokens.{note}",
        figures=(
            size,
            figure(
                "cache_bytes_per_token",
                per_token,
                "bytes/token",
                "What one token leaves in the caches of all layers.",
                "Σ over layers: kv_heads · (key_dim + value_dim) · bytes",
                f"{len(model.layers)} layers in {execution.cache.name}",
                sources=("ainslie-2023",),
            ),
            figure(
                "tokens_in_claimed_size",
                holds,
                "tokens",
                "Longest sequence whose cache fits into the claimed size.",
                "largest n with cache(n) ≤ 48 GB",
                f"48 GB / {per_token:,} bytes",
            ),
        ),
    )


def _a_million_tokens(values: Values) -> Finding:
    context, execution = values["context"], cached_in(values["kv_cache_dtype"])
    chosen = load_model(values["model"])
    models = {model.name: model for model in (chosen, *references())}
    sizes = {name: model.cache_bytes(context, execution) for name, model in models.items()}
    above = [name for name, size in sizes.items() if size >= _CLAIMED_1_BYTES]
    verdict: Verdict = "depends"
    if len(above) in {0, len(sizes)}:
        verdict = "true" if above else "false"
    return Finding(
        verdict=verdict,
        ruling="depends on the model" if verdict == "depends" else f"{verdict} of all of these",
        explanation=f"At {context:,} tokens in {execution.cache.name}, {len(above)} of "
        f"{len(sizes)} models need 1 TB or more: those that keep a megabyte per token, which takes "
        "many KV heads and layers. Grouped heads, latents, windows and states need far less.",
        figures=(
            explain_cache(chosen, execution, context, 1),
            figure(
                "models_above_1_tb",
                len(above),
                "models",
                "How many of the reference models need 1 TB for one sequence.",
                "count of models with cache(context) ≥ 10¹² bytes",
                f"{context:,} tokens in {execution.cache.name}",
                terms=tuple(
                    Term(label=name, value=float(size >= _CLAIMED_1_BYTES), detail=_gigabytes(size))
                    for name, size in sizes.items()
                ),
            ),
        ),
    )


def _paged(values: Values) -> Finding:
    model, context = load_model(values["model"]), values["context"]
    execution, block = cached_in(values["kv_cache_dtype"]), values["block_tokens"]
    device = load_device(values["device"])
    capacity = device.capacity_bytes * values["devices"]
    free = capacity - model.weights_bytes(execution)
    exact = model.cache_bytes(context, execution)
    pages = model.cache_bytes(ceil_div(context, block) * block, execution)
    longest = largest(
        lambda n: bool(model.cache_bytes(ceil_div(n, block) * block, execution) <= free),
        MOST_TOKENS,
    )
    fits = longest >= context
    positions = model.usable_context
    reaches = positions is None or positions >= context
    return Finding(
        verdict="true" if fits and reaches else "false",
        ruling="true under these assumptions" if fits and reaches else "false",
        explanation=f"Pages take {format_bytes(pages - exact)} more than the "
        f"{format_bytes(exact)} of the tokens themselves, never less: paging does away with "
        "fragmentation and over-reservation, not with bytes per token, and it adds no positions. "
        f"{values['devices']} × {device.name} hold {longest:,} tokens of one sequence beside the "
        f"weights of {model.name}; its positions reach "
        f"{'any length' if positions is None else f'{positions:,} tokens'}.",
        figures=(
            explain_cache(model, execution, context, 1),
            figure(
                "paged_bytes",
                int(pages),
                "bytes",
                "What the sequence takes in pages.",
                "cache(⌈context / block⌉ · block)",
                f"⌈{context:,} / {block}⌉ · {block}",
                sources=("kwon-2023",),
            ),
            figure(
                "longest_context",
                longest,
                "tokens",
                "Longest sequence that the devices hold beside the weights.",
                "largest n with pages(n) ≤ devices · capacity − weights",
                f"{values['devices']} · {format_bytes(device.capacity_bytes)} − "
                f"{format_bytes(model.weights_bytes(execution))}",
            ),
        ),
    )


CLAIMS = (
    Claim(
        id="a",
        title="GPT-3 at 32K tokens",
        said="One sequence of 32K tokens takes 48 GB of keys and values in GPT-3 175B.",
        controls=(model_control("gpt3-175b"), tokens_control(32_768), cache_control("fp16")),
        find=_gpt3,
        sources=("brown-2020",),
    ),
    Claim(
        id="b",
        title="A million tokens",
        said="At a million tokens, keys and values take more than 1 TB per sequence.",
        controls=(tokens_control(1_000_000), cache_control(), model_control("gpt3-175b")),
        find=_a_million_tokens,
        sources=("ainslie-2023", "deepseek-v2-2024"),
    ),
    Claim(
        id="n",
        title="PagedAttention and 10M tokens",
        said="Paged keys and values make contexts of 10M tokens and more possible.",
        controls=(
            model_control("llama-3.1-8b"),
            tokens_control(10_000_000),
            cache_control(),
            Control(
                name="block_tokens", label="Page", unit="tokens", default=16, least=1, most=65_536
            ),
            device_control(),
            Control(name="devices", label="Devices", unit="1", default=8, least=1, most=65_536),
        ),
        find=_paged,
        sources=("kwon-2023",),
    ),
)
