"""Claims about what happens at the largest sizes."""

from __future__ import annotations

from planner.claims.assumptions import (
    device_control,
    figure,
    keeps_state,
    model_control,
    tokens_control,
)
from planner.claims.claim import Claim, Control, Finding, Values
from planner.cost.limits import MOST_TOKENS, largest
from planner.errors import ScenarioError
from planner.hardware import load_device
from planner.importers import load_model
from planner.model import Model, Step
from planner.model.execution import half
from planner.model.feed_forward import Dense
from planner.model.mixers.attention import Attention
from planner.model.part import Part
from planner.variants import variant

_HEAD_DIM = 128
_HOUR_S = 3600
_YEAR_S = 365 * 24 * _HOUR_S
_CLAIMED_PARAMETERS = 10**13
_ATTENDING: frozenset[str] = frozenset(
    {"attention_prefill", "mla_prefill", "compressed_attention_prefill", "index_prefill"}
)


def _layer(hidden: int) -> tuple[Part, ...]:
    """Return a layer of the classic proportions: heads of 128, four times as wide inside."""
    if hidden % _HEAD_DIM:
        raise ScenarioError(
            f"heads of {_HEAD_DIM} do not divide the width",
            where="hidden",
            got=hidden,
            allowed=f"a multiple of {_HEAD_DIM}",
        )
    heads = hidden // _HEAD_DIM
    return (
        Attention(hidden=hidden, query_heads=heads, kv_heads=heads, head_dim=_HEAD_DIM),
        Dense(hidden=hidden, intermediate=4 * hidden, gated=False),
    )


def _over_the_rest(hidden: int, tokens: int) -> float:
    """Return FLOP of attention over those of all products of a layer in prefill."""
    flop = {"attention_prefill": 0.0, "gemm": 0.0}
    for part in _layer(hidden):
        for operation in part.operations(Step.prefill(1, tokens), half()):
            flop[operation.kind] = flop.get(operation.kind, 0.0) + float(operation.flop)
    return flop["attention_prefill"] / flop["gemm"]


def _wrong_variable(values: Values) -> Finding:
    hidden, tokens = values["hidden"], values["tokens"]
    here, wider = _over_the_rest(hidden, tokens), _over_the_rest(2 * hidden, tokens)
    per_layer = sum(t.elements for part in _layer(hidden) for t in part.tensors())
    parameters = per_layer * values["layers"]
    even = largest(lambda n: _over_the_rest(hidden, n) <= 1, MOST_TOKENS)
    falls = wider < here
    return Finding(
        verdict="false" if falls else "true",
        ruling="false, the wrong variable" if falls else "true",
        explanation=f"At {tokens:,} tokens attention takes {here:.3g} times the FLOP of all "
        f"products of a layer {hidden:,} wide, and {wider:.3g} times at twice the width: its "
        f"share falls as models grow. The two are equal at {even:,} tokens. What limits is the "
        f"length, and the traffic of the cache, not parameters ({parameters:,.3g} here). No model "
        "of 10¹⁴ parameters exists to be measured.",
        figures=(
            figure(
                "attention_over_products",
                here,
                "1",
                "FLOP of attention over those of all matrix products, prefill.",
                "2·N²·d / (24·N·d²) = N / (12·d)",
                f"{tokens:,} / (12 · {hidden:,})",
                sources=("vaswani-2017",),
            ),
            figure(
                "at_twice_the_width",
                wider,
                "1",
                "The same in a model twice as wide.",
                "N / (24·d)",
                f"{tokens:,} / (24 · {hidden:,})",
            ),
            figure(
                "even_tokens",
                even,
                "tokens",
                "Length at which attention takes as much as all products.",
                "largest N with the ratio at most 1",
                f"12 · {hidden:,}",
            ),
            figure(
                "parameters",
                parameters,
                "parameters",
                "Parameters of such a model without its embedding.",
                "layers · 12·d²",
                f"{values['layers']} · {per_layer:,}",
            ),
        ),
    )


def _prefill_flop(model: Model, tokens: int, kinds: frozenset[str] | None = None) -> float:
    operations = model.operations(Step.prefill(1, tokens), half())
    return sum(float(op.flop) * n for _, op, n in operations if kinds is None or op.kind in kinds)


