"""Gemma 1, 2, 3 and VaultGemma: wide heads, GeGLU, tied embeddings; from Gemma 2 on windows.

Gemma 2 alternates windowed and full layers without saying so in the file; Gemma 3 has five
windowed layers before each full one. Defaults of the configuration classes that are taken: tied
embeddings, heads of 256, windows of 4,096 tokens; for Gemma 3 also 8 query and 4 KV heads,
262,208 tokens of vocabulary and 131,072 of context, which published files rely on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from planner.importers.class_defaults import class_defaults
from planner.importers.config import Config
from planner.importers.decoder import (
    Heads,
    assemble,
    block_names,
    read_heads,
    read_hidden,
    read_layer_types,
    read_layers,
    stack,
)
from planner.importers.multimodal import Sense, read_multimodal
from planner.importers.position import usable_context
from planner.importers.registry import Architecture, RotaryDefaults, family
from planner.importers.tower_registry import Stack
from planner.importers.towers.vision import read_patch_count
from planner.model import Layer
from planner.model.bounds import MOST_LAYERS
from planner.model.feed_forward import Dense
from planner.model.mixers.attention import Attention
from planner.model.norm import Norm
from planner.model.part import Part
from planner.model.projection import Projection

_HEAD_DIM = 256
_IMAGE_TOKENS = 256
_WINDOW_TOKENS = 4096
_PATTERN = {"gemma2": 2, "gemma3": 6}
_GEMMA3_QUERY_HEADS = 8
_GEMMA3_KV_HEADS = 4
_GEMMA3_VOCABULARY = 262_208
_GEMMA3_CONTEXT_TOKENS = 131_072
_GEMMA3_BASE = 1_000_000.0
_BASE = 10_000.0

class_defaults(
    "gemma", vocab_size=256_000, hidden_size=3072, intermediate_size=24_576, num_hidden_layers=28,
    num_attention_heads=16, num_key_value_heads=16, head_dim=256, max_position_embeddings=8192,
)  # fmt: skip
class_defaults(
    "gemma2", vocab_size=256_000, hidden_size=2304, intermediate_size=9216, num_hidden_layers=26,
    num_attention_heads=8, num_key_value_heads=4, head_dim=256, max_position_embeddings=8192,
)  # fmt: skip
class_defaults(
    "gemma3_text", vocab_size=262_208, hidden_size=2304, intermediate_size=9216,
    num_hidden_layers=26, num_attention_heads=8, num_key_value_heads=4, head_dim=256,
    max_position_embeddings=131_072,
)  # fmt: skip


@family("gemma", architectures=("GemmaForCausalLM",))
def read_gemma(config: Config) -> Architecture:
    """Read a Gemma 1 configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Llama's blocks with GeGLU and tied embeddings.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden = read_hidden(config)
    heads = read_heads(config, hidden, head_dim=_HEAD_DIM)
    pair = (_attention(config, hidden, heads, None, gemma3=False), _feed_forward(config, hidden))
    return assemble(
        config,
        stack([pair] * read_layers(config), hidden),
        hidden=hidden,
        tied=True,
        usable_context=usable_context(config),
    )


@family("gemma2", architectures=("Gemma2ForCausalLM",))
def read_gemma2(config: Config) -> Architecture:
    """Read a Gemma 2 configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Four norms a layer; every second layer sees a window.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden = read_hidden(config)
    heads = read_heads(config, hidden, head_dim=_HEAD_DIM)
    windows = _read_windows(config, _PATTERN["gemma2"])
    attentions = [_attention(config, hidden, heads, window, gemma3=False) for window in windows]
    return assemble(
        config,
        _sandwich(attentions, _feed_forward(config, hidden)),
        hidden=hidden,
        tied=True,
        usable_context=usable_context(config),
    )


@family("vaultgemma", architectures=("VaultGemmaForCausalLM",))
def read_vaultgemma(config: Config) -> Architecture:
    """Read a VaultGemma configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Gemma 2's layers with norms before the parts only.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden = read_hidden(config)
    heads = read_heads(config, hidden, head_dim=_HEAD_DIM)
    windows = _read_windows(config, _PATTERN["gemma2"])
    feed_forward = _feed_forward(config, hidden)
    pairs = [
        (_attention(config, hidden, heads, window, gemma3=False), feed_forward)
        for window in windows
    ]
    return assemble(
        config,
        stack(pairs, hidden),
        hidden=hidden,
        tied=True,
        usable_context=usable_context(config),
    )


