"""Which reader understands which kind of tower; one file of ``towers`` each."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from planner.errors import UnsupportedConfigError
from planner.importers.config import Config
from planner.model import Layer
from planner.model.feed_forward import Dense
from planner.model.mixers.attention import Attention
from planner.model.norm import Norm
from planner.model.part import Part

_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """A tower without what joins it to a language model.

    Parameters
    ----------
    layers : tuple of Layer
        In order.
    width : int
        Width of what comes out. [elements]
    pooled : int
        Patches that are averaged to one row before they are joined to the language model. [1]
    """

    layers: tuple[Layer, ...]
    width: int
    pooled: int = 1


Reader = Callable[[Config], Stack]

_BY_TYPE: dict[str, Reader] = {}


def tower(*model_types: str) -> Callable[[Reader], Reader]:
    """Return a decorator that registers a reader of towers.

    Parameters
    ----------
    *model_types : str
        Values of ``model_type`` in a tower's section that it understands.

    Returns
    -------
    callable
        Returns the reader as it is.

    Raises
    ------
    ValueError
        Another reader has one of the names.

    Examples
    --------
    >>> first = tower_types()[0]
    >>> tower(first)(lambda config: None)
    Traceback (most recent call last):
        ...
    ValueError: two readers for clip_vision_model
    """

    def register(reader: Reader) -> Reader:
        for name in model_types:
            if name in _BY_TYPE:
                raise ValueError(f"two readers for {name}")
            _BY_TYPE[name] = reader
        return reader

    return register


@functools.cache
def _towers() -> None:
    """Import every file of ``towers``, which registers its readers."""
    package = importlib.import_module("planner.importers.towers")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")


def tower_types() -> list[str]:
    """Return the kinds of towers that are understood.

    Returns
    -------
    list of str
        Values of ``model_type``, sorted.

    Examples
    --------
    >>> "siglip_vision_model" in tower_types()
    True
    """
    _towers()
    return sorted(_BY_TYPE)


def read_tower(section: Config, default: str, *, kind: str | None = None) -> Stack:
    """Return the tower that a section describes.

    Parameters
    ----------
    section : Config
        Such as ``vision_config``.
    default : str
        ``model_type`` of a section that does not name its own.
    kind : str, optional
        What the tower is, whatever its section says.

    Returns
    -------
    Stack
        Without what joins it to the language model.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    UnsupportedConfigError
        No reader understands this kind; names it and those that are understood.
    """
    _towers()
    kind = kind or section.text("model_type") or default
    if kind not in _BY_TYPE:
        raise UnsupportedConfigError(
            "a tower that is not modelled",
            where=section.place("model_type"),
            got=kind,
            allowed=", ".join(sorted(_BY_TYPE)),
        )
    section.ignore("tie_word_embeddings")
    return _BY_TYPE[kind](section)


def tower_block(
    *,
    hidden: int,
    heads: int,
    intermediate: int,
    norm: Norm,
    bias: bool = True,
    mlp_bias: bool | None = None,
    gated: bool = False,
    attention: Mapping[str, Any] = _NOTHING,
) -> tuple[Part, ...]:
    """Return the usual layer of a tower: attention both ways and a feed-forward part.

    Parameters
    ----------
    hidden, intermediate : int
        Width of the stream and inside the feed-forward part. [elements]
    heads : int
        Query heads, and KV heads; they share the width evenly. [1]
    norm : Norm
        What the norm before each part is like.
    bias, mlp_bias : bool
        Biases of attention and, where they differ, of the feed-forward part.
    gated : bool
        Whether the feed-forward part is.
    attention : mapping
        Further fields of the attention part.

    Returns
    -------
    tuple of Part
        A norm before each part.

    References
    ----------
    dosovitskiy-2021

    Examples
    --------
    >>> norm = Norm(kind="layer_norm", width=1024)
    >>> clip = tower_block(hidden=1024, heads=16, intermediate=4096, norm=norm)
    >>> sum(t.elements for part in clip for t in part.tensors())
    12596224
    """
    fields = {
        "query_heads": heads,
        "kv_heads": heads,
        "head_dim": hidden // heads,
        "qkv_bias": bias,
        "output_bias": bias,
        "rotary": False,
        **attention,
    }
    return (
        norm,
        Attention(hidden=hidden, causal=False, **fields),
        norm,
        Dense(
            hidden=hidden,
            intermediate=intermediate,
            gated=gated,
            bias=bias if mlp_bias is None else mlp_bias,
        ),
    )


def read_tower_heads(config: Config, hidden: int, *names: str, default: int | None = None) -> int:
    """Return the heads of a tower.

    Parameters
    ----------
    config : Config
        The tower's section.
    hidden : int
        Width that they share evenly. [elements]
    *names : str
        The field and its other names.
    default : int, optional
        Value of a missing field. [1]

    Returns
    -------
    int
        Heads. [1]

    Raises
    ------
    SpecError
        Missing, out of range, or no divisor of the width.

    Examples
    --------
    >>> read_tower_heads(Config({"num_heads": 16}, "config.json"), 1280, "num_heads")
    16
    """
    heads = config.size(*names, default=default)
    if hidden % heads:
        config.refuse(names[0], f"a divisor of the width, {hidden:,}")
    return heads
