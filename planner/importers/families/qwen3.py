"""Qwen3: Llama's blocks with RMSNorm on queries and keys of each head.

Defaults of ``Qwen3Config`` that are taken: heads of 128, no biases, no window, untied embeddings.
"""

from __future__ import annotations

from planner.importers.class_defaults import class_defaults
from planner.importers.config import Config
from planner.importers.decoder import assemble, read_heads, read_hidden, read_layers, stack
from planner.importers.families.qwen2 import read_windows
from planner.importers.position import usable_context
from planner.importers.registry import Architecture, family
from planner.model.feed_forward import Dense
from planner.model.mixers.attention import Attention

_DEFAULT_HEAD_DIM = 128

class_defaults(
    "qwen3", vocab_size=151_936, hidden_size=4096, intermediate_size=22_016, num_hidden_layers=32,
    num_attention_heads=32, num_key_value_heads=32, max_position_embeddings=32_768,
)  # fmt: skip


@family("qwen3", "qwen3_vl_text", architectures=("Qwen3ForCausalLM",))
def read(config: Config) -> Architecture:
    """Read a Qwen3 configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        RMSNorm, grouped-query attention with QK-norm, SwiGLU.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden = read_hidden(config)
    heads = read_heads(config, hidden, head_dim=_DEFAULT_HEAD_DIM)
    bias = config.flag("attention_bias", False)
    feed_forward = Dense(hidden=hidden, intermediate=config.size("intermediate_size"))
    pairs = [
        (
            Attention(
                hidden=hidden,
                query_heads=heads.query,
                kv_heads=heads.kv,
                head_dim=heads.dim,
                window=window,
                qkv_bias=bias,
                output_bias=bias,
                qk_norm="head",
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
