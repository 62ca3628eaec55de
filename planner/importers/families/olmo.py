"""OLMo 1 to 3: norms without weights at first, then norms after each part and QK-norm.

OLMo 3 has windows on three layers of four. Defaults of the configuration classes that are taken: no
biases, untied embeddings, windows of 4,096 tokens.
"""

from __future__ import annotations

from dataclasses import replace

from planner.importers.blocks import read_window_pattern
from planner.importers.config import Config
from planner.importers.decoder import read_hidden, read_layers
from planner.importers.dense_decoder import read_dense_decoder
from planner.importers.registry import Architecture, RotaryDefaults, family
from planner.model.norm import Norm

_WINDOW_TOKENS = 4096
_PERIOD = 4


@family("olmo", architectures=("OlmoForCausalLM",))
def read_olmo(config: Config) -> Architecture:
    """Read an OLMo 1 configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Llama's blocks with LayerNorm that has no parameters.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    bias = config.flag("attention_bias", False)
    config.ignore("clip_qkv")
    return read_dense_decoder(
        config,
        qkv_bias=bias,
        output_bias=bias,
        norm=Norm(kind="layer_norm", width=read_hidden(config), weight=False, bias=False),
    )


@family("olmo2", "olmo3", architectures=("Olmo2ForCausalLM", "Olmo3ForCausalLM"))
def read_olmo2(config: Config) -> Architecture:
    """Read an OLMo 2 or OLMo 3 configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        RMSNorm after each part, and of all queries and all keys; a scaling of positions holds only
        in layers without a window.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    bias = config.flag("attention_bias", False)
    windows = None
    if config.text("model_type") == "olmo3" or "sliding_window" in config:
        layers = read_layers(config)
        windows = read_window_pattern(config, layers, period=_PERIOD, window=_WINDOW_TOKENS)
    decoder = read_dense_decoder(
        config,
        form="after",
        qkv_bias=bias,
        output_bias=bias,
        windows=windows,
        qk_norm="full",
    )
    return replace(decoder, rotary=RotaryDefaults(scaled_windows=False))
