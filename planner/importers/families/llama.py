"""Llama 1 to 3.3 and what is built alike (Yi, SmolLM, TinyLlama, CodeLlama).

Defaults of ``LlamaConfig`` that are taken: KV heads as many as query heads, a head's width the
residual stream's share, no biases, an LM head of its own.
"""

from __future__ import annotations

from planner.importers.class_defaults import class_defaults
from planner.importers.config import Config
from planner.importers.decoder import assemble, read_heads, read_hidden, read_layers, stack
from planner.importers.position import usable_context
from planner.importers.registry import Architecture, family
from planner.model.feed_forward import Dense
from planner.model.mixers.attention import Attention

class_defaults(
    "llama", vocab_size=32_000, hidden_size=4096, intermediate_size=11_008, num_hidden_layers=32,
    num_attention_heads=32, max_position_embeddings=2048,
)  # fmt: skip


@family("llama", architectures=("LlamaForCausalLM",))
def read(config: Config) -> Architecture:
    """Read a Llama configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        RMSNorm, grouped-query attention with rotary positions, SwiGLU.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden = read_hidden(config)
    heads = read_heads(config, hidden)
    bias = config.flag("attention_bias", False)
    attention = Attention(
        hidden=hidden,
        query_heads=heads.query,
        kv_heads=heads.kv,
        head_dim=heads.dim,
        qkv_bias=bias,
        output_bias=bias,
    )
    feed_forward = Dense(
        hidden=hidden,
        intermediate=config.size("intermediate_size"),
        bias=config.flag("mlp_bias", False),
    )
    return assemble(
        config,
        stack([(attention, feed_forward)] * read_layers(config), hidden),
        hidden=hidden,
        tied=False,
        usable_context=usable_context(config),
    )
