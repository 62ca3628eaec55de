"""Muse Spark: experts on a latent of every token, gated attention, gated residuals.

Queries, keys and outputs are normalised without weights. Windows stand in three of four layers,
counted from the last.
"""

from __future__ import annotations

from dataclasses import replace

from planner.importers.config import Config
from planner.importers.decoder import assemble, read_hidden, read_layers
from planner.importers.experts import read_feed_forward, read_mixture, read_sparse
from planner.importers.grouped import read_grouped_attention, read_windowed
from planner.importers.multimodal import read_multimodal
from planner.importers.position import usable_context
from planner.importers.registry import Architecture, family
from planner.importers.stacks import named
from planner.importers.towers.muse import MUSE_AUDIO, MUSE_VISION
from planner.model.norm import Norm
from planner.model.part import Part

_FULL_EVERY = 4


@family("muse_spark_text")
def read(config: Config) -> Architecture:
    """Read the language model's section of a Muse Spark configuration.

    Parameters
    ----------
    config : Config
        The section.

    Returns
    -------
    Architecture
        Norms around attention and experts, a learned gate in front of each residual addition.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden, layers = read_hidden(config), read_layers(config)
    config.ignore(
        "layer_rope_theta", "output_multiplier", "post_norm_eps", "qk_scale_factor",
        "residual_gate_temperature",
    )  # fmt: skip
    attention = replace(
        read_grouped_attention(config, hidden, qk_norm="weightless"), output_gate="element"
    )
    pattern = [(layers - 1 - layer) % _FULL_EVERY != 0 for layer in range(layers)]
    mixers = read_windowed(config, attention, layers, pattern=pattern)
    experts = replace(
        read_mixture(config, hidden, correction_bias=True),
        latent=config.size("moe_hidden_size"),
        latent_norm=True,
    )
    feed_forward = read_feed_forward(config, experts, read_sparse(config, layers))
    stack = [_block(mixer, part, hidden) for mixer, part in zip(mixers, feed_forward, strict=True)]
    return assemble(
        config, named(stack), hidden=hidden, tied=False, usable_context=usable_context(config)
    )


@family("muse_spark", architectures=("MuseSparkForConditionalGeneration",))
def read_senses(config: Config) -> Architecture:
    """Read the language model of a Muse Spark configuration.

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
    return read_multimodal(config, MUSE_VISION, MUSE_AUDIO, default="muse_spark_text")


def _block(mixer: Part, feed_forward: Part, hidden: int) -> tuple[Part, ...]:
    """Return a block; a residual gate holds as many numbers as a norm and is passed as one."""

    def norm(name: str, *, weight: bool = True) -> Norm:
        return Norm(kind="rms_norm", width=hidden, weight=weight, name=name)

    return (
        norm("input_layernorm"),
        mixer,
        norm("post_attention_layernorm", weight=False),
        norm("post_attention_residual_gate"),
        norm("pre_feedforward_layernorm"),
        feed_forward,
        norm("post_feedforward_layernorm"),
        norm("post_feedforward_residual_gate"),
    )
