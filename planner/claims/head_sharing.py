"""Claims about heads that share keys and values."""

from __future__ import annotations

from dataclasses import replace

from planner.claims.assumptions import (
    device_control,
    figure,
    keeps_tokens,
    model_control,
    references,
    tokens_control,
)
from planner.claims.claim import Claim, Control, Finding, Values
from planner.claims.published import told
from planner.comparison import compare_variants
from planner.errors import ScenarioError
from planner.explanation import Term
from planner.hardware import load_hardware
from planner.importers import load_model
from planner.model import Layout, Model
from planner.model.execution import half
from planner.model.mixers.attention import Attention
from planner.scenario import Scenario
from planner.variants import variant

_CLAIMED_SAVING = 16
_CLAIMED_GROUP = 8


def _plain(model: Model) -> bool:
    """Whether a model keeps keys and values in heads."""
    return keeps_tokens(model) and any(isinstance(part, Attention) for _, part, _ in model.parts)


def _attention(model: Model) -> Attention:
    """Return the first attention of a plain model."""
    return next(part for _, part, _ in model.parts if isinstance(part, Attention))


def _saving(model: Model, tp: int) -> float:
    """Return by how much MQA cuts the cache of a rank, heads copied where ranks outnumber them."""
    execution = half()
    sizes = [
        variant(model, name).cache_bytes_per_token(execution, layout=Layout(tp=tp))
        for name in ("MHA", "MQA")
    ]
    return sizes[0] / sizes[1]


def _multi_query(values: Values) -> Finding:
    model, tp = load_model(values["model"]), values["tp"]
    found = _saving(model, tp)
    others = {m.name: _saving(m, 1) for m in references() if _plain(m)}
    right = found == _CLAIMED_SAVING
    return Finding(
        verdict="true" if right and tp == 1 else "depends",
        ruling="true of this model" if right else "as many times as there are query heads",
        explanation=f"One KV head in place of one per query head makes the cache of {model.name} "
        f"{found:g} times smaller on a device: the saving is the number of query heads over the "
        f"tensor-parallel ranks, {tp} here, since every rank keeps a copy of the one head. Weights "
        "and everything else stay.",
        figures=(
            figure(
                "saving",
                found,
                "1",
                "Cache of multi-head attention over that of multi-query attention, on a rank.",
                "query_heads / tp",
                f"{_attention(model).query_heads} / {tp}",
                terms=tuple(Term(label=name, value=value) for name, value in others.items()),
                sources=("shazeer-2019",),
            ),
        ),
    )


def _group_of_eight(values: Values) -> Finding:
    model = load_model(values["model"])
    attention = _attention(model)
    found = attention.query_heads / attention.kv_heads
    groups = {
        m.name: _attention(m).query_heads / _attention(m).kv_heads
        for m in references()
        if _plain(m)
    }
    right = found == _CLAIMED_GROUP
    return Finding(
        verdict="true" if right else "depends",
        ruling="true of this model" if right else "depends on the model",
        explanation=f"{model.name} has {attention.query_heads} query heads on "
        f"{attention.kv_heads} KV heads: {found:g} share one. The number is each model's choice; "
        f"among the reference models it runs from {min(groups.values()):g} to "
        f"{max(groups.values()):g}.",
        figures=(
            figure(
                "query_heads_per_kv_head",
                found,
                "1",
                "Query heads that share one key and value head.",
                "query_heads / kv_heads",
                f"{attention.query_heads} / {attention.kv_heads}",
                terms=tuple(Term(label=name, value=value) for name, value in groups.items()),
                sources=("ainslie-2023",),
            ),
        ),
    )


def _order_of_growth(values: Values) -> Finding:
    query_heads, kv_heads = values["query_heads"], values["kv_heads"]
    if query_heads % kv_heads:
        raise ScenarioError(
            "KV heads that do not divide the query heads",
            where="kv_heads",
            got=kv_heads,
            allowed=f"a divisor of {query_heads}",
        )
    base = Attention(
        hidden=4096, query_heads=query_heads, kv_heads=kv_heads, head_dim=values["head_dim"]
    )
    execution = half()

    def bytes_of(mixer: Attention) -> int:
        return sum(int(cache.token_bytes(execution, tp=1)) for cache in mixer.caches())

    more_queries = bytes_of(replace(base, query_heads=2 * query_heads)) / bytes_of(base)
    more_keys = bytes_of(replace(base, kv_heads=2 * kv_heads)) / bytes_of(base)
    right = more_queries == 2
    return Finding(
        verdict="true" if right else "false",
        ruling="true" if right else "false",
        explanation=f"Twice the query heads make the cache {more_queries:g} times as large, twice "
        f"the KV heads {more_keys:g} times: it grows with layers, KV heads, their width and the "
        "tokens, and query heads are no part of it. Nothing grows with the square of the heads.",
        figures=(
            figure(
                "growth_with_query_heads",
                more_queries,
                "1",
                "Cache with twice the query heads over the cache as it is.",
                "kv_heads · (key_dim + value_dim) on both sides",
                f"{query_heads} → {2 * query_heads} query heads",
            ),
            figure(
                "growth_with_kv_heads",
                more_keys,
                "1",
                "Cache with twice the KV heads over the cache as it is.",
                "2 · kv_heads / kv_heads",
                f"{kv_heads} → {2 * kv_heads} KV heads",
            ),
            figure(
                "claimed_product",
                query_heads * kv_heads,
                "1",
                "What the claim would have the cache grow with; it does not.",
                "query_heads · kv_heads",
                f"{query_heads} · {kv_heads}",
            ),
            figure(
                "cache_bytes_per_token",
                bytes_of(base),
                "bytes/token",
                "What one layer keeps per token in bf16.",
                "kv_heads · 2 · head_dim · 2 bytes",
                f"{kv_heads} · 2 · {values['head_dim']} · 2",
                sources=("ainslie-2023",),
            ),
        ),
    )


