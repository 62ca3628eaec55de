"""StarCoder 1 and 2, SantaCoder, WizardCoder: code models with one or few KV heads.

The first is GPT-2 with one KV head. Defaults that are taken. ``GPTBigCodeConfig``: one KV head, an
inner width of four times the hidden one, tied embeddings. ``Starcoder2Config``: biases everywhere,
no window, tied embeddings.
"""

from __future__ import annotations

from dataclasses import replace

from planner.importers.config import Config
from planner.importers.decoder import Heads, read_heads, read_hidden, read_layers
from planner.importers.dense_decoder import read_dense_decoder
from planner.importers.registry import Architecture, family
from planner.model.norm import Norm


@family("gpt_bigcode", architectures=("GPTBigCodeForCausalLM",))
def read_bigcode(config: Config) -> Architecture:
    """Read a StarCoder 1 configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Learned positions, LayerNorm, biases, plain feed-forward parts.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden = read_hidden(config)
    query, _, dim = read_heads(config, hidden)
    positions = config.size("n_positions", "max_position_embeddings")
    config.ignore("attention_softmax_in_fp32", "scale_attention_softmax_in_fp32")
    config.ignore("inference_runner", "max_batch_size", "pad_key_length")
    config.ignore("pre_allocate_kv_cache", "validate_runner_input")
    decoder = read_dense_decoder(
        config,
        heads=Heads(query, 1 if config.flag("multi_query", True) else query, dim),
        intermediate=config.optional_size("n_inner") or 4 * hidden,
        gated=False,
        qkv_bias=True,
        output_bias=True,
        mlp_bias=True,
        tied=True,
        rotary=False,
        context=positions,
        norm=Norm(kind="layer_norm", width=hidden),
    )
    return replace(decoder, embedding=replace(decoder.embedding, positions=positions))


@family("starcoder2", architectures=("Starcoder2ForCausalLM",))
def read_starcoder2(config: Config) -> Architecture:
    """Read a StarCoder 2 configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Rotary positions, LayerNorm, plain feed-forward parts.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    bias = config.flag("use_bias", True)
    config.require("mlp_type", "default")
    config.require("norm_type", "layer_norm")
    config.ignore("attention_softmax_in_fp32", "scale_attention_softmax_in_fp32")
    window = config.optional_size("sliding_window")
    return read_dense_decoder(
        config,
        gated=False,
        qkv_bias=bias,
        output_bias=bias,
        mlp_bias=bias,
        tied=True,
        windows=[window] * read_layers(config),
        norm=Norm(kind="layer_norm", width=read_hidden(config)),
    )
