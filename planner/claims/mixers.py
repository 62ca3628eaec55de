"""Claims about mixers other than attention."""

from __future__ import annotations

import math

from planner.claims.assumptions import cached_in, device_control, figure, tokens_control
from planner.claims.claim import Claim, Control, Finding, Values, Verdict
from planner.comparison import compare_variants
from planner.explanation import Term
from planner.hardware import load_hardware
from planner.importers import load_model
from planner.model import Step
from planner.model.execution import half
from planner.model.mixers.convolution import Hyena, fourier_convolution_flop
from planner.model.mixers.linear_rwkv import RwkvChannelMix
from planner.model.mixers.linear_rwkv_state import RwkvTimeMix
from planner.model.mixers.state_space import Mamba1
from planner.model.mixers.structured import monarch_transform_flop
from planner.model.part import Part
from planner.scenario import Scenario
from planner.units import format_bytes
from planner.variants import Exchange

_MAMBA_LAYERS = 64
_CLAIMED_SPEED = 5.0
_ATTENTION_MODEL = "llama-2-7b"
_MOST_LENGTH = 2**30


def _state_bytes(parts: tuple[Part, ...], layers: int) -> int:
    execution = half()
    caches = [cache for part in parts for cache in part.caches()]
    return layers * sum(int(cache.sequence_bytes(1, execution, tp=1)) for cache in caches)


def _mamba(values: Values) -> Finding:
    context, sequences = values["context"], values["sequences"]
    model = load_model(_ATTENTION_MODEL)
    cache = int(model.cache_bytes(context, cached_in("bf16")))
    mixer = Mamba1(hidden=2560, inner=5120, state_dim=16, rank=160)
    state = _state_bytes((mixer,), _MAMBA_LAYERS)
    scenario = Scenario(
        model=model,
        hardware=load_hardware(values["device"], 1),
        context=context,
        sequences=sequences,
    )
    found = compare_variants(scenario, (Exchange(name="SSM"),), longest=max(context, 2))
    seconds = [float(curve.values["step_time_s"][-1]) for curve in found.curves]
    return Finding(
        verdict="false",
        ruling="false as stated",
        explanation="The paper finds Mamba-3B as good as Transformers of twice its size, trained "
        "on the same 300B tokens, and five times their throughput at large batches; Llama-7B was "
        "trained on a trillion. What it keeps does not grow at all: "
        f"{format_bytes(state)} against {format_bytes(cache)} of {model.name} at {context:,} "
        "tokens. At 8B, pure state-space models lag in recall and in-context learning, and "
        "hybrids lead.",
        figures=(
            figure(
                "state_bytes",
                state,
                "bytes",
                "State of Mamba-2.8B, one sequence of any length.",
                "layers · (inner · state + inner · (taps − 1)) · bytes",
                f"{_MAMBA_LAYERS} · (5,120 · 16 + 5,120 · 3) · 2",
                sources=("gu-2023",),
            ),
            figure(
                "cache_bytes",
                cache,
                "bytes",
                f"Keys and values of {model.name} at the context.",
                "context · layers · kv_heads · (key_dim + value_dim) · bytes",
                f"{context:,} tokens",
                sources=("ainslie-2023",),
            ),
            figure(
                "step_ratio",
                seconds[0] / seconds[1],
                "1",
                "Floor of a decode step with attention over one with state-space layers, the same "
                "backbone.",
                "time(attention) / time(SSM)",
                f"{sequences:,} sequences of {context:,} tokens on {scenario.hardware.device.name}",
                sources=("williams-2009", "dao-2024"),
            ),
        ),
    )


