"""Qwen1.5, Qwen2, Qwen2.5, QwQ and MiMo-7B: Llama's blocks, biases on queries, keys and values.

``sliding_window`` counts only with ``use_sliding_window``, and then from layer
``max_window_layers`` on. Defaults of ``Qwen2Config`` that are taken: no window, untied embeddings,
``max_window_layers`` 28, a window of 4,096 tokens.
"""

from __future__ import annotations

from planner.importers.class_defaults import class_defaults
from planner.importers.config import Config
from planner.importers.decoder import (
    assemble,
    read_heads,
    read_hidden,
    read_layer_types,
    read_layers,
    stack,
)
from planner.importers.position import usable_context
from planner.importers.registry import Architecture, family
from planner.model.bounds import MOST_LAYERS
from planner.model.feed_forward import Dense
from planner.model.mixers.attention import Attention

_DEFAULT_WINDOW_TOKENS = 4096
_DEFAULT_FULL_LAYERS = 28

class_defaults(
    "qwen2", vocab_size=151_936, hidden_size=4096, intermediate_size=22_016, num_hidden_layers=32,
    num_attention_heads=32, num_key_value_heads=32, max_position_embeddings=32_768,
)  # fmt: skip


@family(
    "qwen2",
    "qwen2_vl_text",
    "qwen2_5_vl_text",
    "qwen2_5_omni_text",
    architectures=("Qwen2ForCausalLM",),
)
def read(config: Config) -> Architecture:
    """Read a Qwen2 configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        RMSNorm, grouped-query attention with biases on the way in, SwiGLU; in both directions
        where the file says that it is not causal.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden = read_hidden(config)
    heads = read_heads(config, hidden)
    config.require("qkv_bias", True)
    config.require("attention_bias", True)
    causal = config.flag("is_causal", True)
    if not causal:
        config.warn("Attention looks both ways: texts are read in one pass, and nothing is cached.")
    feed_forward = Dense(hidden=hidden, intermediate=config.size("intermediate_size"))
    pairs = [
        (
            Attention(
                hidden=hidden,
                query_heads=heads.query,
                kv_heads=heads.kv,
                head_dim=heads.dim,
                window=window,
                causal=causal,
                qkv_bias=True,
            ),
            feed_forward,
        )
        for window in read_windows(config, read_layers(config))
    ]
    return assemble(
        config,
        stack(pairs, hidden),
        hidden=hidden,
        tied=False,
        usable_context=usable_context(config),
    )


@family("mimo", architectures=("MiMoForCausalLM",))
def read_mimo(config: Config) -> Architecture:
    """Read a MiMo-7B configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Qwen2's, without the layers that predict further tokens.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    further = config.size("num_nextn_predict_layers", default=0, least=0, most=MOST_LAYERS)
    if further:
        config.warn(
            f"The checkpoint also holds {further:,} layer(s) that predict further tokens; they are "
            f"not counted."
        )
    return read(config)


def read_windows(config: Config, layers: int) -> list[int | None]:
    """Return the window of each layer of a Qwen2 or Qwen3 configuration.

    Parameters
    ----------
    config : Config
        The configuration.
    layers : int
        Number of layers. [1]

    Returns
    -------
    list of int or None
        Keys a query sees; None for all. [tokens]

    Raises
    ------
    SpecError
        A figure is unusable, or the list of kinds of layers has another length.

    Examples
    --------
    >>> config = Config(
    ...     {"use_sliding_window": True, "sliding_window": 512, "max_window_layers": 1},
    ...     "config.json",
    ... )
    >>> read_windows(config, 3)
    [None, 512, 512]
    """
    used = config.flag("use_sliding_window", False)
    full = config.size("max_window_layers", default=_DEFAULT_FULL_LAYERS, least=0, most=MOST_LAYERS)
    listed = read_layer_types(config, layers)
    if not used:
        config.ignore("sliding_window")
        if listed and any(listed):
            config.refuse("layer_types", "full_attention throughout without use_sliding_window")
        return [None] * layers
    window = config.optional_size("sliding_window")
    if "sliding_window" not in config:
        window = _DEFAULT_WINDOW_TOKENS
    sliding = listed or [layer >= full for layer in range(layers)]
    return [window if slides else None for slides in sliding]