def _grouped_speed(values: Values) -> Finding:
    scenario = Scenario(
        model=load_model(values["model"]),
        hardware=load_hardware(values["device"], values["devices"]),
        tp=values["devices"],
        context=values["context"],
        sequences=values["sequences"],
    )
    found = compare_variants(scenario, ("MHA", "GQA", "MQA"), longest=max(values["context"], 2))
    seconds = {curve.name: float(curve.values["step_time_s"][-1]) for curve in found.curves[1:]}
    slower, faster = seconds["GQA"] / seconds["MQA"] - 1, seconds["MHA"] / seconds["GQA"]
    measured = (
        told("t5-xxl-gqa-8") / told("t5-xxl-mqa") - 1,
        told("t5-xxl-mha") / told("t5-xxl-gqa-8"),
    )
    conditions = (
        f"{values['sequences']:,} sequences of {values['context']:,} tokens on "
        f"{values['devices']} × {scenario.hardware.device.name}"
    )
    return Finding(
        verdict="unsupported",
        ruling="no source has these figures",
        explanation="Neither the paper on grouped heads nor that on Llama 2 prints this pair. The "
        f"first measured T5-XXL: grouped heads {measured[0]:.1%} slower than one head and "
        f"{measured[1]:.1f} times faster than all. The floors of a decode step here follow from "
        "load, layout and device: on as many ranks as there are KV heads, one head in each group "
        "costs as much as one head for all.",
        figures=(
            figure(
                "gqa_over_mqa",
                slower,
                "1",
                "By how much a decode step with grouped heads takes longer than with one head.",
                "time(GQA) / time(MQA) − 1",
                conditions,
                sources=("williams-2009",),
            ),
            figure(
                "mha_over_gqa",
                faster,
                "1",
                "A decode step with all heads over one with grouped heads.",
                "time(MHA) / time(GQA)",
                conditions,
                terms=tuple(
                    Term(label=name, value=value, detail="s") for name, value in seconds.items()
                ),
                sources=("williams-2009",),
            ),
        ),
    )


CLAIMS = (
    Claim(
        id="e1",
        title="What multi-query attention saves",
        said="Multi-query attention makes the cache 16 times smaller.",
        controls=(
            model_control("llama-2-7b", _plain),
            Control(name="tp", label="Tensor-parallel ranks", unit="1", default=1, most=4096),
        ),
        find=_multi_query,
        sources=("shazeer-2019",),
    ),
    Claim(
        id="e2",
        title="Heads per group",
        said="In grouped-query attention, eight query heads share one key and value head.",
        controls=(model_control("llama-3.1-8b", _plain),),
        find=_group_of_eight,
        sources=("ainslie-2023",),
    ),
    Claim(
        id="e3",
        title="What the cache grows with",
        said="Grouping takes the cache from the order of heads² to query heads × KV heads.",
        controls=(
            Control(name="query_heads", label="Query heads", unit="1", default=64, most=4096),
            Control(name="kv_heads", label="KV heads", unit="1", default=8, most=4096),
            Control(name="head_dim", label="Head width", unit="elements", default=128, most=4096),
        ),
        find=_order_of_growth,
        sources=("ainslie-2023",),
    ),
    Claim(
        id="f",
        title="Speed of grouped heads",
        said="In Llama-2-70B, grouped heads are 23 % slower than one head and twice as fast as "
        "all.",
        controls=(
            model_control("llama-2-70b"),
            device_control("a100-sxm-80gb"),
            Control(name="devices", label="Devices", unit="1", default=8, most=64),
            tokens_control(4096),
            Control(name="sequences", label="Sequences", unit="1", default=64, most=2**20),
        ),
        find=_grouped_speed,
        sources=("ainslie-2023", "touvron-2023"),
        quotes=("t5-xxl-mha", "t5-xxl-mqa", "t5-xxl-gqa-8"),
        on_record="unsupported",
    ),
)
