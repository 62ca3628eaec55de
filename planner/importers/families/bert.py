"""BERT, RoBERTa, ELECTRA, DistilBERT, MPNet and what is built alike (BGE, XLM-R, CamemBERT).

Encoders that read a whole text at once, in both directions, and cache nothing. They are counted
with the head of a masked language model: a transform, its norm, the token table and a bias.
Defaults of the configuration classes that are taken: two token types, RoBERTa's two positions less
than the table has rows.
"""

from __future__ import annotations

from collections.abc import Sequence

from planner.importers.config import Config
from planner.importers.decoder import read_heads, read_hidden, read_layers
from planner.importers.registry import Architecture, family
from planner.model import Layer
from planner.model.embedding import Embedding, Head
from planner.model.feed_forward import Dense
from planner.model.mixers.attention import Attention
from planner.model.norm import Norm
from planner.model.part import Part
from planner.model.projection import Projection, Table

_TYPES = 2
_ROBERTA_SPARE_POSITIONS = 2
ENCODER_WARNING = (
    "An encoder: texts are read in one pass, in both directions; there is no cache and no decoding."
)


@family(
    "bert",
    "roberta",
    "xlm-roberta",
    "camembert",
    "mpnet",
    "ernie",
    "data2vec-text",
    architectures=("BertModel", "BertForMaskedLM", "RobertaForMaskedLM", "XLMRobertaModel"),
)
def read_bert(config: Config) -> Architecture:
    """Read a BERT or RoBERTa configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Multi-head attention and plain feed-forward parts, a norm after each; MPNet adds a learned
        bias by distance.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden = read_hidden(config)
    rows = config.size("vocab_size")
    positions = config.size("max_position_embeddings")
    kind = config.text("model_type", "bert")
    spare = 0 if kind in {"bert", "ernie"} else _ROBERTA_SPARE_POSITIONS
    config.require("use_task_id", False)
    config.ignore("task_type_vocab_size")
    _check_encoder(config)
    buckets = config.optional_size("relative_attention_num_buckets")
    heads = config.size("num_attention_heads")
    bias = Table(name="relative_attention_bias", shape=(buckets or 1, heads))
    return Architecture(
        embedding=Embedding(
            vocabulary=rows,
            width=hidden,
            hidden=hidden,
            positions=positions,
            types=0 if kind == "mpnet" else config.size("type_vocab_size", default=_TYPES, least=0),
            norm=True,
        ),
        initial=(bias,) if buckets else (),
        layers=tuple(_encoder_layers(config, hidden)),
        final=transform(hidden),
        head=Head(
            vocabulary=rows,
            width=hidden,
            hidden=hidden,
            tied=config.flag("tie_word_embeddings", True),
            bias=True,
        ),
        usable_context=max(positions - spare, 1),
    )


@family("electra", architectures=("ElectraForMaskedLM", "ElectraForPreTraining"))
def read_electra(config: Config) -> Architecture:
    """Read an ELECTRA configuration, as a generator with its head.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        BERT's layers on embeddings of another width.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden = read_hidden(config)
    width = config.optional_size("embedding_size") or hidden
    rows = config.size("vocab_size")
    positions = config.size("max_position_embeddings")
    _check_encoder(config)
    config.ignore("summary_last_dropout")
    same = width == hidden
    return Architecture(
        embedding=Embedding(
            vocabulary=rows,
            width=width,
            hidden=hidden,
            positions=positions,
            types=config.size("type_vocab_size", default=_TYPES, least=0),
            norm=True,
            position_width=width,
            projection_bias=True,
        ),
        layers=tuple(_encoder_layers(config, hidden)),
        final=transform(hidden) if same else (),
        head=Head(
            vocabulary=rows,
            width=width,
            hidden=hidden,
            tied=config.flag("tie_word_embeddings", True),
            bias=True,
            projection_bias=not same,
            norm=not same,
        ),
        usable_context=positions,
    )


@family("distilbert", architectures=("DistilBertModel", "DistilBertForMaskedLM"))
def read_distilbert(config: Config) -> Architecture:
    """Read a DistilBERT configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        BERT's layers, no token types.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden = config.size("dim", "hidden_size")
    rows = config.size("vocab_size")
    positions = config.size("max_position_embeddings")
    _check_encoder(config)
    config.ignore("sinusoidal_pos_embds", "qa_dropout", "seq_classif_dropout")
    return Architecture(
        embedding=Embedding(
            vocabulary=rows, width=hidden, hidden=hidden, positions=positions, norm=True
        ),
        layers=tuple(_encoder_layers(config, hidden)),
        final=transform(hidden),
        head=Head(
            vocabulary=rows,
            width=hidden,
            hidden=hidden,
            tied=config.flag("tie_word_embeddings", True),
            bias=True,
        ),
        usable_context=positions,
    )


def transform(hidden: int) -> tuple[Part, ...]:
    """Return what a masked language model has between its last layer and the logits.

    Parameters
    ----------
    hidden : int
        Width of the residual stream. [elements]

    Returns
    -------
    tuple of Part
        A matrix with bias and a LayerNorm.

    Examples
    --------
    >>> sum(t.elements for part in transform(768) for t in part.tensors())
    592128
    """
    return (
        Projection(name="transform.dense", inputs=hidden, outputs=hidden, bias=True),
        Norm(kind="layer_norm", width=hidden, name="transform.norm"),
    )


def _check_encoder(config: Config) -> None:
    config.require("is_decoder", False)
    config.require("position_embedding_type", "absolute", None)
    config.warn(ENCODER_WARNING)


def _encoder_layers(config: Config, hidden: int) -> Sequence[Layer]:
    heads = read_heads(config, hidden)
    attention = Attention(
        hidden=hidden,
        query_heads=heads.query,
        kv_heads=heads.kv,
        head_dim=heads.dim,
        causal=False,
        qkv_bias=True,
        output_bias=True,
        rotary=False,
    )
    feed_forward = Dense(
        hidden=hidden,
        intermediate=config.size("intermediate_size", "hidden_dim"),
        gated=False,
        bias=True,
    )
    one = Norm(kind="layer_norm", width=hidden, name="attention.output.norm")
    two = Norm(kind="layer_norm", width=hidden, name="output.norm")
    return [Layer("encoder", (attention, one, feed_forward, two))] * read_layers(config)
