"""Phi-3, Phi-3.5 and Phi-4 (mini and 14B): Llama's blocks, projections stored fused.

Fusing changes neither counts nor products. Defaults of ``Phi3Config`` that are taken: KV heads as
many as query heads, no window, whole heads rotated, untied embeddings.
"""

from __future__ import annotations

from planner.importers.class_defaults import class_defaults
from planner.importers.config import Config
from planner.importers.decoder import assemble, read_heads, read_hidden, read_layers, stack
from planner.importers.position import rotated_dim, usable_context
from planner.importers.registry import Architecture, family
from planner.model.feed_forward import Dense
from planner.model.mixers.attention import Attention

_SENSES = ("audio_processor", "embd_layer", "img_processor", "speech_lora", "vision_lora")

class_defaults(
    "phi3", vocab_size=32_064, hidden_size=3072, intermediate_size=8192, num_hidden_layers=32,
    num_attention_heads=32, max_position_embeddings=4096,
)  # fmt: skip


@family("phi3", architectures=("Phi3ForCausalLM",))
def read(config: Config) -> Architecture:
    """Read a Phi-3 configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        RMSNorm, attention without biases, SwiGLU.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden = read_hidden(config)
    heads = read_heads(config, hidden)
    config.require("attention_bias", False)
    config.require("mlp_bias", False)
    config.require("lm_head_bias", False)
    config.require("full_attn_mod", 1)
    config.ignore("interpolate_factor")
    attention = Attention(
        hidden=hidden,
        query_heads=heads.query,
        kv_heads=heads.kv,
        head_dim=heads.dim,
        window=config.optional_size("sliding_window"),
        rotary_dim=rotated_dim(config, heads.dim, default=1.0),
    )
    feed_forward = Dense(hidden=hidden, intermediate=config.size("intermediate_size"))
    return assemble(
        config,
        stack([(attention, feed_forward)] * read_layers(config), hidden),
        hidden=hidden,
        tied=False,
        usable_context=usable_context(config),
    )


@family("phi4mm", architectures=("Phi4MMForCausalLM",))
def read_remote_multimodal(config: Config) -> Architecture:
    """Read the language model of a Phi-4-multimodal configuration as its authors write it.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Without towers and adapters, which a warning names.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    beside = [name for name in _SENSES if config.given(name)]
    if beside:
        config.warn(
            f"Only the language model is planned: {', '.join(beside)} (towers and adapters) are "
            f"not counted."
        )
    return read(config)
