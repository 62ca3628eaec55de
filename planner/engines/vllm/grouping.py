"""Layers that own blocks together."""

from __future__ import annotations

from dataclasses import dataclass

from planner.arrays import Numeric
from planner.engines.vllm.specs import LayerSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Layers whose pages make up one block.

    Parameters
    ----------
    layers : tuple of LayerSpec
        Its layers.
    """

    layers: tuple[LayerSpec, ...]

    @property
    def page_bytes(self) -> int:
        """One block of all its layers. [bytes]."""
        return sum(layer.page_bytes for layer in self.layers)

    @property
    def block_tokens(self) -> int:
        """Tokens of a block. [tokens]."""
        return min(layer.block_tokens for layer in self.layers)

    def blocks(self, length: Numeric, in_flight_tokens: int) -> Numeric:
        """Return the blocks that one request may take at most. [1]."""
        return self.layers[0].blocks(length, in_flight_tokens)


def group_layers(layers: tuple[LayerSpec, ...]) -> tuple[Group, ...]:
    """Return the groups.

    Parameters
    ----------
    layers : tuple of LayerSpec
        Every cache of the model.

    Returns
    -------
    tuple of Group
        One for equal layers.
    """
    return (Group(layers=layers),)
