"""Longformer: an encoder whose tokens see a band around them and a few tokens that all see.

It is counted with the head of a masked language model. How many tokens are global is a choice of
the task; the first token alone, as in classification, is assumed. Defaults of ``LongformerConfig``
that are taken: a window of 512 on every layer, two token types, tied tables. Two rows of the
position table stand before the first position.
"""

from __future__ import annotations

from typing import TypeGuard

from planner.importers.config import Config
from planner.importers.decoder import read_heads, read_hidden, read_layers
from planner.importers.registry import Architecture, family
from planner.model import Layer
from planner.model.bounds import MOST_CONTEXT_TOKENS
from planner.model.embedding import Embedding, Head
from planner.model.feed_forward import Dense
from planner.model.mixers.sparse import LongformerAttention
from planner.model.norm import Norm
from planner.model.projection import Projection

_WINDOW = 512
_TYPES = 2
_SPARE_POSITIONS = 2
_GLOBAL_TOKENS = 1


@family("longformer", architectures=("LongformerForMaskedLM", "LongformerModel"))
def read(config: Config) -> Architecture:
    """Read a Longformer configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Band attention and plain feed-forward parts, a norm after each.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden = read_hidden(config)
    rows = config.size("vocab_size")
    positions = config.size("max_position_embeddings")
    config.ignore("onnx_export", "ignore_attention_mask", "attention_probs_dropout_prob")
    config.warn(
        "An encoder: texts are read in one pass, in both directions; there is no cache and no "
        "decoding. One global token is assumed."
    )
    return Architecture(
        embedding=Embedding(
            vocabulary=rows,
            width=hidden,
            hidden=hidden,
            positions=positions,
            types=config.size("type_vocab_size", default=_TYPES, least=0),
            norm=True,
        ),
        layers=_layers(config, hidden),
        final=(
            Projection(name="lm_head.dense", inputs=hidden, outputs=hidden, bias=True),
            Norm(kind="layer_norm", width=hidden, name="lm_head.layer_norm"),
        ),
        head=Head(
            vocabulary=rows,
            width=hidden,
            hidden=hidden,
            tied=config.flag("tie_word_embeddings", True),
            bias=True,
        ),
        usable_context=max(positions - _SPARE_POSITIONS, 1),
    )


def _layers(config: Config, hidden: int) -> tuple[Layer, ...]:
    layers, heads = read_layers(config), read_heads(config, hidden)
    feed_forward = Dense(
        hidden=hidden, intermediate=config.size("intermediate_size"), gated=False, bias=True
    )
    return tuple(
        Layer(
            "band",
            (
                LongformerAttention(
                    hidden=hidden,
                    heads=heads.query,
                    window=window,
                    global_tokens=_GLOBAL_TOKENS,
                ),
                Norm(kind="layer_norm", width=hidden, name="attention.output.norm"),
                feed_forward,
                Norm(kind="layer_norm", width=hidden, name="output.norm"),
            ),
        )
        for window in _windows(config, layers)
    )


def _windows(config: Config, layers: int) -> tuple[int, ...]:
    name = "attention_window"
    if not config.is_list(name):
        entries: tuple[object, ...] = (config.size(name, default=_WINDOW),) * layers
    else:
        entries = config.entries(name) or ()
    windows = tuple(width for width in entries if _is_even(width))
    if len(windows) != layers or len(entries) != layers:
        config.refuse(name, f"an even width, or one for each of {layers:,} layers")
    return windows


def _is_even(width: object) -> TypeGuard[int]:
    if not isinstance(width, int) or isinstance(width, bool):
        return False
    return width % 2 == 0 and 0 < width <= MOST_CONTEXT_TOKENS
