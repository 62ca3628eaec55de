"""Reformer: attention within chunks, by turns of neighbours and of what hashing put together.

Its layers are reversible: two residual streams run side by side, and norm and head read both.
Defaults of ``ReformerConfig`` that are taken: 12 heads of 64, chunks of 64 that see the one before,
one round of hashing into twice as many buckets as chunks, and positions on a grid of 64 by 64 with
64 and 192 numbers each.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from planner.importers.config import Config
from planner.importers.decoder import read_hidden
from planner.importers.registry import Architecture, family
from planner.model import Layer
from planner.model.bounds import MOST_CONTEXT_TOKENS, MOST_ELEMENTS, MOST_LAYERS
from planner.model.connection import InnerNorm
from planner.model.embedding import Embedding, Head
from planner.model.feed_forward import Dense
from planner.model.mixers.sparse_hashing import ReformerAttention
from planner.model.norm import Norm

_VOCABULARY = 320
_LAYERS = ("local", "lsh") * 3
_GRID, _GRID_WIDTHS = (64, 64), (64, 192)
_POSITIONS = 4096
_HEADS, _HEAD_DIM, _CHUNK, _INNER = 12, 64, 64, 512
_NO_EFFECT = (
    "axial_norm_std", "chunk_size_lm_head", "chunk_size_feed_forward", "hash_seed",
    "local_attention_probs_dropout_prob", "lsh_attention_probs_dropout_prob",
    "classifier_dropout", "output_past", "is_decoder",
)  # fmt: skip


@family("reformer", architectures=("ReformerModelWithLMHead",))
def read(config: Config) -> Architecture:
    """Read a Reformer configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        A LayerNorm before each part, and one over both streams at the end.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    config.ignore(*_NO_EFFECT)
    hidden = read_hidden(config)
    rows = config.size("vocab_size", default=_VOCABULARY)
    embedding, context = _embedding(config, rows, hidden)
    return Architecture(
        embedding=embedding,
        layers=_layers(config, hidden),
        final=(InnerNorm(width=2 * hidden, name="norm", bias=True),),
        head=Head(
            vocabulary=rows,
            width=2 * hidden,
            hidden=hidden,
            tied=config.flag("tie_word_embeddings", False),
            bias=True,
            streams=2,
        ),
        usable_context=context,
    )


def _embedding(config: Config, rows: int, hidden: int) -> tuple[Embedding, int]:
    positions = config.size("max_position_embeddings", default=_POSITIONS)
    if not config.flag("axial_pos_embds", True):
        config.ignore("axial_pos_shape", "axial_pos_embds_dim")
        table = Embedding(vocabulary=rows, width=hidden, hidden=hidden, positions=positions)
        return table, positions
    grid = _sizes(config, "axial_pos_shape", _GRID, MOST_CONTEXT_TOKENS)
    widths = _sizes(config, "axial_pos_embds_dim", _GRID_WIDTHS, MOST_ELEMENTS)
    if len(widths) != len(grid) or sum(widths) != hidden:
        config.refuse("axial_pos_embds_dim", f"one width per axis, {hidden:,} together")
    axes = tuple(zip(grid, widths, strict=True))
    table = Embedding(vocabulary=rows, width=hidden, hidden=hidden, axes=axes)
    return table, min(positions, math.prod(grid))


def _sizes(config: Config, name: str, default: Sequence[int], most: int) -> tuple[int, ...]:
    entries = config.entries(name) or default
    sizes = tuple(size for size in entries if type(size) is int and 0 < size <= most)
    if len(sizes) != len(entries) or len(sizes) > 4:
        config.refuse(name, "up to 4 whole numbers, from 1 on")
    return sizes


def _layers(config: Config, hidden: int) -> tuple[Layer, ...]:
    kinds = config.entries("attn_layers") or _LAYERS
    if not all(kind in ("local", "lsh") for kind in kinds) or len(kinds) > MOST_LAYERS:
        config.refuse("attn_layers", 'a list of "local" and "lsh"')
    config.require("num_hidden_layers", len(kinds), None)
    attention = {kind: _attention(config, kind, hidden) for kind in ("local", "lsh")}
    feed_forward = Dense(
        hidden=hidden,
        intermediate=config.size("feed_forward_size", default=_INNER),
        gated=False,
        bias=True,
    )
    return tuple(
        Layer(
            str(kind),
            (
                Norm(kind="layer_norm", width=hidden, name="attention.layer_norm"),
                attention[str(kind)],
                Norm(kind="layer_norm", width=hidden, name="feed_forward.layer_norm"),
                feed_forward,
            ),
        )
        for kind in kinds
    )


def _attention(config: Config, kind: str, hidden: int) -> ReformerAttention:
    hashing = kind == "lsh"
    rounds = config.size("num_hashes", default=1)
    rotations = _rotations(config)
    return ReformerAttention(
        hidden=hidden,
        heads=config.size("num_attention_heads", default=_HEADS),
        head_dim=config.size("attention_head_size", "head_dim", default=_HEAD_DIM),
        chunk=config.size(f"{kind}_attn_chunk_length", default=_CHUNK),
        chunks_before=config.size(f"{kind}_num_chunks_before", default=1, least=0),
        chunks_after=config.size(f"{kind}_num_chunks_after", default=0, least=0),
        rounds=rounds if hashing else 0,
        rotations=rotations if hashing else 0,
    )


def _rotations(config: Config) -> int:
    """Return the buckets of a round, or the sum of their factors; 0 where the text decides."""
    if config.is_list("num_buckets"):
        return sum(_sizes(config, "num_buckets", (), MOST_ELEMENTS))
    return config.optional_size("num_buckets") or 0
