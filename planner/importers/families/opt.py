"""OPT: learned positions with two spare rows, LayerNorm, biases, tied embeddings.

OPT-350m embeds in half the width and normalises after each part instead of before. Defaults of
``OPTConfig`` that are taken: norms first, biases and affine norms, embeddings as wide as the
residual stream, tied.
"""

from __future__ import annotations

from dataclasses import replace

from planner.importers.config import Config
from planner.importers.decoder import read_heads, read_hidden, read_layers
from planner.importers.registry import Architecture, family
from planner.model import Layer
from planner.model.embedding import Embedding, Head
from planner.model.feed_forward import Dense
from planner.model.mixers.attention import Attention
from planner.model.norm import Norm

_SPARE_POSITIONS = 2


@family("opt", architectures=("OPTForCausalLM",))
def read(config: Config) -> Architecture:
    """Read an OPT configuration.

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
    width = config.optional_size("word_embed_proj_dim") or hidden
    rows = config.size("vocab_size")
    config.ignore("output_projection")
    positions = config.size("max_position_embeddings")
    norm_first = config.flag("do_layer_norm_before", True)
    final_norm = not config.flag("_remove_final_layer_norm", False) and norm_first
    norm = _norm(config, hidden)
    return Architecture(
        embedding=Embedding(
            vocabulary=rows, width=width, hidden=hidden, positions=positions + _SPARE_POSITIONS
        ),
        layers=(_block(config, hidden, norm, norm_first=norm_first),) * read_layers(config),
        final=(replace(norm, name="final_layer_norm"),) if final_norm else (),
        head=Head(
            vocabulary=rows,
            width=width,
            hidden=hidden,
            tied=config.flag("tie_word_embeddings", True),
        ),
        usable_context=positions,
    )


def _norm(config: Config, hidden: int) -> Norm:
    affine = config.flag("layer_norm_elementwise_affine", True)
    return Norm(kind="layer_norm", width=hidden, weight=affine, bias=affine)


def _block(config: Config, hidden: int, norm: Norm, *, norm_first: bool) -> Layer:
    heads = read_heads(config, hidden)
    bias = config.flag("enable_bias", True)
    attention = Attention(
        hidden=hidden,
        query_heads=heads.query,
        kv_heads=heads.kv,
        head_dim=heads.dim,
        qkv_bias=bias,
        output_bias=bias,
        rotary=False,
    )
    feed_forward = Dense(hidden=hidden, intermediate=config.size("ffn_dim"), gated=False, bias=bias)
    one = replace(norm, name="self_attn_layer_norm")
    two = replace(norm, name="final_layer_norm")
    if norm_first:
        return Layer("full", (one, attention, two, feed_forward))
    return Layer("full", (attention, one, feed_forward, two))
