"""What configurations of encoders with decoders have in common."""

from __future__ import annotations

from typing import Literal, NamedTuple

from planner.importers.config import Config
from planner.model.bounds import MOST_LAYERS
from planner.model.feed_forward import Dense


class Side(NamedTuple):
    """An encoder's or a decoder's figures.

    ``layers`` and ``heads`` count [1]; ``feed_forward`` is plain, with biases.
    """

    layers: int
    heads: int
    feed_forward: Dense


def read_side(config: Config, side: Literal["encoder", "decoder"], hidden: int) -> Side:
    """Return the figures of one side.

    Parameters
    ----------
    config : Config
        The configuration.
    side : {"encoder", "decoder"}
        Which one.
    hidden : int
        Width of the residual stream. [elements]

    Returns
    -------
    Side
        Heads share the hidden width evenly.

    Raises
    ------
    SpecError
        A figure is missing or unusable.

    Examples
    --------
    >>> tiny = {"encoder_layers": 4, "encoder_attention_heads": 6, "encoder_ffn_dim": 1536}
    >>> read_side(Config(tiny, "config.json"), "encoder", 384).heads
    6
    """
    heads = config.size(f"{side}_attention_heads")
    if hidden % heads:
        config.refuse(f"{side}_attention_heads", f"a divisor of the hidden width, {hidden:,}")
    return Side(
        layers=config.size(f"{side}_layers", most=MOST_LAYERS),
        heads=heads,
        feed_forward=Dense(
            hidden=hidden, intermediate=config.size(f"{side}_ffn_dim"), gated=False, bias=True
        ),
    )


def warn_source(config: Config, tokens: int) -> None:
    """Leave a note on how long the encoder's input is taken to be.

    Parameters
    ----------
    config : Config
        The configuration.
    tokens : int
        Length. [tokens]

    Examples
    --------
    >>> config = Config({}, "config.json")
    >>> warn_source(config, 512)
    >>> config.warnings[0][:41]
    'The encoder is planned with inputs of 512'
    """
    config.warn(
        f"The encoder is planned with inputs of {tokens:,} tokens; contexts are those of the "
        f"decoder."
    )
