"""GPT-2, and GPT-3 written in its terms: learned positions, LayerNorm, biases, tied embeddings.

Defaults of ``GPT2Config`` that are taken: an inner width of four times the hidden one, tied
embeddings. A ``head_dim`` is read although that class has none: in two sizes of GPT-3 the heads
together are not as wide as the residual stream.
"""

from __future__ import annotations

from dataclasses import replace

from planner.importers.config import Config
from planner.importers.decoder import assemble, read_heads, read_hidden, read_layers, stack
from planner.importers.registry import Architecture, family
from planner.model.bounds import MOST_ELEMENTS
from planner.model.feed_forward import Dense
from planner.model.mixers.attention import Attention


@family("gpt2", architectures=("GPT2LMHeadModel",))
def read(config: Config) -> Architecture:
    """Read a GPT-2 configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Multi-head attention without rotation, a plain feed-forward block.

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
        rotary=False,
    )
    feed_forward = Dense(
        hidden=hidden,
        intermediate=config.optional_size("n_inner") or 4 * hidden,
        gated=False,
        bias=True,
    )
    positions = config.size("n_positions", "max_position_embeddings", most=MOST_ELEMENTS)
    decoder = assemble(
        config,
        stack([(attention, feed_forward)] * read_layers(config), hidden, "layer_norm"),
        hidden=hidden,
        tied=True,
        usable_context=positions,
        norm="layer_norm",
    )
    return replace(decoder, embedding=replace(decoder.embedding, positions=positions))
