"""Inkling 2: windows and full attention, short convolutions all over, residuals over depth.

Keys, values and the outputs of both parts of a layer pass convolutions of four taps, kept in fp32.
Heads have gates, sinks made of the input, and positions by distance. Full layers have a norm each
for queries, keys and values, and taps that each token adds to. Defaults of ``Inkling2TextConfig``
that are taken: every sixth layer is full, 16 profiles over 1,024 distances, sums after 6 layers.
"""

from __future__ import annotations

from dataclasses import replace

from planner.importers.config import Config
from planner.importers.decoder import assemble, read_hidden, read_layers
from planner.importers.experts import read_mixture
from planner.importers.multimodal import read_multimodal
from planner.importers.recurrent import read_kinds
from planner.importers.registry import Architecture, family
from planner.importers.towers.inkling import INKLING_VISION
from planner.model import Layer
from planner.model.bounds import MOST_CONTEXT_TOKENS, MOST_LAYERS
from planner.model.connection import AttentionResidual, LearnedScale, OutputGate
from planner.model.mixers.attention import Attention
from planner.model.mixers.convolution_vector import VectorConvolution
from planner.model.mixers.relative import RelativePositions
from planner.model.norm import Norm
from planner.model.part import Part

_KINDS = {"hybrid": "full", "hybrid_sliding": "sliding"}
_EVERY, _BLOCK, _TAPS, _PROFILES, _EXTENT, _WINDOW = 6, 6, 4, 16, 1024, 1024
_CONTEXT_TOKENS = 1_048_576
_HEADS, _KV_HEADS, _HEAD_DIM = 48, 8, 128
_ARITHMETIC = (
    "unpadded_vocab_size", "log_scaling_n_floor", "log_scaling_alpha", "qk_l2_clip_threshold",
    "rel_l2_clip_threshold", "mlp_gate_softcap", "mlp_up_softcap", "final_logit_softcapping",
    "scoring_func", "route_scale", "number_of_conv_states", "rope_parameters", "rope_theta",
)  # fmt: skip


