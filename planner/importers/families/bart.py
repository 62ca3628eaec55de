"""BART and mBART: an encoder and a decoder that attends to it, learned positions, biases.

The position tables have two spare rows. mBART puts norms before each part and one after each stack.
Defaults of ``BartConfig`` that are taken: tied embeddings.
"""

from __future__ import annotations

from dataclasses import replace

from planner.importers.config import Config
from planner.importers.encoder_decoder import Side, read_side, warn_source
from planner.importers.registry import Architecture, family
from planner.model import Layer
from planner.model.embedding import Embedding, Head, TokenTable
from planner.model.mixers.attention import Attention
from planner.model.mixers.cross_attention import CrossAttention
from planner.model.norm import Norm
from planner.model.part import Part
from planner.model.projection import Table
from planner.model.tower import ENCODER, Tower

_SPARE_POSITIONS = 2


@family(
    "bart",
    "mbart",
    architectures=("BartForConditionalGeneration", "MBartForConditionalGeneration"),
)
def read(config: Config) -> Architecture:
    """Read a BART or mBART configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        The decoder as the main stack, the encoder beside it.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden = config.size("d_model", "hidden_size")
    rows = config.size("vocab_size")
    positions = config.size("max_position_embeddings")
    config.require("is_encoder_decoder", True)
    config.ignore("scale_embedding", "num_hidden_layers", "normalize_embedding", "add_bias_logits")
    config.ignore("add_final_layer_norm", "normalize_before", "force_bos_token_to_be_generated")
    config.ignore("encoder_layerdrop", "decoder_layerdrop", "classif_dropout")
    first = config.text("model_type") == "mbart"
    norm = Norm(kind="layer_norm", width=hidden)
    warn_source(config, positions)
    table = Table(name="embed_positions", shape=(positions + _SPARE_POSITIONS, hidden))
    last = (replace(norm, name="layer_norm"),) if first else ()
    lookup = TokenTable(name="shared", vocabulary=rows, width=hidden, shared=True)
    encoder = read_side(config, "encoder", hidden)
    decoder = read_side(config, "decoder", hidden)
    return Architecture(
        embedding=Embedding(
            vocabulary=rows,
            width=hidden,
            hidden=hidden,
            positions=positions + _SPARE_POSITIONS,
            norm=True,
        ),
        layers=(Layer("decoder", _block(decoder, norm, first, positions)),) * decoder.layers,
        final=last,
        head=Head(
            vocabulary=rows,
            width=hidden,
            hidden=hidden,
            tied=config.flag("tie_word_embeddings", True),
        ),
        usable_context=positions,
        towers=(
            Tower(
                name=ENCODER,
                layers=(
                    Layer("tokens", (lookup, table, norm)),
                    *[Layer("block", _block(encoder, norm, first, None))] * encoder.layers,
                    *([Layer("final", last)] if last else []),
                ),
                tokens=positions,
            ),
        ),
    )


def _block(side: Side, norm: Norm, first: bool, source: int | None) -> tuple[Part, ...]:
    """Return attention, in a decoder attention to the encoder, and the feed-forward part."""
    hidden = norm.width
    dim = hidden // side.heads
    parts: list[Part] = [
        Attention(
            hidden=hidden,
            query_heads=side.heads,
            kv_heads=side.heads,
            head_dim=dim,
            causal=source is not None,
            qkv_bias=True,
            output_bias=True,
            rotary=False,
        )
    ]
    if source is not None:
        parts.append(
            CrossAttention(
                hidden=hidden,
                source_width=hidden,
                source_tokens=source,
                query_heads=side.heads,
                kv_heads=side.heads,
                head_dim=dim,
                qkv_bias=True,
                output_bias=True,
            )
        )
    parts.append(side.feed_forward)
    return tuple(each for part in parts for each in ((norm, part) if first else (part, norm)))
