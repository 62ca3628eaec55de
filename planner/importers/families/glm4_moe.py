"""GLM-4.5, -4.6 and -4.7, GLM-4.5V and -4.6V, Solar Open, dots.llm1.

Defaults of the classes that are taken: GLM rotates half of each head, has one dense layer and no
norm of queries and keys unless the file says so; Solar Open has heads of 128 and experts in every
layer; dots.llm1 has norms of queries and keys and windows only behind ``max_window_layers``.
"""

from __future__ import annotations

from planner.importers.config import Config
from planner.importers.decoder import read_hidden, read_layers
from planner.importers.experts import read_feed_forward, read_mixture, read_sparse
from planner.importers.grouped import expert_decoder, read_grouped_attention, read_windowed
from planner.importers.multimodal import read_multimodal
from planner.importers.registry import Architecture, family
from planner.importers.towers.glm import GLM_VISION

_SOLAR_HEAD_DIM = 128
_DOTS_WINDOW_LAYERS = 62


@family("glm4_moe", "glm4v_moe_text", architectures=("Glm4MoeForCausalLM",))
def read(config: Config) -> Architecture:
    """Read a GLM-4.5, -4.6 or -4.7 configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Grouped heads, a few dense layers and then experts.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden, layers = read_hidden(config), read_layers(config)
    normed = config.flag("use_qk_norm", False)
    attention = read_grouped_attention(
        config,
        hidden,
        head_dim=hidden // config.size("num_attention_heads", most=hidden),
        output_bias=False,
        qk_norm="head" if normed else "none",
        rotary_share=0.5,
    )
    experts = read_mixture(config, hidden, correction_bias=True)
    feed_forward = read_feed_forward(config, experts, read_sparse(config, layers, dense=1))
    return expert_decoder(config, [(attention,)] * layers, feed_forward, hidden, mtp=True)


@family("glm4v_moe", architectures=("Glm4vMoeForConditionalGeneration",))
def read_vision(config: Config) -> Architecture:
    """Read a GLM-4.5V or GLM-4.6V configuration.

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
    return read_multimodal(config, GLM_VISION, default="glm4v_moe_text")


@family("solar_open", architectures=("SolarOpenForCausalLM",))
def read_solar(config: Config) -> Architecture:
    """Read a Solar Open configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        As GLM, experts in every layer.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden, layers = read_hidden(config), read_layers(config)
    attention = read_grouped_attention(config, hidden, head_dim=_SOLAR_HEAD_DIM, output_bias=False)
    config.require("use_qk_norm", False)
    config.ignore("intermediate_size")
    config.require("first_k_dense_replace", 0)
    experts = read_mixture(config, hidden, correction_bias=True)
    return expert_decoder(config, [(attention,)] * layers, [experts] * layers, hidden)


@family("dots1", architectures=("Dots1ForCausalLM",))
def read_dots(config: Config) -> Architecture:
    """Read a dots.llm1 configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        As GLM, with norms of queries and keys.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden, layers = read_hidden(config), read_layers(config)
    attention = read_grouped_attention(config, hidden, qk_norm="head")
    full = config.optional_size("max_window_layers", least=0)
    first = _DOTS_WINDOW_LAYERS if full is None else full
    slides = config.given("sliding_window")
    pattern = [slides and layer >= first for layer in range(layers)]
    mixers = read_windowed(config, attention, layers, pattern=pattern)
    experts = read_mixture(config, hidden, correction_bias=True)
    feed_forward = read_feed_forward(config, experts, read_sparse(config, layers))
    return expert_decoder(config, [(part,) for part in mixers], feed_forward, hidden)
