"""Attention with grouped heads, and which of its layers have windows, in configuration files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from planner.importers.config import Config
from planner.importers.decoder import assemble, read_heads, read_layer_types
from planner.importers.position import rotated_dim, usable_context
from planner.importers.registry import Architecture
from planner.importers.stacks import named, read_mtp, warn_of_mtp
from planner.model.mixers.attention import Attention, QKNorm
from planner.model.norm import Norm
from planner.model.part import Part

Norms = Literal["before", "after", "around"]
"""Where a block has norms: before its two parts, after them, or on both sides."""


def read_grouped_attention(
    config: Config,
    hidden: int,
    *,
    kv_heads: int | None = None,
    head_dim: int | None = None,
    bias: bool = False,
    output_bias: bool | None = None,
    qk_norm: QKNorm = "none",
    rotary_share: float = 1.0,
) -> Attention:
    """Return attention without a window.

    Parameters
    ----------
    config : Config
        The configuration.
    hidden : int
        Width of the residual stream. [elements]
    kv_heads : int, optional
        KV heads where the field is missing; as many as query heads without it. [1]
    head_dim : int, optional
        Width of a head where the field is missing. [elements]
    bias : bool
        Whether projections have biases where the file does not say so.
    output_bias : bool, optional
        Whether the output projection has one; as the others without it.
    qk_norm : str
        How queries and keys are normalised.
    rotary_share : float
        Share of a head that is rotated where the file does not say so. [1]

    Returns
    -------
    Attention
        Groups of query heads share a KV head.

    Raises
    ------
    SpecError
        A figure is missing or unusable.

    Examples
    --------
    >>> config = Config({"num_attention_heads": 8, "num_key_value_heads": 2}, "config.json")
    >>> read_grouped_attention(config, 512).head_dim
    64
    """
    heads = read_heads(config, hidden, kv_heads=kv_heads, head_dim=head_dim)
    biased = config.flag("attention_bias", bias)
    share = rotated_dim(config, heads.dim, default=rotary_share)
    said = config.optional_size("rotary_dim", most=heads.dim)
    if said is not None:
        share = said if said < heads.dim else None
    return Attention(
        hidden=hidden,
        query_heads=heads.query,
        kv_heads=heads.kv,
        head_dim=heads.dim,
        qkv_bias=biased,
        output_bias=biased if output_bias is None else output_bias,
        qk_norm=qk_norm,
        rotary_dim=share,
    )


def read_windowed(
    config: Config,
    attention: Attention,
    layers: int,
    *,
    pattern: Sequence[bool] | None = None,
    window: int | None = None,
) -> list[Attention]:
    """Return the attention of each layer, with a window where the file lists one.

    Parameters
    ----------
    config : Config
        The configuration.
    attention : Attention
        What layers have in common.
    layers : int
        Number of layers. [1]
    pattern : sequence of bool, optional
        Which layers have a window where the file has no ``layer_types``.
    window : int, optional
        The window where the field is missing. [tokens]

    Returns
    -------
    list of Attention
        One per layer.

    Raises
    ------
    SpecError
        A layer has a window and the file does not say which.

    Examples
    --------
    >>> attention = Attention(hidden=8, query_heads=1, kv_heads=1, head_dim=8)
    >>> config = Config(
    ...     {"layer_types": ["sliding_attention", "full_attention"], "sliding_window": 4},
    ...     "config.json",
    ... )
    >>> [part.window for part in read_windowed(config, attention, 2)]
    [4, None]
    """
    sliding = read_layer_types(config, layers)
    if sliding is None:
        sliding = tuple(pattern or (False,) * layers)
    if not any(sliding):
        config.ignore("sliding_window", "sliding_window_size")
        return [attention] * layers
    size = config.optional_size("sliding_window") or window
    if size is None:
        config.refuse("sliding_window", "a number of tokens: some layers have a window")
    narrow = replace(attention, window=size)
    return [narrow if slides else attention for slides in sliding]


def expert_decoder(
    config: Config,
    mixers: Sequence[tuple[Part, ...]],
    feed_forward: Sequence[Part],
    hidden: int,
    *,
    norms: Norms = "before",
    tied: bool = False,
    context: int | None = None,
    mtp: bool = False,
    mtp_names: tuple[str, ...] = ("num_nextn_predict_layers", "num_mtp_modules"),
) -> Architecture:
    """Return a decoder of blocks with a mixer and a feed-forward part each.

    Parameters
    ----------
    config : Config
        The configuration.
    mixers : sequence of tuple of Part
        What mixes tokens in each layer: an attention, and an indexer before it.
    feed_forward : sequence of Part
        Feed-forward part of each layer.
    hidden : int
        Width of the residual stream. [elements]
    norms : {"before", "after", "around"}
        Where the norms of a block stand.
    tied : bool
        Whether the token table serves as the head where the file does not say so.
    context : int, optional
        Positions where the field is missing; an error without it. [tokens]
    mtp : bool
        Whether layers for multi-token prediction are built as DeepSeek-V3 builds them; if not,
        their number leaves a note.
    mtp_names : tuple of str
        Fields that count them.

    Returns
    -------
    Architecture
        The network.

    Raises
    ------
    SpecError
        A figure is missing or unusable.

    Examples
    --------
    >>> from planner.model.feed_forward import Dense
    >>> attention = Attention(hidden=8, query_heads=1, kv_heads=1, head_dim=8)
    >>> config = Config({"vocab_size": 16, "max_position_embeddings": 32}, "config.json")
    >>> network = expert_decoder(config, [(attention,)], [Dense(hidden=8, intermediate=8)], 8)
    >>> len(network.layers), network.usable_context
    (1, 32)
    """
    stack = named(
        [
            (*_normed(mixer, "attention", hidden, norms), *_normed((part,), "mlp", hidden, norms))
            for mixer, part in zip(mixers, feed_forward, strict=True)
        ]
    )
    beside = read_mtp(config, stack[-1], hidden, *mtp_names[:1]) if mtp and stack else ()
    warn_of_mtp(config, *mtp_names[1 if mtp else 0 :])
    return assemble(
        config,
        stack,
        hidden=hidden,
        tied=tied,
        usable_context=usable_context(config, default=context),
        mtp=beside,
    )


def _normed(parts: tuple[Part, ...], name: str, hidden: int, norms: Norms) -> tuple[Part, ...]:
    before = Norm(kind="rms_norm", width=hidden, name=f"pre_{name}_norm")
    after = Norm(kind="rms_norm", width=hidden, name=f"post_{name}_norm")
    return (
        *((before,) if norms in ("before", "around") else ()),
        *parts,
        *((after,) if norms in ("after", "around") else ()),
    )
