"""BART, mBART, Pegasus, Marian, M2M-100 and NLLB: encoders with decoders that attend to them.

They differ in where norms stand and in what their positions are. Defaults of their configuration
classes that are taken: tied embeddings, one table for both sides.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

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


class _Kind(NamedTuple):
    """What sets a family apart.

    ``before``: norms stand before each part; ``last``: one follows each stack; ``table``: positions
    are stored; ``spare``: rows of their table that serve no position [1]; ``norm``: one follows the
    token table.
    """

    before: bool
    last: bool
    table: bool
    spare: int
    norm: bool


_KINDS = {
    "bart": _Kind(before=False, last=False, table=True, spare=2, norm=True),
    "mvp": _Kind(before=False, last=False, table=True, spare=2, norm=True),
    "plbart": _Kind(before=False, last=False, table=True, spare=2, norm=True),
    "blenderbot": _Kind(before=True, last=True, table=True, spare=0, norm=False),
    "blenderbot-small": _Kind(before=False, last=False, table=True, spare=0, norm=True),
    "mbart": _Kind(before=True, last=True, table=True, spare=2, norm=True),
    "pegasus": _Kind(before=True, last=True, table=True, spare=0, norm=False),
    "marian": _Kind(before=False, last=False, table=True, spare=0, norm=False),
    "m2m_100": _Kind(before=True, last=True, table=False, spare=0, norm=False),
}


@family(
    *_KINDS,
    architectures=(
        "BartForConditionalGeneration",
        "MBartForConditionalGeneration",
        "PegasusForConditionalGeneration",
        "MarianMTModel",
        "M2M100ForConditionalGeneration",
    ),
)
def read(config: Config) -> Architecture:
    """Read a BART configuration, or one of its relatives.

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
    config.ignore(
        "encoder_layerdrop", "decoder_layerdrop", "classif_dropout", "extra_pos_embeddings"
    )
    config.ignore("static_position_embeddings")
    config.require("use_prompt", False)
    config.ignore("prompt_length", "prompt_mid_dim")
    config.require("share_encoder_decoder_embeddings", True)
    config.require("decoder_vocab_size", rows, None)
    kind = _KINDS[config.text("model_type") or "bart"]
    norm = Norm(kind="layer_norm", width=hidden)
    warn_source(config, positions)
    stored = positions + kind.spare if kind.table else 0
    table = (Table(name="embed_positions", shape=(stored, hidden)),) if stored else ()
    last = (replace(norm, name="layer_norm"),) if kind.last else ()
    lookup = TokenTable(name="shared", vocabulary=rows, width=hidden, shared=True)
    encoder = read_side(config, "encoder", hidden)
    decoder = read_side(config, "decoder", hidden)
    return Architecture(
        embedding=Embedding(
            vocabulary=rows,
            width=hidden,
            hidden=hidden,
            positions=stored,
            norm=kind.norm,
        ),
        layers=(Layer("decoder", _block(decoder, norm, kind.before, positions)),) * decoder.layers,
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
                    Layer("tokens", (lookup, *table, *((norm,) if kind.norm else ()))),
                    *[Layer("block", _block(encoder, norm, kind.before, None))] * encoder.layers,
                    *([Layer("final", last)] if last else []),
                ),
                tokens=positions,
            ),
        ),
    )


def _block(side: Side, norm: Norm, before: bool, source: int | None) -> tuple[Part, ...]:
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
    return tuple(each for part in parts for each in ((norm, part) if before else (part, norm)))
