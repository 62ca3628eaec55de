"""Mistral Large 4: latent attention over a selection of keys, queries straight from the stream.

Every fourth layer has no positions: its keys have one part only, as wide as both. Layers may read
the latents of an earlier layer, which ``kv_source_layers`` names.
"""

from __future__ import annotations

from dataclasses import replace

from planner.importers.config import Config
from planner.importers.decoder import read_hidden, read_layers
from planner.importers.experts import read_feed_forward, read_mixture, read_sparse
from planner.importers.families.mistral import MISTRAL_VISION
from planner.importers.grouped import expert_decoder
from planner.importers.latent import read_index_sharing, read_indexer, read_latent_attention
from planner.importers.multimodal import read_multimodal
from planner.importers.registry import Architecture, family
from planner.model.bounds import MOST_LAYERS
from planner.model.mixers.latent import LatentAttention
from planner.model.part import Part

_POSITIONLESS_EVERY = 4


@family("mistral_large4_text")
def read(config: Config) -> Architecture:
    """Read the language model's section of a Mistral Large 4 configuration.

    Parameters
    ----------
    config : Config
        The section.

    Returns
    -------
    Architecture
        One dense layer and then experts.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden, layers = read_hidden(config), read_layers(config)
    config.ignore("layer_types")
    plain = read_latent_attention(
        config, hidden, defaults={"q_lora_rank": None}, index_topk=config.size("index_topk")
    )
    scaled = replace(plain, softmax_scaling=True)
    indexer = replace(
        read_indexer(config, hidden, hidden), query_norm="input_layer_norm", softmax_scaling=True
    )
    rotates = _read_rotating(config, layers)
    owns = _read_owners(config, layers)
    indexed = read_index_sharing(config, layers)
    mixers: list[tuple[Part, ...]] = []
    for layer in range(layers):
        attention = _attention(scaled, rotates[layer], owns[layer])
        mixers.append((indexer, attention) if indexed[layer] else (attention,))
    experts = read_mixture(config, hidden)
    feed_forward = read_feed_forward(config, experts, read_sparse(config, layers, dense=1))
    return expert_decoder(config, mixers, feed_forward, hidden)


@family("mistral_large4", architectures=("MistralLarge4ForConditionalGeneration",))
def read_vision(config: Config) -> Architecture:
    """Read the language model of a Mistral Large 4 configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        The language model with its tower.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    return read_multimodal(config, MISTRAL_VISION, default="mistral_large4_text")


def _attention(attention: LatentAttention, rotates: bool, owns: bool) -> LatentAttention:
    if rotates:
        return replace(attention, owns_latent=owns)
    return replace(
        attention,
        qk_nope_head_dim=attention.qk_head_dim,
        qk_rope_head_dim=0,
        rotary=False,
        owns_latent=owns,
    )


def _read_rotating(config: Config, layers: int) -> list[bool]:
    flags = config.listed("no_rope_layers", (0, 1), layers)
    if flags is None:
        step = config.size("no_rope_layer_interval", default=_POSITIONLESS_EVERY, most=MOST_LAYERS)
        return [(layer + 1) % step != 0 for layer in range(layers)]
    return [bool(flag) for flag in flags]


def _read_owners(config: Config, layers: int) -> list[bool]:
    sources = config.entries("kv_source_layers")
    if sources is None:
        return [True] * layers
    known = range(layers)
    if len(sources) != layers or any(
        isinstance(source, bool) or source not in known[: layer + 1]
        for layer, source in enumerate(sources)
    ):
        config.refuse("kv_source_layers", f"itself or an earlier one for each of {layers:,} layers")
    return [source == layer for layer, source in enumerate(sources)]
