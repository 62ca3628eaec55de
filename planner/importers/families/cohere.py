"""Command R, R+, R7B and Aya: attention and feed-forward part side by side behind one LayerNorm.

Cohere 2 has windows on three layers of four; the fourth sees everything and has no positions.
Defaults of ``CohereConfig`` and ``Cohere2Config`` that are taken: tied embeddings, no biases, norms
without biases, windows of 4,096 tokens.
"""

from __future__ import annotations

from dataclasses import replace

from planner.importers.blocks import read_window_pattern
from planner.importers.config import Config
from planner.importers.decoder import read_hidden, read_layers
from planner.importers.dense_decoder import read_dense_decoder
from planner.importers.experts import read_mixture
from planner.importers.registry import Architecture, RotaryDefaults, family
from planner.model.norm import Norm

_WINDOW_TOKENS = 4096
_PERIOD = 4
_BASE = 500_000.0


@family("cohere", architectures=("CohereForCausalLM",))
def read_cohere(config: Config) -> Architecture:
    """Read a Command R, Command R+ or Aya configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Where the file says so, one norm weight for every element of all queries and keys.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    bias = config.flag("attention_bias", False)
    config.ignore("logit_scale")
    decoder = read_dense_decoder(
        config,
        form="beside",
        qkv_bias=bias,
        output_bias=bias,
        tied=True,
        norm=Norm(kind="layer_norm", width=read_hidden(config), bias=False),
        qk_norm="full" if config.flag("use_qk_norm", False) else "none",
    )
    return replace(decoder, rotary=RotaryDefaults(base=_BASE))


@family("cohere2", architectures=("Cohere2ForCausalLM",))
def read_cohere2(config: Config) -> Architecture:
    """Read a Command R7B or Command A configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Only layers with a window rotate queries and keys.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    bias = config.flag("attention_bias", False)
    for name in ("use_gated_activation", "use_parallel_block", "use_embedding_sharing"):
        config.require(name, True)
    config.require("use_qk_norm", False)
    config.ignore("logit_scale", "rotary_pct", "position_embedding_type", "use_parallel_embedding")
    config.ignore("order_of_interleaved_layers")
    windows = read_window_pattern(
        config, read_layers(config), period=_PERIOD, window=_WINDOW_TOKENS
    )
    return read_dense_decoder(
        config,
        form="beside",
        qkv_bias=bias,
        output_bias=bias,
        tied=True,
        windows=windows,
        rotary=[window is not None for window in windows],
        norm=Norm(kind="layer_norm", width=read_hidden(config), bias=False),
    )


@family("cohere2_moe", architectures=("Cohere2MoeForCausalLM",))
def read_cohere2_experts(config: Config) -> Architecture:
    """Read a Cohere 2 configuration with experts.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Cohere 2 with experts in every layer, as wide as ``intermediate_size``.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    UnsupportedConfigError
        Some layers are dense.
    """
    hidden, layers = read_hidden(config), read_layers(config)
    bias = config.flag("attention_bias", False)
    config.listed("mlp_layer_types", ("sparse",), layers)
    config.require("first_k_dense_replace", 0)
    config.require("prefix_dense_intermediate_size", None)
    config.ignore(
        "logit_scale", "expert_selection_fn", "prefix_dense_sliding_window_pattern",
        "shared_expert_combination_strategy",
    )  # fmt: skip
    windows = read_window_pattern(config, layers, period=_PERIOD, window=_WINDOW_TOKENS)
    return read_dense_decoder(
        config,
        form="beside",
        qkv_bias=bias,
        output_bias=bias,
        tied=True,
        experts=read_mixture(config, hidden, intermediate=config.size("intermediate_size")),
        windows=windows,
        rotary=[window is not None for window in windows],
        norm=Norm(kind="layer_norm", width=hidden, bias=False),
    )
