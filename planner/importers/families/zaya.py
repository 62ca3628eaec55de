"""ZAYA1: convolved queries and keys, half-delayed values, routers that are networks.

Each residual connection scales and shifts both what it adds and what it adds to. Besides its
experts a router may choose to skip them all; experts are planned as if it never did. Defaults of
``ZayaConfig`` that are taken: 40 layers of 8 query and 2 key-value heads of 128, half of each head
rotated, 16 experts of which a token visits one, routers of 256, two convolutions of two taps.
"""

from __future__ import annotations

from collections.abc import Sequence

from planner.importers.config import Config
from planner.importers.decoder import assemble, read_hidden, read_layers
from planner.importers.recurrent import read_kinds
from planner.importers.registry import Architecture, family
from planner.model import Layer
from planner.model.bounds import MOST_CONTEXT_TOKENS
from planner.model.connection import LearnedScale
from planner.model.feed_forward import MixtureOfExperts
from planner.model.mixers.attention import Attention
from planner.model.mixers.convolution_vector import VectorConvolution
from planner.model.norm import Norm
from planner.model.part import Part
from planner.model.router import RouterNetwork

_CONTEXT_TOKENS = 131_072
_HEADS, _KV_HEADS, _HEAD_DIM = 8, 2, 128
_EXPERTS, _INNER, _ROUTER = 16, 2048, 256
_KINDS = {"hybrid": "full", "hybrid_sliding": "sliding"}


@family("zaya", architectures=("ZayaForCausalLM",))
def read(config: Config) -> Architecture:
    """Read a ZAYA1 configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Attention and experts, residual connections with learned scales.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    UnsupportedConfigError
        More than one expert per token.
    """
    hidden, layers = read_hidden(config), read_layers(config)
    kinds = read_kinds(config, layers, "layer_types", words=_KINDS) or ["full"] * layers
    config.require("num_experts_per_tok", 1)
    experts = config.size("num_experts", default=_EXPERTS)
    mixture = MixtureOfExperts(
        hidden=hidden,
        intermediate=config.size("moe_intermediate_size", default=_INNER),
        experts=experts,
        top_k=1,
        router=False,
    )
    router_width = config.size("router_hidden_size", default=_ROUTER)
    mixers = {kind: _mixer(config, hidden, kind) for kind in set(kinds)}
    rows = []
    for layer, kind in enumerate(kinds):
        router = RouterNetwork(
            hidden=hidden, width=router_width, choices=experts + 1, carried=layer > 0
        )
        rows.append(_row(layer, hidden, mixers[kind], (router, mixture)))
    return assemble(
        config,
        rows,
        hidden=hidden,
        tied=True,
        head_bias=config.flag("lm_head_bias", False),
        usable_context=config.size(
            "max_position_embeddings", default=_CONTEXT_TOKENS, most=MOST_CONTEXT_TOKENS
        ),
    )


def _row(layer: int, hidden: int, mixer: Sequence[Part], experts: Sequence[Part]) -> Layer:
    """Return a layer; the first one scales and shifts its input too."""
    scaled = LearnedScale(width=hidden, name="input_hidden_states_scale", vectors=2)
    first = (scaled,) if layer == 0 else ()
    parts = (
        *first,
        Norm(kind="rms_norm", width=hidden, name="input_layernorm"),
        *mixer,
        LearnedScale(width=hidden, name="post_attention_residual_scale", vectors=4),
        Norm(kind="rms_norm", width=hidden, name="post_attention_layernorm"),
        *experts,
        LearnedScale(width=hidden, name="post_mlp_residual_scale", vectors=4),
    )
    sliding = any(isinstance(part, Attention) and part.window for part in mixer)
    return Layer(("sliding" if sliding else "full") + ("-first" if first else ""), parts)


def _mixer(config: Config, hidden: int, kind: str) -> tuple[Part, ...]:
    heads = config.size("num_attention_heads", default=_HEADS)
    kv_heads = config.size("num_key_value_heads", default=_KV_HEADS)
    head_dim = config.size("head_dim", default=_HEAD_DIM)
    if heads % kv_heads:
        config.refuse("num_key_value_heads", f"a divisor of {heads:,}")
    if head_dim % 2:
        config.refuse("head_dim", "an even number")
    bias = config.flag("attention_bias", False)
    window = config.optional_size("sliding_window", most=MOST_CONTEXT_TOKENS)
    if kind == "sliding" and window is None:
        config.refuse("sliding_window", "a window for the layers that have one", "missing")
    attention = Attention(
        hidden=hidden,
        query_heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        qkv_bias=bias,
        output_bias=bias,
        window=window if kind == "sliding" else None,
        rotary_dim=_rotated(config, kind, head_dim),
    )
    return (attention, *_convolutions(config, attention))


def _convolutions(config: Config, attention: Attention) -> tuple[Part, ...]:
    """Return both convolutions of queries and keys, the delay of values, and the keys' scale."""
    hidden, heads, kv_heads = attention.hidden, attention.query_heads, attention.kv_heads
    convolutions = [
        VectorConvolution(
            hidden=hidden,
            name=f"qkv_proj.conv_qk_{name}",
            query_heads=heads,
            kv_heads=kv_heads,
            head_dim=attention.head_dim,
            conv_kernel=config.size(field, default=2, most=64),
            grouped=name == "grouped",
            bias=True,
        )
        for name, field in (("depthwise", "cca_time0"), ("grouped", "cca_time1"))
    ]
    delay = VectorConvolution(
        hidden=hidden,
        name="qkv_proj.v_delayed",
        kv_heads=kv_heads,
        head_dim=attention.head_dim // 2,
        conv_kernel=2,
        learned=False,
    )
    return (*convolutions, delay, LearnedScale(width=kv_heads, name="qk_norm.temp"))


def _rotated(config: Config, kind: str, head_dim: int) -> int:
    section = config.section("rope_parameters")
    name = next(word for word, means in _KINDS.items() if means == kind)
    own = section.section(name) if section and name in section else section
    for read in filter(None, (section, own)):
        read.ignore(*_KINDS, "rope_type", "rope_theta", "partial_rotary_factor")
    fraction = own.number("partial_rotary_factor", 0.5) if own else 0.5
    if not 0 < fraction <= 1:
        config.refuse("rope_parameters", "a partial_rotary_factor above 0 and up to 1")
    return max(2, int(head_dim * fraction) // 2 * 2)