def _billion(values: Values) -> Finding:
    backbone, tokens = load_model(values["model"]), values["tokens"]
    device = load_device(values["device"])
    rate = device.rate("bf16")
    linear_s = _prefill_flop(variant(backbone, "SSM"), tokens) / rate
    attention_s = _prefill_flop(variant(backbone, "GQA"), tokens, _ATTENDING) / rate
    keeper = load_model(values["state_model"])
    bits = 8 * keeper.state_bytes(half()) / tokens
    computable = linear_s < values["patience_h"] * _HOUR_S
    return Finding(
        verdict="depends" if computable else "false",
        ruling="the computation yes, a model that remembers no" if computable else "false",
        explanation=f"Reading {tokens:,} tokens takes {linear_s / _HOUR_S:,.3g} hours of "
        f"{device.name} at its peak with state-space layers on the backbone of {backbone.name}; "
        f"attention alone would take {attention_s / _YEAR_S:,.3g} years. But the state of "
        f"{keeper.name} has {bits:.3g} bits for each of these tokens, too few to keep what an "
        "arbitrary one says. A runtime of 1B tokens was shown by LongNet, quality at that length "
        "by nobody; compressed attention stays quadratic in its scores.",
        figures=(
            figure(
                "linear_hours",
                linear_s / _HOUR_S,
                "h",
                "Reading the sequence with state-space layers, one device at its peak.",
                "FLOP of prefill / rate",
                f"{linear_s * rate:.4g} FLOP / {rate:.4g} FLOP/s",
                sources=("dao-2024",),
            ),
            figure(
                "attention_years",
                attention_s / _YEAR_S,
                "years",
                "Its attention alone with causal attention in all layers.",
                "4·pairs·query_heads·head_dim·layers / rate",
                f"{attention_s * rate:.4g} FLOP / {rate:.4g} FLOP/s",
                sources=("vaswani-2017",),
            ),
            figure(
                "state_bits_per_token",
                bits,
                "bits/token",
                f"State of {keeper.name}, spread over the tokens.",
                "8 · state / tokens",
                f"8 · {keeper.state_bytes(half()):,} / {tokens:,}",
                sources=("dao-2024",),
            ),
        ),
    )


def _retrieval(values: Values) -> Finding:
    model = load_model(values["model"])
    long, short = values["tokens"], values["retrieved"]
    if short > long:
        raise ScenarioError(
            "more tokens retrieved than there are", where="retrieved", got=short, allowed=long
        )
    pairs = _prefill_flop(model, long, _ATTENDING) / _prefill_flop(model, short, _ATTENDING)
    products = frozenset({"gemm", "moe"})
    rest = _prefill_flop(model, long, products) / _prefill_flop(model, short, products)
    return Finding(
        verdict="unsupported",
        ruling="an opinion, false as engineering",
        explanation=f"Reading {short:,} retrieved tokens in place of {long:,} takes {pairs:.3g} "
        f"times less attention and {rest:.3g} times fewer products: the gain is that of a shorter "
        "prompt, and what was retrieved is attended to all the same. Retrieval misses, cuts and "
        "joins badly, and another order of passages spoils cached prefixes. Studies find long "
        "contexts better and retrieval cheaper.",
        figures=(
            figure(
                "attention_ratio",
                pairs,
                "1",
                "FLOP of attention over the whole text over those over what was retrieved.",
                "pairs(N) / pairs(n)",
                f"N = {long:,}, n = {short:,}",
                sources=("li-2024",),
            ),
            figure(
                "product_ratio",
                rest,
                "1",
                "The same of all matrix products.",
                "N / n, less the head's one row",
                f"N = {long:,}, n = {short:,}",
            ),
        ),
    )


CLAIMS = (
    Claim(
        id="q",
        title="Attention in the largest models",
        said="Pure attention breaks down in models of 10 to 100 trillion parameters.",
        controls=(
            Control(name="hidden", label="Width", unit="elements", default=200_064, least=128,
                    most=2_000_000),
            Control(name="layers", label="Layers", unit="1", default=200, least=1, most=100_000),
            tokens_control(1_000_000, name="tokens", label="Tokens"),
        ),
        find=_wrong_variable,
        sources=("vaswani-2017",),
    ),
    Claim(
        id="r",
        title="A billion tokens",
        said="Subquadratic models scale to contexts of a billion tokens.",
        controls=(
            tokens_control(1_000_000_000, name="tokens", label="Tokens"),
            model_control("llama-3.1-8b"),
            model_control(
                "mamba2-2.7b",
                keeps_state,
                name="state_model",
                label="Model whose state is looked at",
            ),
            device_control(),
            Control(name="patience_h", label="Acceptable time", unit="h", default=24, most=10**6),
        ),
        find=_billion,
        sources=("dao-2024", "ding-2023"),
    ),
    Claim(
        id="s",
        title="Retrieval in place of attention",
        said="Retrieval and long contexts together make most attention needless.",
        controls=(
            model_control("llama-3.1-8b"),
            tokens_control(131_072, name="tokens", label="Whole text", most=2**30),
            tokens_control(16_384, name="retrieved", label="Retrieved", most=2**30),
        ),
        find=_retrieval,
        sources=("li-2024",),
        on_record="unsupported",
    ),
)  # fmt: skip
