"""Llama 4: attention to the own chunk on three layers of four, experts beside a shared one.

Every fourth layer sees everything and has no positions. Defaults of ``Llama4TextConfig`` that are
taken: chunks of 8,192 tokens, norms without weights of queries and keys, one expert per token,
every layer sparse. A null ``vision_config`` stands for the class's own tower, as transformers reads
it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from planner.errors import UnsupportedConfigError
from planner.importers.config import Config
from planner.importers.decoder import (
    assemble,
    read_experts,
    read_heads,
    read_hidden,
    read_layers,
    stack,
)
from planner.importers.families.smollm3 import read_rotary_layers
from planner.importers.multimodal import Sense, read_multimodal
from planner.importers.position import usable_context
from planner.importers.registry import Architecture, family
from planner.importers.tower_registry import Stack
from planner.model.bounds import MOST_LAYERS
from planner.model.feed_forward import Dense, MixtureOfExperts
from planner.model.mixers.attention import Attention, QKNorm
from planner.model.part import Part
from planner.model.projection import Projection

_CHUNK_TOKENS = 8192
_HEAD_DIM = 128
_KINDS = {"chunked_attention": True, "full_attention": False}
_TOWER = {
    "hidden_size": 768,
    "image_size": 448,
    "intermediate_size": 5632,
    "num_attention_heads": 16,
    "num_hidden_layers": 34,
    "patch_size": 14,
    "projector_input_dim": 4096,
    "projector_output_dim": 4096,
    "vision_output_dim": 7680,
}


@family("llama4", architectures=("Llama4ForConditionalGeneration",))
def read(config: Config) -> Architecture:
    """Read a Llama 4 configuration.

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
    sense = Sense(
        name="vision",
        section="vision_config",
        default="llama4_vision_model",
        projector=_projector,
        missing=_TOWER,
    )
    return read_multimodal(config, sense, default="llama4_text")


@family("llama4_text", architectures=("Llama4ForCausalLM",))
def read_text(config: Config) -> Architecture:
    """Read the language model of a Llama 4 configuration.

    Parameters
    ----------
    config : Config
        The text section.

    Returns
    -------
    Architecture
        Dense layers between sparse ones where ``interleave_moe_layer_step`` says so.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden = read_hidden(config)
    heads = read_heads(config, hidden, head_dim=_HEAD_DIM)
    layers = read_layers(config)
    bias = config.flag("attention_bias", False)
    chunk = config.size("attention_chunk_size", default=_CHUNK_TOKENS)
    norm: QKNorm = "weightless" if config.flag("use_qk_norm", True) else "none"
    config.ignore("attn_scale", "attn_temperature_tuning", "floor_scale", "for_llm_compressor")
    config.ignore("cache_implementation")
    rotary = read_rotary_layers(config, layers)
    chunked = _read_kinds(config, layers) or rotary
    attention = Attention(
        hidden=hidden,
        query_heads=heads.query,
        kv_heads=heads.kv,
        head_dim=heads.dim,
        qkv_bias=bias,
        output_bias=bias,
    )
    attentions = [
        replace(
            attention,
            chunk=chunk if in_chunks else None,
            rotary=turns,
            qk_norm=norm if turns else "none",
        )
        for in_chunks, turns in zip(chunked, rotary, strict=True)
    ]
    return assemble(
        config,
        stack(list(zip(attentions, _feed_forward(config, hidden, layers), strict=True)), hidden),
        hidden=hidden,
        tied=False,
        usable_context=usable_context(config),
    )


def _read_kinds(config: Config, layers: int) -> Sequence[bool] | None:
    kinds = config.entries("layer_types")
    if not kinds:
        return None
    if len(kinds) != layers:
        config.refuse("layer_types", f"one entry for each of the {layers:,} layers")
    for kind in kinds:
        if kind not in _KINDS:
            raise UnsupportedConfigError(
                "a kind of layer that is not modelled here",
                where=config.place("layer_types"),
                got=kind,
                allowed=" or ".join(_KINDS),
            )
    return [_KINDS[str(kind)] for kind in kinds]


def _feed_forward(config: Config, hidden: int, layers: int) -> list[Dense | MixtureOfExperts]:
    width = config.size("intermediate_size")
    experts = replace(read_experts(config, hidden, intermediate=width), shared_intermediate=width)
    step = config.size("interleave_moe_layer_step", default=1, most=MOST_LAYERS)
    listed = config.entries("moe_layers")
    sparse = range(step - 1, layers, step) if listed is None else listed
    if any(isinstance(item, bool) or item not in range(layers) for item in sparse):
        config.refuse("moe_layers", f"layers from 0 to {layers - 1:,}")
    dense = Dense(hidden=hidden, intermediate=config.size("intermediate_size_mlp"))
    return [experts if layer in sparse else dense for layer in range(layers)]


def _projector(config: Config, stack: Stack, hidden: int) -> tuple[Part, ...]:
    del config
    return (Projection(name="multi_modal_projector", inputs=stack.width, outputs=hidden, merged=4),)
