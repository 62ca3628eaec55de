"""T5, Flan-T5, mT5 and umT5: an encoder and a decoder that attends to it, a bias by distance.

Defaults of ``T5Config`` that are taken: as many decoder layers as encoder layers, 32 buckets of
distance, plain feed-forward parts, tied embeddings. A file that says its embeddings are not tied is
taken at its word: the released T5 1.1 and Flan-T5 have an LM head of their own.
"""

from __future__ import annotations

from planner.importers.config import Config
from planner.importers.encoder_decoder import warn_source
from planner.importers.registry import Architecture, family
from planner.model import Layer
from planner.model.bounds import MOST_LAYERS
from planner.model.embedding import Embedding, Head, TokenTable
from planner.model.feed_forward import Dense
from planner.model.mixers.attention import Attention
from planner.model.mixers.cross_attention import CrossAttention
from planner.model.norm import Norm
from planner.model.projection import Table
from planner.model.tower import ENCODER, Tower

_BUCKETS = 32
_SOURCE_TOKENS = 512


@family(
    "t5",
    "mt5",
    "umt5",
    architectures=(
        "T5ForConditionalGeneration",
        "MT5ForConditionalGeneration",
        "UMT5ForConditionalGeneration",
    ),
)
def read(config: Config) -> Architecture:
    """Read a T5 configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        The decoder as the main stack, the encoder beside it; in umT5 every layer has a bias of its
        own.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden = config.size("d_model")
    rows = config.size("vocab_size")
    heads = config.size("num_heads")
    layers = config.size("num_layers", most=MOST_LAYERS)
    decoder_layers = config.optional_size("num_decoder_layers", most=MOST_LAYERS) or layers
    buckets = config.size("relative_attention_num_buckets", default=_BUCKETS)
    source = config.size("n_positions", default=_SOURCE_TOKENS)
    config.require("is_encoder_decoder", True)
    config.ignore("relative_attention_max_distance", "scale_decoder_outputs", "output_past")
    bias = (Table(name="relative_attention_bias", shape=(buckets, heads)),)
    own = bias if config.text("model_type") == "umt5" else ()
    first = () if own else bias
    norm = Norm(kind="rms_norm", width=hidden)
    lookup = TokenTable(name="shared", vocabulary=rows, width=hidden, shared=True)
    feed_forward = _feed_forward(config, hidden)
    warn_source(config, source)
    encoder = (
        Layer("tokens", (lookup, *first)),
        *[Layer("block", (norm, *own, _attention(config, causal=False), norm, feed_forward))]
        * layers,
        Layer("final", (norm,)),
    )
    block = (
        norm,
        *own,
        _attention(config, causal=True),
        norm,
        _cross_attention(config, source),
        norm,
        feed_forward,
    )
    return Architecture(
        embedding=Embedding(vocabulary=rows, width=hidden, hidden=hidden),
        initial=first,
        layers=(Layer("decoder", block),) * decoder_layers,
        final=(norm,),
        head=Head(
            vocabulary=rows,
            width=hidden,
            hidden=hidden,
            tied=config.flag("tie_word_embeddings", True),
        ),
        usable_context=None,
        towers=(Tower(name=ENCODER, layers=encoder, tokens=source),),
    )


def _attention(config: Config, *, causal: bool) -> Attention:
    heads = config.size("num_heads")
    return Attention(
        hidden=config.size("d_model"),
        query_heads=heads,
        kv_heads=heads,
        head_dim=config.size("d_kv"),
        causal=causal,
        rotary=False,
        distance_bias="relative",
    )


def _cross_attention(config: Config, source: int) -> CrossAttention:
    heads, hidden = config.size("num_heads"), config.size("d_model")
    return CrossAttention(
        hidden=hidden,
        source_width=hidden,
        source_tokens=source,
        query_heads=heads,
        kv_heads=heads,
        head_dim=config.size("d_kv"),
    )


def _feed_forward(config: Config, hidden: int) -> Dense:
    kind = config.text("feed_forward_proj", "relu") or "relu"
    config.ignore("is_gated_act", "dense_act_fn")
    return Dense(hidden=hidden, intermediate=config.size("d_ff"), gated=kind.startswith("gated-"))