def _rwkv(values: Values) -> Finding:
    hidden, layers, context = values["hidden"], values["layers"], values["context"]
    heads = max(hidden // 64, 1)
    time_mix = RwkvTimeMix(kind="rwkv6", hidden=hidden, inner=heads * 64, head_dim=64)
    channel_mix = RwkvChannelMix(hidden=hidden, intermediate=7 * hidden // 2)
    state = _state_bytes((time_mix, channel_mix), layers)
    execution = half()

    def work(tokens: int) -> float:
        operations = time_mix.operations(Step.prefill(1, tokens), execution)
        return sum(float(operation.flop) for operation in operations)

    growth = work(2 * context) / work(context)
    linear = abs(growth - 2) < 0.01
    return Finding(
        verdict="depends" if linear else "false",
        ruling="half true" if linear else "false",
        explanation=f"Twice as many tokens take {growth:.3g} times the arithmetic, and the state "
        f"stays {format_bytes(state)}. Nothing limits what can be fed in, but a state of fixed "
        f"size forgets: {8 * state / context:,.3g} bits for each of {context:,} tokens. Quality "
        "beyond the trained length, a few thousand tokens, is another question.",
        figures=(
            figure(
                "state_bytes",
                state,
                "bytes",
                "State of one sequence, whatever its length.",
                "layers · (2 · hidden · 2 bytes + hidden · 64 · 4 bytes)",
                f"{layers} · (2 · {hidden:,} · 2 + {hidden:,} · 64 · 4)",
                sources=("peng-2024-rwkv",),
            ),
            figure(
                "work_growth",
                growth,
                "1",
                "Arithmetic of time mixing over twice the tokens.",
                "FLOP(2n) / FLOP(n)",
                f"n = {context:,}",
                sources=("peng-2024-rwkv",),
            ),
            figure(
                "state_bits_per_token",
                8 * state / context,
                "bits/token",
                "State spread over the tokens.",
                "8 · state / n",
                f"8 · {state:,} / {context:,}",
            ),
        ),
    )


def _hyena(values: Values) -> Finding:
    tokens, hidden, order = values["tokens"], values["hidden"], values["order"]
    mixer = Hyena(hidden=hidden, order=order)
    parameters = sum(tensor.elements for tensor in mixer.tensors())
    filters = (order - 1) * hidden
    direct = float(tokens) ** 2
    fourier = float(fourier_convolution_flop(tokens))
    growth = float(fourier_convolution_flop(2 * tokens)) / fourier
    logarithmic = filters <= 2 * math.log2(max(tokens, 2))
    verdict: Verdict = "true" if logarithmic else "false"
    return Finding(
        verdict=verdict,
        ruling="as few, by chance" if logarithmic else "false",
        explanation=f"There are {filters:,} long filters whatever the length, made by a small "
        f"network: the operator has {parameters:,} parameters. The logarithm is in the time: a "
        f"filter takes O(N log N) by Fourier transforms of 2N points, {direct / fourier:,.3g} "
        f"times less than multiplying it out at {tokens:,} tokens, and {growth:.3g} times as much "
        "at twice the length. Nor does it decode from a state of fixed size.",
        figures=(
            figure(
                "long_filters",
                filters,
                "filters",
                "Long implicit filters.",
                "(order − 1) · width",
                f"({order} − 1) · {hidden:,}",
                sources=("poli-2023",),
            ),
            figure(
                "saving",
                direct / fourier,
                "1",
                "FLOP of one filter multiplied out over those by Fourier transforms.",
                "N² / (3 · 2.5 · 2N · log₂ 2N + 6·(N + 1))",
                f"{tokens:,}² / {fourier:,.0f}",
                sources=("poli-2023",),
            ),
            figure(
                "parameters",
                parameters,
                "parameters",
                "Parameters of the operator, at any length.",
                "projections + short convolution + network of the filters",
                f"width {hidden:,}, order {order}",
                sources=("poli-2023",),
            ),
        ),
    )


def _monarch(values: Values) -> Finding:
    length, order = values["length"], values["order"]
    found = float(monarch_transform_flop(length, order)) / 2
    dense = float(length) ** 2
    logarithmic = length * math.log2(length)
    right = found <= 4 * logarithmic
    by_order = {
        p: float(monarch_transform_flop(length, p)) / 2
        for p in (2, 3, 4, round(math.log2(length)))
        if p >= 2
    }
    return Finding(
        verdict="true" if right else "false",
        ruling="true of so many factors" if right else "false of what is deployed",
        explanation=f"A Monarch matrix of {order} factors takes p·N^(1 + 1/p) = {found:,.0f} "
        f"multiply-adds at N = {length:,}, against {dense:,.0f} of a dense one and "
        f"{logarithmic:,.0f} for N·log₂ N. What is deployed has two factors, O(N^1.5); only with "
        "log₂ N of them, as in a fast Fourier transform, does the order come down to N log N.",
        figures=(
            figure(
                "multiplications",
                found,
                "multiply-adds",
                "One vector through a Monarch matrix.",
                "p · N^(1 + 1/p)",
                f"{order} · {length:,}^(1 + 1/{order})",
                terms=tuple(Term(label=f"{p} factors", value=value)
                            for p, value in by_order.items()),
                sources=("dao-2022-monarch", "fu-2023-monarch"),
            ),
            figure(
                "over_n_log_n",
                found / logarithmic,
                "1",
                "The same over N·log₂ N.",
                "p · N^(1/p) / log₂ N",
                f"{found:,.0f} / {logarithmic:,.0f}",
            ),
        ),
    )  # fmt: skip


CLAIMS = (
    Claim(
        id="j",
        title="Mamba against Llama",
        said="Mamba-3B matches Llama-7B, runs five times as fast, and its memory is linear.",
        controls=(
            tokens_control(2048, most=_MOST_LENGTH),
            Control(name="sequences", label="Sequences", unit="1", default=64, most=2**20),
            device_control("a100-sxm-80gb"),
        ),
        find=_mamba,
        sources=("gu-2023", "waleffe-2024"),
        on_record="unsupported",
    ),
    Claim(
        id="k",
        title="RWKV without end",
        said="RWKV-6 scales linearly and has infinite context.",
        controls=(
            Control(name="hidden", label="Width", unit="elements", default=4096, least=64,
                    most=65_536),
            Control(name="layers", label="Layers", unit="1", default=32, most=2000),
            tokens_control(1_000_000, most=_MOST_LENGTH),
        ),
        find=_rwkv,
        sources=("peng-2024-rwkv",),
    ),
    Claim(
        id="l",
        title="Filters of Hyena",
        said="Hyena needs O(log N) filters.",
        controls=(
            tokens_control(65_536, name="tokens", label="Tokens", most=_MOST_LENGTH),
            Control(name="hidden", label="Width", unit="elements", default=768, most=65_536),
            Control(name="order", label="Order", unit="1", default=2, least=2, most=16),
        ),
        find=_hyena,
        sources=("poli-2023",),
    ),
    Claim(
        id="m",
        title="Order of Monarch",
        said="Monarch matrices take O(N log N).",
        controls=(
            Control(name="length", label="Size", unit="elements", default=4096, least=4,
                    most=2**30),
            Control(name="order", label="Factors", unit="1", default=2, least=2, most=30),
        ),
        find=_monarch,
        sources=("dao-2022-monarch", "fu-2023-monarch"),
    ),
)  # fmt: skip
