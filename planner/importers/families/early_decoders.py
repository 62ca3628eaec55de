"""GPT, CTRL and GPT-NeoX Japanese: decoders from before a common form was settled.

GPT has a norm after each part and none at the end; CTRL computes its positions; GPT-NeoX Japanese
has no biases but one after the last layer's attention. Defaults of their configuration classes that
are taken: tied embeddings, whole heads rotated in GPT-NeoX Japanese.
"""

from __future__ import annotations

from dataclasses import replace

from planner.importers.blocks import arrange
from planner.importers.config import Config
from planner.importers.decoder import assemble, read_heads, read_hidden, read_layers
from planner.importers.position import rotated_dim, usable_context
from planner.importers.registry import Architecture, family
from planner.model.feed_forward import Dense
from planner.model.mixers.attention import Attention
from planner.model.norm import Norm


def _attention(config: Config, hidden: int, *, bias: bool) -> Attention:
    heads = read_heads(config, hidden)
    return Attention(
        hidden=hidden,
        query_heads=heads.query,
        kv_heads=heads.kv,
        head_dim=heads.dim,
        qkv_bias=bias,
        output_bias=bias,
        rotary=False,
    )


@family("openai-gpt", architectures=("OpenAIGPTLMHeadModel",))
def read_gpt(config: Config) -> Architecture:
    """Read the configuration of the first GPT.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Learned positions, an inner width of four times the hidden one.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden = read_hidden(config)
    config.ignore("afn", "n_special", "predict_special_tokens")
    pair = (
        _attention(config, hidden, bias=True),
        Dense(hidden=hidden, intermediate=4 * hidden, gated=False, bias=True),
    )
    norm = Norm(kind="layer_norm", width=hidden)
    positions = config.size("n_positions")
    decoder = assemble(
        config,
        arrange([pair] * read_layers(config), norm, "after"),
        hidden=hidden,
        tied=True,
        usable_context=positions,
    )
    return replace(decoder, embedding=replace(decoder.embedding, positions=positions), final=())


@family("ctrl", architectures=("CTRLLMHeadModel",))
def read_ctrl(config: Config) -> Architecture:
    """Read a CTRL configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Computed positions, logits with a bias.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden = read_hidden(config)
    pair = (
        _attention(config, hidden, bias=True),
        Dense(hidden=hidden, intermediate=config.size("dff"), gated=False, bias=True),
    )
    norm = Norm(kind="layer_norm", width=hidden)
    return assemble(
        config,
        arrange([pair] * read_layers(config), norm),
        hidden=hidden,
        tied=True,
        head_bias=True,
        norm=norm,
        usable_context=usable_context(config, "n_positions"),
    )


@family("gpt_neox_japanese", architectures=("GPTNeoXJapaneseForCausalLM",))
def read_neox_japanese(config: Config) -> Architecture:
    """Read a GPT-NeoX Japanese configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        A bias behind the attention of the last layer alone.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden = read_hidden(config)
    attention = replace(_attention(config, hidden, bias=False), rotary=True)
    share = rotated_dim(config, attention.head_dim, "rotary_pct", default=1.0)
    attention = replace(attention, rotary_dim=share)
    times = config.size("intermediate_multiple_size", default=4, most=64)
    feed_forward = Dense(hidden=hidden, intermediate=times * hidden, gated=False)
    layers = read_layers(config)
    pairs = [(attention, feed_forward)] * (layers - 1)
    pairs.append((replace(attention, output_bias=True), feed_forward))
    norm = Norm(kind="layer_norm", width=hidden)
    return assemble(
        config,
        arrange(pairs, norm),
        hidden=hidden,
        tied=True,
        norm=norm,
        usable_context=usable_context(config),
    )