@family("inkling2", architectures=("Inkling2ForConditionalGeneration",))
def read_with_tower(config: Config) -> Architecture:
    """Read an Inkling 2 configuration and its vision tower.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        The language model, with the tower beside it.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    return read_multimodal(config, INKLING_VISION, default="inkling2_text")


@family("inkling2_text", architectures=("Inkling2ForCausalLM",))
def read(config: Config) -> Architecture:
    """Read the language model of Inkling 2.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        A norm on the token table, and layers whose inputs are weighed among kept sums.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden, layers = read_hidden(config), read_layers(config)
    config.ignore(*_ARITHMETIC)
    by_rule = ["sliding" if (i + 1) % _EVERY else "full" for i in range(layers)]
    kinds = read_kinds(config, layers, "layer_types", words=_KINDS) or by_rule
    block = config.size("n_layers_per_attn_res_block", default=_BLOCK, most=MOST_LAYERS)
    rows = _rows(config, hidden, kinds, block)
    decoder = assemble(
        config,
        rows,
        hidden=hidden,
        tied=False,
        usable_context=config.size(
            "max_position_embeddings",
            "model_max_length",
            default=_CONTEXT_TOKENS,
            most=MOST_CONTEXT_TOKENS,
        ),
    )
    last = _residual(hidden, -(-layers // block) + 1, "final_input")
    return replace(decoder, final=(last, *decoder.final))


def _rows(config: Config, hidden: int, kinds: list[str], block: int) -> list[Layer]:
    experts = read_mixture(config, hidden, correction_bias=True)
    mixers = {kind: _mixer(config, hidden, kind) for kind in set(kinds)}
    after = {
        name: _convolution(config, hidden, f"{name}_convolution")
        for name in ("post_attention", "post_mlp")
    }
    layers = []
    names: dict[tuple[Part, ...], str] = {}
    for layer, kind in enumerate(kinds):
        parts = (
            *_inputs(hidden, layer, block, 3 if kind == "full" else 1),
            *mixers[kind],
            after["post_attention"],
            _residual(hidden, layer // block + 2, "mlp_input"),
            Norm(kind="rms_norm", width=hidden, name="post_attention_layernorm"),
            experts,
            after["post_mlp"],
        )
        layers.append(Layer(names.setdefault(parts, f"{kind}-{len(names) + 1}"), parts))
    return layers


def _residual(hidden: int, entries: int, name: str, inputs: int = 1) -> AttentionResidual:
    return AttentionResidual(hidden=hidden, entries=entries, name=name, inputs=inputs, norm=False)


def _inputs(hidden: int, layer: int, block: int, inputs: int) -> tuple[Part, ...]:
    """Return what stands before attention: the norm of the token table, or a weighing of sums."""
    names = ("q_", "k_", "v_") if inputs == 3 else ("",)
    norms = tuple(
        Norm(kind="rms_norm", width=hidden, name=f"{name}input_layernorm") for name in names
    )
    if layer == 0:
        return (Norm(kind="rms_norm", width=hidden, name="embed_norm"), *norms)
    return (_residual(hidden, -(-layer // block) + 1, "attention_input", inputs), *norms)


def _convolution(config: Config, hidden: int, name: str) -> VectorConvolution:
    taps = config.size("conv_kernel_size", "sconv_kernel_size", default=_TAPS, most=64)
    return VectorConvolution(hidden=hidden, name=name, conv_kernel=taps, state_format="fp32")


def _mixer(config: Config, hidden: int, kind: str) -> tuple[Part, ...]:
    """Return attention with its convolutions, gate, sinks and positions."""
    own = ("swa_num_attention_heads", "swa_num_key_value_heads", "swa_head_dim")
    everywhere = ("num_attention_heads", "num_key_value_heads", "head_dim")
    heads, kv_heads, head_dim = (
        config.size(name, default=default)
        for name, default in zip(
            own if kind == "sliding" else everywhere, (_HEADS, _KV_HEADS, _HEAD_DIM), strict=True
        )
    )
    if heads % kv_heads:
        config.refuse("num_key_value_heads", f"a divisor of {heads:,}")
    window = config.size(
        "sliding_window_size", "sliding_window", default=_WINDOW, most=MOST_CONTEXT_TOKENS
    )
    extent = config.size("rel_extent", default=_EXTENT, most=MOST_CONTEXT_TOKENS)
    config.ignore(*own, *everywhere)
    attention = Attention(
        hidden=hidden,
        query_heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        window=window if kind == "sliding" else None,
        rotary=False,
    )
    return (attention, *_beside(config, attention, window if kind == "sliding" else extent))


def _beside(config: Config, attention: Attention, extent: int) -> tuple[Part, ...]:
    """Return the convolutions of keys and values, positions, gate, sinks and learned scales."""
    hidden, heads = attention.hidden, attention.query_heads
    profiles = config.size("d_rel", default=_PROFILES)
    convolutions = (
        replace(
            _convolution(config, hidden, f"self_attn.{name}_sconv"),
            kv_heads=attention.kv_heads,
            head_dim=attention.head_dim,
            dynamic=attention.window is None,
        )
        for name in ("k", "v")
    )
    wide = attention.head_dim
    return (
        *convolutions,
        RelativePositions(hidden=hidden, heads=heads, profiles=profiles, extent=extent),
        OutputGate(hidden=hidden, heads=heads, width=wide, name="self_attn.gate_proj"),
        OutputGate(hidden=hidden, heads=heads, name="self_attn.sink_proj"),
        LearnedScale(width=heads * wide, name="self_attn.q_l2_clip.scale"),
        LearnedScale(width=heads * profiles, name="self_attn.rel_l2_clip.scale"),
    )
