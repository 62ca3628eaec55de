"""GPT-NeoX and Pythia, GPT-J and CodeGen, BLOOM: LayerNorm, multi-head attention.

Defaults of their configuration classes that are taken. ``GPTNeoXConfig``: a quarter of each head
rotated, biases, untied embeddings. ``GPTJConfig``: 64 elements of each head rotated, an inner width
of four times the hidden one, untied embeddings. ``BloomConfig``: tied embeddings.
"""

from __future__ import annotations

from dataclasses import replace

from planner.importers.config import Config
from planner.importers.decoder import assemble, read_heads, read_hidden, read_layers, stack
from planner.importers.position import rotated_dim, usable_context
from planner.importers.registry import Architecture, family
from planner.model import Layer
from planner.model.bounds import MOST_CONTEXT_TOKENS
from planner.model.feed_forward import Dense
from planner.model.mixers.attention import Attention
from planner.model.norm import Norm

_NEOX_ROTATED_FRACTION = 0.25
_GPTJ_ROTARY_DIM = 64


@family("gpt_neox", architectures=("GPTNeoXForCausalLM",))
def read_neox(config: Config) -> Architecture:
    """Read a GPT-NeoX configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Two norms a layer, whether its two parts run side by side or not.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden = read_hidden(config)
    heads = read_heads(config, hidden)
    bias = config.flag("attention_bias", True)
    config.ignore("use_parallel_residual")
    attention = Attention(
        hidden=hidden,
        query_heads=heads.query,
        kv_heads=heads.kv,
        head_dim=heads.dim,
        qkv_bias=bias,
        output_bias=bias,
        rotary_dim=rotated_dim(config, heads.dim, "rotary_pct", default=_NEOX_ROTATED_FRACTION),
    )
    feed_forward = Dense(
        hidden=hidden, intermediate=config.size("intermediate_size"), gated=False, bias=True
    )
    return assemble(
        config,
        stack([(attention, feed_forward)] * read_layers(config), hidden, "layer_norm"),
        hidden=hidden,
        tied=False,
        usable_context=usable_context(config),
        norm="layer_norm",
    )


@family("gptj", "codegen", architectures=("GPTJForCausalLM", "CodeGenForCausalLM"))
def read_gptj(config: Config) -> Architecture:
    """Read a GPT-J or CodeGen configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Attention without biases and a feed-forward block with them, side by side behind one norm.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden = read_hidden(config)
    heads = read_heads(config, hidden)
    config.require("rotary", True)
    attention = Attention(
        hidden=hidden,
        query_heads=heads.query,
        kv_heads=heads.kv,
        head_dim=heads.dim,
        rotary_dim=config.size("rotary_dim", default=_GPTJ_ROTARY_DIM, most=heads.dim),
    )
    feed_forward = Dense(
        hidden=hidden,
        intermediate=config.optional_size("n_inner") or 4 * hidden,
        gated=False,
        bias=True,
    )
    norm = Norm(kind="layer_norm", width=hidden, name="input_layernorm")
    return assemble(
        config,
        [Layer("full", (norm, attention, feed_forward))] * read_layers(config),
        hidden=hidden,
        tied=False,
        usable_context=usable_context(config, "n_positions"),
        norm="layer_norm",
        head_bias=True,
    )


@family("bloom", architectures=("BloomForCausalLM",))
def read_bloom(config: Config) -> Architecture:
    """Read a BLOOM configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Attention biased by distance, a norm right after the token table.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden = read_hidden(config)
    heads = read_heads(config, hidden)
    config.require("apply_residual_connection_post_layernorm", False)
    config.ignore("attention_softmax_in_fp32", "bias_dropout_fusion", "masked_softmax_fusion")
    config.ignore("offset_alibi", "skip_bias_add", "skip_bias_add_qkv", "slow_but_exact")
    attention = Attention(
        hidden=hidden,
        query_heads=heads.query,
        kv_heads=heads.kv,
        head_dim=heads.dim,
        qkv_bias=True,
        output_bias=True,
        rotary=False,
        distance_bias="alibi",
    )
    feed_forward = Dense(hidden=hidden, intermediate=4 * hidden, gated=False, bias=True)
    decoder = assemble(
        config,
        stack([(attention, feed_forward)] * read_layers(config), hidden, "layer_norm"),
        hidden=hidden,
        tied=True,
        usable_context=config.optional_size("seq_length", most=MOST_CONTEXT_TOKENS),
        norm="layer_norm",
    )
    return replace(decoder, embedding=replace(decoder.embedding, norm=True))
