"""A layer: parts in the order of execution."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from planner.model.part import Part


@dataclass(frozen=True, slots=True)
class Layer:
    """Parts that run one after the other: norms, mixers, feed-forward blocks.

    Parameters
    ----------
    name : str
        What sets this kind of layer apart, such as ``"sliding"``.
    parts : tuple of Part
        In the order of execution.
    """

    name: str
    parts: tuple[Part, ...]


def count_layers(layers: Iterable[Layer]) -> tuple[tuple[Layer, int], ...]:
    """Return distinct layers with how often each occurs.

    Parameters
    ----------
    layers : iterable of Layer
        A stack.

    Returns
    -------
    tuple of tuple
        In order of first occurrence.

    Examples
    --------
    >>> count_layers([Layer("full", ()), Layer("full", ())])
    ((Layer(name='full', parts=()), 2),)
    """
    counts: dict[Layer, int] = {}
    for layer in layers:
        counts[layer] = counts.get(layer, 0) + 1
    return tuple(counts.items())
