"""Nomic BERT and EuroBERT: encoders with rotary positions and gated feed-forward parts.

Defaults of ``NomicBertConfig`` and ``EuroBertConfig`` that are taken: no biases, two token types
for Nomic BERT, an LM head of its own for EuroBERT.
"""

from __future__ import annotations

from dataclasses import replace

from planner.importers.blocks import arrange
from planner.importers.config import Config
from planner.importers.decoder import read_heads, read_hidden, read_layers
from planner.importers.dense_decoder import read_dense_decoder
from planner.importers.families.bert import ENCODER_WARNING, transform
from planner.importers.position import usable_context
from planner.importers.registry import Architecture, RotaryDefaults, family
from planner.model import Layer
from planner.model.embedding import Embedding, Head
from planner.model.feed_forward import Dense
from planner.model.mixers.attention import Attention
from planner.model.norm import Norm

_TYPES = 2
_BASE = 1000.0


@family("eurobert", architectures=("EuroBertForMaskedLM", "EuroBertModel"))
def read_eurobert(config: Config) -> Architecture:
    """Read a EuroBERT configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Llama's blocks, which look both ways.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    bias, mlp_bias = config.flag("attention_bias", False), config.flag("mlp_bias", False)
    config.warn(ENCODER_WARNING)
    config.ignore("classifier_pooling")
    return read_dense_decoder(
        config,
        qkv_bias=bias,
        output_bias=bias,
        mlp_bias=mlp_bias,
        head_bias=mlp_bias,
        causal=False,
    )


@family("nomic_bert", architectures=("NomicBertForMaskedLM", "NomicBertModel"))
def read_nomic(config: Config) -> Architecture:
    """Read a Nomic BERT configuration as transformers writes it.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        LayerNorm after each part, token types, no table of positions.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden = read_hidden(config)
    heads = read_heads(config, hidden)
    rows = config.size("vocab_size")
    norm = Norm(kind="layer_norm", width=hidden)
    config.warn(ENCODER_WARNING)
    attention = Attention(
        hidden=hidden,
        query_heads=heads.query,
        kv_heads=heads.kv,
        head_dim=heads.dim,
        causal=False,
    )
    feed_forward = Dense(hidden=hidden, intermediate=config.size("intermediate_size"))
    stacked: list[Layer] = arrange([(attention, feed_forward)] * read_layers(config), norm, "after")
    return Architecture(
        embedding=Embedding(
            vocabulary=rows,
            width=hidden,
            hidden=hidden,
            types=config.size("type_vocab_size", default=_TYPES, least=0),
            norm=True,
        ),
        layers=tuple(stacked),
        final=transform(hidden),
        head=Head(
            vocabulary=rows,
            width=hidden,
            hidden=hidden,
            tied=config.flag("tie_word_embeddings", True),
            bias=True,
        ),
        usable_context=usable_context(config),
        rotary=replace(RotaryDefaults(), base=_BASE),
    )
