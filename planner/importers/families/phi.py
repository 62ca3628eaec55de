"""Phi-1, Phi-1.5 and Phi-2: attention and feed-forward block side by side behind one LayerNorm.

Defaults of ``PhiConfig`` that are taken: KV heads as many as query heads, half of each head
rotated, untied embeddings.
"""

from __future__ import annotations

from planner.importers.class_defaults import class_defaults
from planner.importers.config import Config
from planner.importers.decoder import assemble, read_heads, read_hidden, read_layers
from planner.importers.position import rotated_dim, usable_context
from planner.importers.registry import Architecture, family
from planner.model import Layer
from planner.model.feed_forward import Dense
from planner.model.mixers.attention import Attention
from planner.model.norm import Norm

_ROTATED_FRACTION = 0.5

class_defaults(
    "phi", vocab_size=51_200, hidden_size=2048, intermediate_size=8192, num_hidden_layers=24,
    num_attention_heads=32, max_position_embeddings=2048,
)  # fmt: skip


@family("phi", architectures=("PhiForCausalLM",))
def read(config: Config) -> Architecture:
    """Read a Phi configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        LayerNorm, attention and a plain feed-forward block in parallel, biases everywhere.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden = read_hidden(config)
    heads = read_heads(config, hidden)
    attention = Attention(
        hidden=hidden,
        query_heads=heads.query,
        kv_heads=heads.kv,
        head_dim=heads.dim,
        qkv_bias=True,
        output_bias=True,
        qk_norm="layer_norm_head" if config.flag("qk_layernorm", False) else "none",
        rotary_dim=rotated_dim(config, heads.dim, default=_ROTATED_FRACTION),
    )
    feed_forward = Dense(
        hidden=hidden, intermediate=config.size("intermediate_size"), gated=False, bias=True
    )
    norm = Norm(kind="layer_norm", width=hidden, name="input_layernorm")
    return assemble(
        config,
        [Layer("full", (norm, attention, feed_forward))] * read_layers(config),
        hidden=hidden,
        tied=False,
        usable_context=usable_context(config),
        norm="layer_norm",
        head_bias=True,
    )
