"""Gemma 4: wide heads on layers that see everything, narrower ones with a window on the others.

In the large sizes keys and values of the wide heads are one projection; in the small sizes the last
layers read the keys and values of earlier ones, and each layer gets a further vector for each
token. In the sparse size experts stand beside a dense feed-forward part. Defaults of
``Gemma4TextConfig`` that are taken: five windows of 512 tokens before each layer without, heads of
256 and 512, vectors of 256 for each layer and token (none in the unified form), tied embeddings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from planner.importers.blocks import named_layers, read_window_pattern
from planner.importers.config import Config
from planner.importers.decoder import Heads, assemble, read_heads, read_hidden, read_layers
from planner.importers.multimodal import Sense, read_multimodal
from planner.importers.position import usable_context
from planner.importers.registry import Architecture, family
from planner.importers.tower_registry import Stack
from planner.model.embedding import TokenTable
from planner.model.feed_forward import Dense, MixtureOfExperts
from planner.model.mixers.attention import Attention
from planner.model.norm import Norm
from planner.model.part import Part
from planner.model.projection import Projection, Table

_WINDOW_TOKENS = 512
_PERIOD = 6
_HEAD_DIM = 256
_GLOBAL_HEAD_DIM = 512
_PER_LAYER_WIDTH = 256
_VOCABULARY = 262_144


@family(
    "gemma4",
    "gemma4_unified",
    architectures=("Gemma4ForConditionalGeneration", "Gemma4UnifiedForConditionalGeneration"),
)
def read(config: Config) -> Architecture:
    """Read a Gemma 4 configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        The language model with its towers.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    kind = config.text("model_type") or "gemma4"
    config.ignore("vision_soft_tokens_per_image", "audio_ms_per_token")
    config.ignore("audio_soft_tokens_per_image")
    senses = (
        Sense(name=name, section=f"{name}_config", default=f"{kind}_{name}", projector=_projector)
        for name in ("vision", "audio")
    )
    return read_multimodal(config, *senses, default=f"{kind}_text")


def _projector(config: Config, stack: Stack, hidden: int) -> tuple[Part, ...]:
    del config
    return (
        Projection(
            name="embedding_projection", inputs=stack.width, outputs=hidden, merged=stack.pooled
        ),
    )


