"""Gemma 3n: several copies of the residual stream, a low-rank branch, a vector per layer and token.

The last layers read the keys and values of earlier ones. The vision tower, a MobileNet whose
figures the files do not hold, is left out, which a warning says. Defaults of ``Gemma3nTextConfig``
that are taken: four windows of 512 tokens before each layer without, 8 query heads, 2 KV heads of
256, four copies of the stream, rank 64, vectors of 256, tied embeddings.
"""

from __future__ import annotations

from dataclasses import replace

from planner.importers.blocks import named_layers, read_window_pattern
from planner.importers.config import Config
from planner.importers.decoder import assemble, read_heads, read_hidden, read_layers
from planner.importers.families.gemma4 import per_layer_gate, per_layer_inputs
from planner.importers.multimodal import Sense, read_multimodal
from planner.importers.position import usable_context
from planner.importers.registry import Architecture, family
from planner.importers.tower_registry import Stack
from planner.model.alternating import AltUp
from planner.model.embedding import TokenTable
from planner.model.feed_forward import Dense
from planner.model.mixers.attention import Attention
from planner.model.norm import Norm
from planner.model.part import Part
from planner.model.projection import Projection

_WINDOW_TOKENS = 512
_PERIOD = 5
_QUERY_HEADS = 8
_KV_HEADS = 2
_HEAD_DIM = 256
_COPIES = 4
_RANK = 64
_WIDTH = 256
_SHARED_LAYERS = 15
_VOCABULARY = 262_400
_LAYER_VOCABULARY = 262_144
_CONTEXT_TOKENS = 32_768
_SOFT_VOCABULARY = 128


@family("gemma3n", architectures=("Gemma3nForConditionalGeneration",))
def read(config: Config) -> Architecture:
    """Read a Gemma 3n configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        The language model with its audio tower.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    config.ignore("audio_soft_tokens_per_image", "vision_soft_tokens_per_image")
    if config.given("vision_config"):
        config.warn(
            "The vision tower, a MobileNet that the file names but does not describe, is not "
            "counted, nor is what joins it to the language model."
        )
    sense = Sense(
        name="audio", section="audio_config", default="gemma3n_audio", projector=_projector
    )
    return read_multimodal(config, sense, default="gemma3n_text")


def _projector(config: Config, stack: Stack, hidden: int) -> tuple[Part, ...]:
    section = config.section("audio_config")
    rows = section.size("vocab_size", default=_SOFT_VOCABULARY) if section else _SOFT_VOCABULARY
    norm = Norm(kind="rms_norm", width=stack.width)
    return (
        TokenTable(name="embed_audio.embedding", vocabulary=rows, width=stack.width),
        norm,
        norm,
        Projection(name="embedding_projection", inputs=stack.width, outputs=hidden),
    )


@family("gemma3n_text", architectures=("Gemma3nForCausalLM",))
def read_text(config: Config) -> Architecture:
    """Read the language model of a Gemma 3n configuration.

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
    copies = config.size("altup_num_inputs", default=_COPIES, most=64)
    width = config.size("hidden_size_per_layer_input", default=_WIDTH)
    vocabulary = config.size("vocab_size_per_layer_input", default=_LAYER_VOCABULARY)
    config.ignore("activation_sparsity_pattern", "altup_active_idx", "altup_coef_clip")
    config.ignore("altup_correct_scale", "altup_lr_multiplier")
    widths = _widths(config, layers)
    attentions = _attentions(config, hidden, layers)
    rows = [
        (_name(attention), (*_layer(config, attention, inner), *per_layer_gate(hidden, width)))
        for attention, inner in zip(attentions, widths, strict=True)
    ]
    decoder = assemble(
        config,
        named_layers((name, (AltUp(hidden=hidden, copies=copies), *parts)) for name, parts in rows),
        hidden=hidden,
        tied=True,
        usable_context=usable_context(config, default=_CONTEXT_TOKENS),
        vocabulary=_VOCABULARY,
    )
    into, out = (
        tuple(
            Projection(name=f"{name}.{i}", inputs=hidden, outputs=hidden) for i in range(copies - 1)
        )
        for name in ("altup_projections", "altup_unembed_projections")
    )
    return replace(
        decoder,
        initial=(*per_layer_inputs(vocabulary, hidden, layers, width), *into),
        final=(*out, *decoder.final),
    )


def _widths(config: Config, layers: int) -> list[int]:
    """Return the inner width of each layer's feed-forward part."""
    if not config.is_list("intermediate_size"):
        return [config.size("intermediate_size")] * layers
    widths = config.entries("intermediate_size") or ()
    usable = [w for w in widths if isinstance(w, int) and not isinstance(w, bool) and 0 < w < 10**7]
    if len(usable) != layers or len(widths) != layers:
        config.refuse("intermediate_size", f"a width for each of the {layers:,} layers")
    return usable


def _attentions(config: Config, hidden: int, layers: int) -> list[Attention]:
    heads = read_heads(
        config, hidden, query_heads=_QUERY_HEADS, kv_heads=_KV_HEADS, head_dim=_HEAD_DIM
    )
    shared = config.size("num_kv_shared_layers", default=_SHARED_LAYERS, least=0, most=layers - 1)
    bias = config.flag("attention_bias", False)
    windows = read_window_pattern(config, layers, period=_PERIOD, window=_WINDOW_TOKENS)
    return [
        Attention(
            hidden=hidden,
            query_heads=heads.query,
            kv_heads=heads.kv,
            head_dim=heads.dim,
            window=window,
            own_kv=layer < layers - shared,
            qkv_bias=bias,
            output_bias=bias,
            qk_norm="head",
        )
        for layer, window in enumerate(windows)
    ]


def _name(attention: Attention) -> str:
    name = "full" if attention.window is None else "sliding"
    return name if attention.own_kv else f"{name}-shared"


def _layer(config: Config, attention: Attention, inner: int) -> tuple[Part, ...]:
    hidden = attention.hidden
    rank = config.size("laurel_rank", default=_RANK)
    norm = Norm(kind="rms_norm", width=hidden)
    return (
        norm,
        Projection(name="laurel.linear_left", inputs=hidden, outputs=rank),
        Projection(name="laurel.linear_right", inputs=rank, outputs=hidden),
        norm,
        attention,
        norm,
        norm,
        Dense(hidden=hidden, intermediate=inner),
        norm,
    )
