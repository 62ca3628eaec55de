"""What configurations of decoders have in common: dimensions, blocks, the stack around them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

from planner.errors import UnsupportedConfigError
from planner.importers.config import Config
from planner.importers.registry import Architecture
from planner.model import Layer
from planner.model.bounds import MOST_LAYERS
from planner.model.embedding import Embedding, Head
from planner.model.feed_forward import Dense, MixtureOfExperts
from planner.model.mixers.attention import Attention
from planner.model.norm import Norm

NormKind = Literal["rms_norm", "layer_norm"]

_ATTENTION_KINDS = ("full_attention", "sliding_attention")


class Heads(NamedTuple):
    """Heads of an attention layer.

    ``query`` and ``kv`` count heads [1]; ``dim`` is their width [elements].
    """

    query: int
    kv: int
    dim: int


def read_hidden(config: Config) -> int:
    """Return the width of the residual stream.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    int
        Width. [elements]

    Raises
    ------
    SpecError
        Missing, or out of range.

    Examples
    --------
    >>> read_hidden(Config({"d_model": 512}, "config.json"))
    512
    """
    return config.size("hidden_size", "n_embd", "d_model", "n_embed")


def read_layers(config: Config) -> int:
    """Return the number of layers.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    int
        Layers. [1]

    Raises
    ------
    SpecError
        Missing, or out of range.

    Examples
    --------
    >>> read_layers(Config({"n_layer": 12}, "config.json"))
    12
    """
    return config.size("num_hidden_layers", "n_layer", "n_layers", "num_layers", most=MOST_LAYERS)


def read_heads(
    config: Config,
    hidden: int,
    *,
    kv_heads: int | None = None,
    head_dim: int | None = None,
    query_heads: int | None = None,
) -> Heads:
    """Return query heads, KV heads and their width.

    Parameters
    ----------
    config : Config
        The configuration.
    hidden : int
        Width of the residual stream. [elements]
    kv_heads : int, optional
        KV heads where the field is missing; as many as query heads without it. [1]
    head_dim : int, optional
        Width where the field is missing; the residual stream's share without it. [elements]
    query_heads : int, optional
        Query heads where the field is missing; an error without it. [1]

    Returns
    -------
    Heads
        Groups of query heads share a KV head evenly.

    Raises
    ------
    SpecError
        Missing, out of range, or not evenly shared.

    Examples
    --------
    >>> read_heads(Config({"num_attention_heads": 32}, "config.json"), 4096)
    Heads(query=32, kv=32, dim=128)
    """
    query = config.size("num_attention_heads", "n_head", "n_heads", default=query_heads)
    kv = config.optional_size("num_key_value_heads")
    if kv is None:
        kv = query if "num_key_value_heads" in config else kv_heads or query
    if query % kv:
        config.refuse("num_key_value_heads", f"a divisor of the {query:,} query heads")
    dim = config.optional_size("head_dim") or head_dim
    if dim is None:
        if hidden % query:
            config.refuse("num_attention_heads", f"a divisor of the hidden width, {hidden:,}")
        dim = hidden // query
    return Heads(query, kv, dim)


def read_layer_types(config: Config, layers: int) -> tuple[bool, ...] | None:
    """Return which layers have a window, where the file lists the kinds of its layers.

    Parameters
    ----------
    config : Config
        The configuration.
    layers : int
        Number of layers. [1]

    Returns
    -------
    tuple of bool or None
        One entry per layer; None where the file has no list.

    Raises
    ------
    SpecError
        The list has another length.
    UnsupportedConfigError
        It names a kind of layer that the family does not know.

    Examples
    --------
    >>> read_layer_types(Config({"layer_types": ["full_attention"]}, "config.json"), 1)
    (False,)
    """
    kinds = config.entries("layer_types")
    if kinds is None:
        return None
    if len(kinds) != layers:
        config.refuse("layer_types", f"one entry for each of the {layers:,} layers")
    for kind in kinds:
        if kind not in _ATTENTION_KINDS:
            raise UnsupportedConfigError(
                "a kind of layer that is not modelled here",
                where=config.place("layer_types"),
                got=kind,
                allowed=" or ".join(_ATTENTION_KINDS),
            )
    return tuple(kind == "sliding_attention" for kind in kinds)


def stack(
    pairs: Sequence[tuple[Attention, Dense | MixtureOfExperts]],
    hidden: int,
    kind: NormKind = "rms_norm",
) -> list[Layer]:
    """Return the common blocks: a norm before attention and one before the feed-forward part.

    Parameters
    ----------
    pairs : sequence of tuple
        Attention and feed-forward part of each layer, in order.
    hidden : int
        Width of the residual stream. [elements]
    kind : {"rms_norm", "layer_norm"}
        Kind of the norms.

    Returns
    -------
    list of Layer
        Named after what sets them apart.

    Examples
    --------
    >>> pair = (
    ...     Attention(hidden=8, query_heads=1, kv_heads=1, head_dim=8),
    ...     Dense(hidden=8, intermediate=8),
    ... )
    >>> len(stack([pair], 8)[0].parts)
    4
    """
    before = Norm(kind=kind, width=hidden, name="input_layernorm")
    between = Norm(kind=kind, width=hidden, name="post_attention_layernorm")
    return [
        Layer(name, (before, attention, between, feed_forward))
        for name, (attention, feed_forward) in zip(block_names(pairs), pairs, strict=True)
    ]


def block_names(pairs: Sequence[tuple[Attention, Dense | MixtureOfExperts]]) -> list[str]:
    """Return a name for each layer that says what sets its kind apart within the model.

    Parameters
    ----------
    pairs : sequence of tuple
        Attention and feed-forward part of each layer, in order.

    Returns
    -------
    list of str
        ``full``, ``sliding`` or ``chunked``, ``moe`` or ``dense``, or two words where both vary.

    Examples
    --------
    >>> block_names(
    ...     [
    ...         (
    ...             Attention(hidden=8, query_heads=1, kv_heads=1, head_dim=8, window=4),
    ...             Dense(hidden=8, intermediate=8),
    ...         )
    ...     ]
    ... )
    ['sliding']
    """
    reaches = [_reach(attention) for attention, _ in pairs]
    kinds = {feed_forward.kind for _, feed_forward in pairs}
    by_reach = len(set(reaches)) > 1 or kinds == {"dense"}
    by_kind = len(kinds) > 1 or not by_reach
    return [
        "-".join(([reach] if by_reach else []) + ([feed_forward.kind] if by_kind else []))
        for reach, (_, feed_forward) in zip(reaches, pairs, strict=True)
    ]


def _reach(attention: Attention) -> str:
    if attention.chunk is not None:
        return "chunked"
    return "full" if attention.window is None else "sliding"


def read_experts(config: Config, hidden: int, *, intermediate: int) -> MixtureOfExperts:
    """Return gated experts without biases, as most families have them.

    Parameters
    ----------
    config : Config
        The configuration.
    hidden, intermediate : int
        Width of the residual stream and inside one expert. [elements]

    Returns
    -------
    MixtureOfExperts
        The router and its experts.

    Raises
    ------
    SpecError
        A figure is missing or out of range.

    Examples
    --------
    >>> config = Config({"num_local_experts": 8, "num_experts_per_tok": 2}, "config.json")
    >>> read_experts(config, 4096, intermediate=14336).top_k
    2
    """
    experts = config.size("num_local_experts", "num_experts")
    top_k = config.size("num_experts_per_tok", "experts_per_token", most=experts)
    return MixtureOfExperts(hidden=hidden, intermediate=intermediate, experts=experts, top_k=top_k)


def assemble(
    config: Config,
    layers: Sequence[Layer],
    *,
    hidden: int,
    tied: bool,
    usable_context: int | None,
    norm: NormKind | Norm = "rms_norm",
    head_bias: bool = False,
    vocabulary: int | None = None,
    dtype: str | None = None,
    mtp: tuple[Layer, ...] = (),
) -> Architecture:
    """Return a decoder: token table, stack, a last norm, LM head.

    Parameters
    ----------
    config : Config
        The configuration.
    layers : sequence of Layer
        The stack, in order.
    hidden : int
        Width of the residual stream. [elements]
    tied : bool
        Whether the token table serves as the head where the file does not say so.
    usable_context : int or None
        Tokens the positions are good for. [tokens]
    norm : Norm or {"rms_norm", "layer_norm"}
        The last norm, or its kind.
    head_bias : bool
        Whether logits have a bias.
    vocabulary : int, optional
        Rows of the token table where the field is missing; an error without it. [1]
    dtype : str, optional
        Format of the published weights where the family's files do not say it.
    mtp : tuple of Layer
        Layers for multi-token prediction, beside the stack.

    Returns
    -------
    Architecture
        The network.

    Raises
    ------
    SpecError
        The vocabulary is missing or out of range.

    Examples
    --------
    >>> config = Config({"vocab_size": 32000, "tie_word_embeddings": True}, "config.json")
    >>> assemble(config, (), hidden=8, tied=False, usable_context=512).head.tied
    True
    """
    rows = config.size("vocab_size", default=vocabulary)
    tied = config.flag("tie_word_embeddings", tied)
    last = norm if isinstance(norm, Norm) else Norm(kind=norm, width=hidden)
    return Architecture(
        embedding=Embedding(vocabulary=rows, width=hidden, hidden=hidden),
        layers=tuple(layers),
        final=(replace(last, name="norm"),),
        head=Head(vocabulary=rows, width=hidden, hidden=hidden, tied=tied, bias=head_bias),
        usable_context=usable_context,
        dtype=dtype,
        mtp=mtp,
    )