@family("gemma3_text", architectures=("Gemma3ForCausalLM",))
def read_gemma3(config: Config) -> Architecture:
    """Read a Gemma 3 configuration of text alone.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Four norms a layer, QK-norm, five windowed layers before each full one.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden = read_hidden(config)
    heads = read_heads(
        config,
        hidden,
        query_heads=_GEMMA3_QUERY_HEADS,
        kv_heads=_GEMMA3_KV_HEADS,
        head_dim=_HEAD_DIM,
    )
    windows = _read_windows(config, _PATTERN["gemma3"])
    attentions = [_attention(config, hidden, heads, window, gemma3=True) for window in windows]
    decoder = assemble(
        config,
        _sandwich(attentions, _feed_forward(config, hidden)),
        hidden=hidden,
        tied=True,
        usable_context=usable_context(config, default=_GEMMA3_CONTEXT_TOKENS),
        vocabulary=_GEMMA3_VOCABULARY,
    )
    rotary = RotaryDefaults(base=_GEMMA3_BASE, window_base=_BASE, scaled_windows=False)
    return replace(decoder, rotary=rotary)


@family("gemma3", "shieldgemma2", architectures=("Gemma3ForConditionalGeneration",))
def read_gemma3_multimodal(config: Config) -> Architecture:
    """Read a Gemma 3 configuration with its vision tower.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        SigLIP, whose patches are pooled to 256 tokens, beside the language model.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    sense = Sense(
        name="vision",
        section="vision_config",
        default="siglip_vision_model",
        projector=_vision_projector,
    )
    return read_multimodal(config, sense, default="gemma3_text")


def _vision_projector(config: Config, stack: Stack, hidden: int) -> tuple[Part, ...]:
    section = config.section("vision_config")
    tokens = config.size("mm_tokens_per_image", default=_IMAGE_TOKENS)
    patches = read_patch_count(section) if section is not None else tokens
    return (
        Norm(kind="rms_norm", width=stack.width, name="mm_soft_emb_norm"),
        Projection(
            name="mm_input_projection",
            inputs=stack.width,
            outputs=hidden,
            merged=max(patches // tokens, 1),
        ),
    )


def _read_windows(config: Config, period: int) -> list[int | None]:
    layers = read_layers(config)
    window = config.optional_size("sliding_window", "sliding_window_size")
    if "sliding_window" not in config:
        window = _WINDOW_TOKENS
    period = config.size(
        "sliding_window_pattern", "_sliding_window_pattern", default=period, most=MOST_LAYERS
    )
    sliding = read_layer_types(config, layers) or [(i + 1) % period != 0 for i in range(layers)]
    return [window if slides else None for slides in sliding]


def _attention(
    config: Config, hidden: int, heads: Heads, window: int | None, *, gemma3: bool
) -> Attention:
    bias = config.flag("attention_bias", False)
    return Attention(
        hidden=hidden,
        query_heads=heads.query,
        kv_heads=heads.kv,
        head_dim=heads.dim,
        window=window,
        qkv_bias=bias,
        output_bias=bias,
        qk_norm="head" if gemma3 else "none",
    )


def _feed_forward(config: Config, hidden: int) -> Dense:
    return Dense(hidden=hidden, intermediate=config.size("intermediate_size"))


def _sandwich(attentions: Sequence[Attention], feed_forward: Dense) -> list[Layer]:
    """Put a norm before and after each of the two parts of a layer."""
    names = block_names([(attention, feed_forward) for attention in attentions])
    before, after, between, last = (
        Norm(kind="rms_norm", width=feed_forward.hidden, name=f"{name}_layernorm")
        for name in ("input", "post_attention", "pre_feedforward", "post_feedforward")
    )
    return [
        Layer(name, (before, attention, after, between, feed_forward, last))
        for name, attention in zip(names, attentions, strict=True)
    ]
