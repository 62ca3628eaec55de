"""Mistral 7B, Nemo, Small and Large, Ministral 3; Mistral 3 with its vision tower.

Defaults of ``MistralConfig`` that are taken: a window of 4,096 tokens where the file has no
``sliding_window`` (null means none), 8 KV heads, a head's width the residual stream's share.
``Ministral3Config`` has no window and heads of 128 by default.
"""

from __future__ import annotations

from planner.importers.class_defaults import class_defaults
from planner.importers.config import Config
from planner.importers.decoder import assemble, read_heads, read_hidden, read_layers, stack
from planner.importers.multimodal import Sense, feature_layers, read_multimodal
from planner.importers.position import usable_context
from planner.importers.registry import Architecture, family
from planner.importers.tower_registry import Stack
from planner.model.feed_forward import Dense
from planner.model.mixers.attention import Attention
from planner.model.norm import Norm
from planner.model.part import Part
from planner.model.projection import Projection

_DEFAULT_WINDOW_TOKENS = 4096
_DEFAULT_KV_HEADS = 8
_MINISTRAL3_HEAD_DIM = 128
_MERGE = 2

class_defaults(
    "mistral", vocab_size=32_000, hidden_size=4096, intermediate_size=14_336,
    num_hidden_layers=32, num_attention_heads=32, num_key_value_heads=8,
    max_position_embeddings=131_072,
)  # fmt: skip


@family("mistral", architectures=("MistralForCausalLM", "MistralModel"))
def read(config: Config) -> Architecture:
    """Read a Mistral configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        As Llama, with a window on every layer or on none.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    names = ("sliding_window", "sliding_window_size")
    window = config.optional_size(*names)
    if not any(name in config for name in names):
        window = _DEFAULT_WINDOW_TOKENS
    if config.given("attention_sink_size"):
        config.warn("attention_sink_size is an engine's choice and is not counted.")
    return _decoder(config, window, head_dim=None)


@family("ministral3", architectures=("Ministral3ForCausalLM",))
def read_ministral3(config: Config) -> Architecture:
    """Read a Ministral 3 configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        As Mistral, without a window unless the file has one.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    return _decoder(config, config.optional_size("sliding_window"), head_dim=_MINISTRAL3_HEAD_DIM)


@family("mistral3", architectures=("Mistral3ForConditionalGeneration",))
def read_multimodal_mistral(config: Config) -> Architecture:
    """Read a Mistral 3 configuration with its vision tower.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Pixtral's tower, four neighbouring patches merged to one token, beside the language model.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    return read_multimodal(config, MISTRAL_VISION, default="mistral")


@family("lighton_ocr", architectures=("LightOnOcrForConditionalGeneration",))
def read_lighton(config: Config) -> Architecture:
    """Read a LightOnOCR configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Mistral 3's tower beside a Qwen3.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    return read_multimodal(config, MISTRAL_VISION, default="qwen3")


def _merging_projector(config: Config, stack: Stack, hidden: int) -> tuple[Part, ...]:
    merged = config.size("spatial_merge_size", default=_MERGE, most=64) ** 2
    bias = config.flag("multimodal_projector_bias", False)
    features = feature_layers(config)
    config.ignore("projector_hidden_act")
    width = stack.width
    return (
        Norm(kind="rms_norm", width=width, name="projector.norm"),
        Projection(name="patch_merger", inputs=merged * width, outputs=width, merged=merged),
        Projection(
            name="linear_1", inputs=features * width, outputs=hidden, bias=bias, merged=merged
        ),
        Projection(name="linear_2", inputs=hidden, outputs=hidden, bias=bias, merged=merged),
    )


MISTRAL_VISION = Sense(
    name="vision", section="vision_config", default="pixtral", projector=_merging_projector
)
"""Pixtral's tower and what joins it to Mistral's language models."""


def _decoder(config: Config, window: int | None, head_dim: int | None) -> Architecture:
    hidden = read_hidden(config)
    heads = read_heads(config, hidden, kv_heads=_DEFAULT_KV_HEADS, head_dim=head_dim)
    attention = Attention(
        hidden=hidden,
        query_heads=heads.query,
        kv_heads=heads.kv,
        head_dim=heads.dim,
        window=window,
    )
    feed_forward = Dense(hidden=hidden, intermediate=config.size("intermediate_size"))
    return assemble(
        config,
        stack([(attention, feed_forward)] * read_layers(config), hidden),
        hidden=hidden,
        tied=False,
        usable_context=usable_context(config),
    )
