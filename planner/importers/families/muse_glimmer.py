"""Muse Glimmer: gated attention with two KV heads, every fourth layer without window and positions.

Defaults of ``MuseGlimmerTextConfig`` that are taken: windows of 2,048 tokens, the last layer among
those that see everything, heads of 128, no biases, untied embeddings. A layer is without positions
where ``layer_rope_theta`` says 0.
"""

from __future__ import annotations

from dataclasses import replace

from planner.importers.config import Config
from planner.importers.decoder import read_hidden, read_layer_types, read_layers
from planner.importers.dense_decoder import read_dense_decoder
from planner.importers.multimodal import read_multimodal
from planner.importers.registry import Architecture, family
from planner.importers.towers.muse import MUSE_VISION
from planner.model.norm import Norm

_WINDOW_TOKENS = 2048
_PERIOD = 4
_HEAD_DIM = 128


@family("muse_glimmer", architectures=("MuseGlimmerForConditionalGeneration",))
def read(config: Config) -> Architecture:
    """Read a Muse Glimmer configuration.

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
    return read_multimodal(config, MUSE_VISION, default="muse_glimmer_text")


@family("muse_glimmer_text", architectures=("MuseGlimmerForCausalLM",))
def read_text(config: Config) -> Architecture:
    """Read the language model of a Muse Glimmer configuration.

    Parameters
    ----------
    config : Config
        The text section.

    Returns
    -------
    Architecture
        Norms around each part, after the token table, and without weights of queries and keys.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    layers = read_layers(config)
    window = config.size("sliding_window", default=_WINDOW_TOKENS)
    everything = [(layers - 1 - layer) % _PERIOD == 0 for layer in range(layers)]
    sliding = read_layer_types(config, layers) or [not full for full in everything]
    thetas = config.entries("layer_rope_theta")
    if thetas is not None and len(thetas) != layers:
        config.refuse("layer_rope_theta", f"one entry for each of the {layers:,} layers")
    rotary = [not full for full in everything] if thetas is None else [bool(t) for t in thetas]
    config.ignore("qk_scale_factor", "output_multiplier", "post_norm_eps")
    bias = config.flag("attention_bias", False)
    decoder = read_dense_decoder(
        config,
        form="around",
        qkv_bias=bias,
        output_bias=bias,
        head_dim=_HEAD_DIM,
        windows=[window if slides else None for slides in sliding],
        rotary=rotary,
        qk_norm="weightless",
        output_gate="element",
    )
    norm = Norm(kind="rms_norm", width=read_hidden(config), weight=False, name="embed_norm")
    return replace(decoder, initial=(norm,))
