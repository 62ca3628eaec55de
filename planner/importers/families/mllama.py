"""Llama 3.2 Vision: layers that attend to an image among layers of Llama 3.1.

Keys and values of the image are made once; a layer that attends to it keeps no others. The token
table has eight rows more than the head. Defaults of ``MllamaTextConfig`` that are taken: 8 KV
heads, untied embeddings.
"""

from __future__ import annotations

from dataclasses import replace

from planner.importers.blocks import named_layers
from planner.importers.config import Config
from planner.importers.decoder import assemble, read_heads, read_hidden, read_layers
from planner.importers.multimodal import Sense, read_multimodal
from planner.importers.position import usable_context
from planner.importers.registry import Architecture, family
from planner.importers.tower_registry import Stack
from planner.importers.towers.vision import read_patch_count
from planner.model import Layer
from planner.model.feed_forward import Dense
from planner.model.mixers.attention import Attention
from planner.model.mixers.cross_attention import CrossAttention
from planner.model.norm import Norm
from planner.model.part import Part
from planner.model.projection import Projection, Table

_KV_HEADS = 8
_FURTHER_TOKENS = 8
_TILES = 4
_IMAGE_TOKENS = _TILES * 1601


@family("mllama", architectures=("MllamaForConditionalGeneration",))
def read(config: Config) -> Architecture:
    """Read a Llama 3.2 Vision configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        The language model with its tower; caches hold one whole image for each sequence.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    sense = Sense(
        name="vision",
        section="vision_config",
        default="mllama_vision_model",
        projector=_projector,
    )
    language = read_multimodal(config, sense, default="mllama_text_model")
    tokens = _image_tokens(config)
    config.warn(
        f"Each sequence is planned with one image: {tokens:,} tokens that some layers attend to."
    )
    kinds = {layer: _with_image(layer, tokens) for layer in set(language.layers)}
    return replace(language, layers=tuple(kinds[layer] for layer in language.layers))


@family("mllama_text_model", architectures=("MllamaForCausalLM",))
def read_text(config: Config) -> Architecture:
    """Read the language model of a Llama 3.2 Vision configuration.

    Parameters
    ----------
    config : Config
        The text section.

    Returns
    -------
    Architecture
        ``cross_attention_layers`` attend to the image, all others to the text.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden = read_hidden(config)
    layers = read_layers(config)
    crossing = config.entries("cross_attention_layers") or ()
    if any(isinstance(item, bool) or item not in range(layers) for item in crossing):
        config.refuse("cross_attention_layers", f"layers from 0 to {layers - 1:,}")
    own = _layer(config, hidden, cross=False)
    cross = _layer(config, hidden, cross=True)
    rows = (("cross", cross) if layer in crossing else ("full", own) for layer in range(layers))
    decoder = assemble(
        config,
        named_layers(rows),
        hidden=hidden,
        tied=False,
        usable_context=usable_context(config),
    )
    more = decoder.embedding.vocabulary + _FURTHER_TOKENS
    return replace(decoder, embedding=replace(decoder.embedding, vocabulary=more))


def _layer(config: Config, hidden: int, *, cross: bool) -> tuple[Part, ...]:
    heads = read_heads(config, hidden, kv_heads=_KV_HEADS)
    norm = Norm(kind="rms_norm", width=hidden)
    feed_forward = Dense(hidden=hidden, intermediate=config.size("intermediate_size"))
    if not cross:
        attention = Attention(
            hidden=hidden, query_heads=heads.query, kv_heads=heads.kv, head_dim=heads.dim
        )
        return (norm, attention, norm, feed_forward)
    attending = CrossAttention(
        hidden=hidden,
        source_width=hidden,
        source_tokens=_IMAGE_TOKENS,
        source="vision",
        query_heads=heads.query,
        kv_heads=heads.kv,
        head_dim=heads.dim,
        qk_norm=True,
    )
    gates = Table(name="cross_attn.gates", shape=(2,), role="bias")
    return (norm, attending, norm, feed_forward, gates)


def _image_tokens(config: Config) -> int:
    vision = config.section("vision_config")
    if vision is None:
        return _IMAGE_TOKENS
    tiles = vision.size("max_num_tiles", default=_TILES, most=1024)
    return tiles * (read_patch_count(vision) + 1)


def _with_image(layer: Layer, tokens: int) -> Layer:
    parts = tuple(
        replace(part, source_tokens=tokens) if isinstance(part, CrossAttention) else part
        for part in layer.parts
    )
    return Layer(layer.name, parts)


def _projector(config: Config, stack: Stack, hidden: int) -> tuple[Part, ...]:
    del config
    joint = Projection(name="multi_modal_projector", inputs=stack.width, outputs=hidden, bias=True)
    return (joint,)
