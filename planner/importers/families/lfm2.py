"""LFM2, LFM2-MoE and LFM3: gated short convolutions with few attention layers among them.

LFM2 shrinks ``intermediate_size`` to two thirds, rounded up, unless told otherwise. Defaults of the
configuration classes that are taken: every layer attends where the file has no list, tied
embeddings, 3 taps (LFM3: 7), 8 KV heads (LFM3: 4), two dense layers before the sparse ones; LFM3
has heads of 128, windows of 256, a gate per head and norms around each part.
"""

from __future__ import annotations

from typing import Literal

from planner.importers.config import Config
from planner.importers.decoder import assemble, read_experts, read_heads, read_hidden, read_layers
from planner.importers.position import usable_context
from planner.importers.recurrent import read_kinds
from planner.importers.registry import Architecture, family
from planner.importers.stacks import named, pre_norm_layers
from planner.model import Layer
from planner.model.bounds import MOST_LAYERS
from planner.model.feed_forward import Dense, MixtureOfExperts
from planner.model.mixers.attention import Attention
from planner.model.mixers.convolution import ShortConvolution
from planner.model.norm import Norm
from planner.model.part import Part

_CONTEXT_TOKENS = 128_000
_LFM3_HEAD_DIM = 128
_LFM3_WINDOW_TOKENS = 256


@family("lfm2", architectures=("Lfm2ForCausalLM",))
def read(config: Config) -> Architecture:
    """Read an LFM2 configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Convolutions and attention with QK-norm, SwiGLU.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden, layers = read_hidden(config), read_layers(config)
    dense = Dense(hidden=hidden, intermediate=_shrunk(config))
    return _lfm2(config, hidden, [dense] * layers)


@family("lfm2_moe", architectures=("Lfm2MoeForCausalLM",))
def read_moe(config: Config) -> Architecture:
    """Read an LFM2-MoE configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        As LFM2, with experts behind the first layers.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden, layers = read_hidden(config), read_layers(config)
    config.ignore("routed_scaling_factor", "norm_topk_prob")
    experts = read_experts(config, hidden, intermediate=config.size("moe_intermediate_size"))
    mixture = MixtureOfExperts(
        hidden=hidden,
        intermediate=experts.intermediate,
        experts=experts.experts,
        top_k=experts.top_k,
        correction_bias=config.flag("use_expert_bias", True),
    )
    dense = Dense(hidden=hidden, intermediate=config.size("intermediate_size"))
    first = config.size("num_dense_layers", default=2, least=0, most=MOST_LAYERS)
    return _lfm2(config, hidden, [dense if i < first else mixture for i in range(layers)])


@family("lfm3", architectures=("Lfm3ForCausalLM",))
def read_lfm3(config: Config) -> Architecture:
    """Read an LFM3 configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Convolutions between full and windowed attention.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden, layers = read_hidden(config), read_layers(config)
    bias = config.flag("attention_bias", False)
    gate: Literal["head", "none"] = "head" if config.flag("use_attention_gate", True) else "none"
    heads = read_heads(config, hidden, kv_heads=4, head_dim=_LFM3_HEAD_DIM)
    window = config.optional_size("sliding_window")
    window = window if "sliding_window" in config else _LFM3_WINDOW_TOKENS
    mixers: dict[str, Part] = {
        "linear": _convolution(config, hidden, 7),
        **{
            kind: Attention(
                hidden=hidden,
                query_heads=heads.query,
                kv_heads=heads.kv,
                head_dim=heads.dim,
                window=reach,
                qkv_bias=bias,
                output_bias=bias,
                qk_norm="head",
                output_gate=gate,
            )
            for kind, reach in (("full", None), ("sliding", window))
        },
    }
    by_rule = [
        "full" if i % 4 == 2 else "sliding" if i % 4 == 0 < i else "linear" for i in range(layers)
    ]
    kinds = read_kinds(config, layers) or by_rule
    before, after, between, last = (
        Norm(kind="rms_norm", width=hidden, name=name)
        for name in ("operator_norm", "post_operator_norm", "ffn_norm", "post_ffn_norm")
    )
    dense = Dense(hidden=hidden, intermediate=config.size("intermediate_size"))
    around = config.flag("use_sandwich_norm", True)
    rows: list[tuple[Part, ...]] = [
        (before, mixers[kind], after, between, dense, last)
        if around
        else (before, mixers[kind], between, dense)
        for kind in kinds
    ]
    return _assembled(config, named(rows), hidden)


def _lfm2(
    config: Config, hidden: int, feed_forward: list[Dense] | list[Dense | MixtureOfExperts]
) -> Architecture:
    heads = read_heads(config, hidden, kv_heads=8)
    attention = Attention(
        hidden=hidden,
        query_heads=heads.query,
        kv_heads=heads.kv,
        head_dim=heads.dim,
        qk_norm="head",
    )
    convolution = _convolution(config, hidden, 3)
    return _assembled(
        config,
        pre_norm_layers(
            [
                (attention if full else convolution,)
                for full in _attending(config, len(feed_forward))
            ],
            feed_forward,
            hidden,
        ),
        hidden,
    )


def _convolution(config: Config, hidden: int, taps: int) -> ShortConvolution:
    config.require("conv_dim", hidden, None)
    config.require("conv_dim_out", hidden, None)
    config.ignore("conv_use_xavier_init", "block_use_xavier_init")
    return ShortConvolution(
        hidden=hidden,
        conv_kernel=config.size("conv_L_cache", default=taps),
        bias=config.flag("conv_bias", False),
    )


def _attending(config: Config, layers: int) -> list[bool]:
    kinds = read_kinds(config, layers)
    places = config.entries("full_attn_idxs")
    if kinds is not None:
        return [kind == "full" for kind in kinds]
    if places is None:
        return [True] * layers
    if any(isinstance(place, bool) or place not in range(layers) for place in places):
        config.refuse("full_attn_idxs", f"layers from 0 to {layers - 1:,}")
    return [layer in places for layer in range(layers)]


def _shrunk(config: Config) -> int:
    """Return two thirds of the stated width, scaled and rounded up to a multiple."""
    stated = config.size("block_ff_dim", "intermediate_size")
    multiple = config.size("block_multiple_of", default=256)
    scale = config.number("block_ffn_dim_multiplier", 1.0)
    config.require("block_mlp_init_scale", 1.0, None)
    config.require("block_out_init_scale", 1.0, None)
    config.require("block_dim", read_hidden(config), None)
    config.require("block_use_swiglu", True, None)
    config.ignore("block_norm_eps", "block_mlp_init_scale", "block_out_init_scale", "num_heads")
    if not config.flag("block_auto_adjust_ff_dim", True):
        return stated
    width = int(scale * int(2 * stated / 3))
    return max(1, -(-width // multiple)) * multiple


def _assembled(config: Config, layers: list[Layer], hidden: int) -> Architecture:
    config.ignore("theta", "use_pos_enc")
    tied = config.flag("tie_embedding", True)
    return assemble(
        config,
        layers,
        hidden=hidden,
        tied=tied,
        usable_context=usable_context(config, default=_CONTEXT_TOKENS),
    )