@family(
    "gemma4_text",
    "gemma4_unified_text",
    architectures=("Gemma4ForCausalLM", "Gemma4UnifiedForCausalLM"),
)
def read_text(config: Config) -> Architecture:
    """Read the language model of a Gemma 4 configuration.

    Parameters
    ----------
    config : Config
        The text section.

    Returns
    -------
    Architecture
        Norms around each part and of queries, keys and values.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden = read_hidden(config)
    layers = read_layers(config)
    windows = read_window_pattern(config, layers, period=_PERIOD, window=_WINDOW_TOKENS)
    windows = [*windows[:-1], None]
    config.ignore("attention_use_bidirectional", "stream_and_decode_in_f32")
    config.ignore("expert_intermediate_size", "routed_layer_pattern")
    config.require("use_bidirectional_attention", "vision", None, False)
    shared = config.size("num_kv_shared_layers", default=0, least=0, most=layers - 1)
    attentions = _attentions(config, hidden, windows, layers - shared)
    plain = config.text("model_type") == "gemma4_unified_text"
    vectors = 0 if plain else _PER_LAYER_WIDTH
    width = config.size("hidden_size_per_layer_input", default=vectors, least=0)
    rows = [
        _layer(config, attention, width, doubled=not attention.own_kv) for attention in attentions
    ]
    decoder = assemble(
        config,
        named_layers(rows),
        hidden=hidden,
        tied=True,
        usable_context=usable_context(config),
        vocabulary=_VOCABULARY,
    )
    if not width:
        config.ignore("vocab_size_per_layer_input")
        return decoder
    vocabulary = config.size("vocab_size_per_layer_input", default=_VOCABULARY)
    return replace(decoder, initial=per_layer_inputs(vocabulary, hidden, layers, width))


def per_layer_inputs(vocabulary: int, hidden: int, layers: int, width: int) -> tuple[Part, ...]:
    """Return what makes a vector for each layer and token: a table, and a matrix with its norm.

    Parameters
    ----------
    vocabulary : int
        Rows of the table. [1]
    hidden : int
        Width of the residual stream. [elements]
    layers : int
        Layers that get a vector. [1]
    width : int
        Width of a vector. [elements]

    Returns
    -------
    tuple of Part
        They stand between the token table and the first layer.

    Examples
    --------
    >>> e2b = per_layer_inputs(262144, 1536, 35, 256)
    >>> sum(t.elements for part in e2b for t in part.tensors())
    2362573056
    """
    return (
        TokenTable(name="embed_tokens_per_layer", vocabulary=vocabulary, width=layers * width),
        Projection(name="per_layer_model_projection", inputs=hidden, outputs=layers * width),
        Norm(kind="rms_norm", width=width, name="per_layer_projection_norm", vectors=layers),
    )


def per_layer_gate(hidden: int, width: int) -> tuple[Part, ...]:
    """Return how a layer adds its own vector of a token to the residual stream.

    Parameters
    ----------
    hidden : int
        Width of the residual stream. [elements]
    width : int
        Width of the vector; 0 where there is none. [elements]

    Returns
    -------
    tuple of Part
        A gate, a projection and a norm.

    Examples
    --------
    >>> len(per_layer_gate(1536, 256)), per_layer_gate(1536, 0)
    (3, ())
    """
    if not width:
        return ()
    return (
        Projection(name="per_layer_input_gate", inputs=hidden, outputs=width),
        Projection(name="per_layer_projection", inputs=width, outputs=hidden),
        Norm(kind="rms_norm", width=hidden, name="post_per_layer_input_norm"),
    )


def _attentions(
    config: Config, hidden: int, windows: Sequence[int | None], own: int
) -> list[Attention]:
    """Return the attention of each layer; those from ``own`` on read earlier keys and values."""
    one = config.flag("attention_k_eq_v", False)
    bias = config.flag("attention_bias", False)
    return [
        Attention(
            hidden=hidden,
            query_heads=heads.query,
            kv_heads=heads.kv,
            head_dim=heads.dim,
            window=window,
            own_kv=layer < own,
            value_projection=bool(window) or not one,
            qkv_bias=bias,
            output_bias=bias,
            qk_norm="head",
        )
        for layer, (window, heads) in enumerate(
            zip(windows, _read_heads(config, hidden, windows, one=one), strict=True)
        )
    ]


def _read_heads(
    config: Config, hidden: int, windows: Sequence[int | None], *, one: bool
) -> list[Heads]:
    """Return the heads of each layer: listed layer by layer, or those of the two kinds."""
    local = read_heads(config, hidden, head_dim=_HEAD_DIM)
    wide = config.optional_size("global_head_dim")
    grouped = config.optional_size("num_global_key_value_heads", most=local.query)
    listed = config.section("per_layer_config")
    if listed is not None:
        return _read_listed(listed, local, len(windows))
    dim = wide if "global_head_dim" in config else _GLOBAL_HEAD_DIM
    everything = Heads(local.query, grouped if one and grouped else local.kv, dim or local.dim)
    if everything.query % everything.kv:
        config.refuse("num_global_key_value_heads", f"a divisor of the {local.query:,} heads")
    return [local if window else everything for window in windows]


def _read_listed(listed: Config, local: Heads, layers: int) -> list[Heads]:
    heads = [local] * layers
    for name in listed.names():
        layer = int(name) if name.isdecimal() and len(name) < 6 else layers
        section = listed.section(name)
        if layer >= layers or section is None:
            listed.refuse(name, f"figures of a layer from 0 to {layers - 1:,}")
        kv = section.optional_size("num_key_value_heads", most=local.query) or local.kv
        if local.query % kv:
            section.refuse("num_key_value_heads", f"a divisor of the {local.query:,} heads")
        heads[layer] = Heads(local.query, kv, section.optional_size("head_dim") or local.dim)
    return heads


def _layer(
    config: Config, attention: Attention, width: int, *, doubled: bool
) -> tuple[str, tuple[Part, ...]]:
    hidden = attention.hidden
    double = config.flag("use_double_wide_mlp", False) and doubled
    dense = Dense(
        hidden=hidden, intermediate=config.size("intermediate_size") * (2 if double else 1)
    )
    norm = Norm(kind="rms_norm", width=hidden)
    sparse = _experts(config, norm)
    name = "full" if attention.window is None else "sliding"
    return (
        name if attention.own_kv else f"{name}-shared",
        (
            norm,
            attention,
            norm,
            norm,
            dense,
            *sparse,
            norm,
            *per_layer_gate(hidden, width),
        ),
    )


def _experts(config: Config, norm: Norm) -> tuple[Part, ...]:
    """Return the experts beside the dense part: routing scales, norms of both branches."""
    if not config.flag("enable_moe_block", False):
        config.ignore("moe_intermediate_size", "num_experts", "top_k_experts")
        return ()
    experts = config.size("num_experts")
    return (
        norm,
        norm,
        Table(name="router.scale", shape=(norm.width,), role="norm"),
        MixtureOfExperts(
            hidden=norm.width,
            intermediate=config.size("moe_intermediate_size"),
            experts=experts,
            top_k=config.size("top_k_experts", most=experts),
            name="moe",
        ),
        Table(name="router.per_expert_scale", shape=(experts,), role="norm"),
        norm,
    )
