"""What one layer keeps, as pages of vLLM."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from planner.arrays import Numeric, ceil_div, minimum

Kind = Literal["full", "latent", "sliding", "latent_window", "chunked", "state", "cross"]

_PROMOTED: dict[Kind, Kind] = {"sliding": "full", "chunked": "full", "latent_window": "latent"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What a request may ask of a layer's blocks.

    Parameters
    ----------
    in_flight_tokens : int
        Tokens that are scheduled but not yet computed; their blocks are held. [tokens]
    encoder_tokens : int
        Most tokens of another sequence. [tokens]
    """

    in_flight_tokens: int
    encoder_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerSpec:
    """One cache of one layer on one rank.

    Parameters
    ----------
    layer : int
        Which layer of the stack; no part of what sets specs apart. [1]
    kind : str
        How blocks are asked for: per token, within a window or a chunk, or a state at a time.
    block_tokens : int
        Tokens of a block. [tokens]
    entry_bytes : int
        One entry of all heads of the rank; a whole state. [bytes]
    shape : tuple of int
        Heads and widths.
    stride : int
        Tokens that one entry stands for. [tokens]
    window : int or None
        Tokens kept. [tokens]
    state_blocks : int
        Blocks that a request takes whatever its length. [1]
    everywhere : bool
        Whether a state is kept at the end of every block besides.
    align_bytes : int
        What a page is rounded up to a multiple of. [bytes]
    padded_bytes : int or None
        Size that a page is padded to. [bytes]
    token_ranks : int
        Ranks that share the tokens of the cache. [1]
    """

    layer: int = field(compare=False)
    kind: Kind
    block_tokens: int
    entry_bytes: int
    shape: tuple[int, ...] = ()
    stride: int = 1
    window: int | None = None
    state_blocks: int = 0
    everywhere: bool = False
    align_bytes: int = 1
    padded_bytes: int | None = None
    token_ranks: int = 1

    @property
    def content_bytes(self) -> int:
        """One page without padding. [bytes]."""
        if self.kind == "state":
            return self.entry_bytes
        return self.block_tokens // self.stride * self.entry_bytes

    @property
    def page_bytes(self) -> int:
        """One block of this layer. [bytes]."""
        if self.padded_bytes is not None:
            return self.padded_bytes
        return -(-self.content_bytes // self.align_bytes) * self.align_bytes

    def blocks(self, length: Numeric, demand: Demand) -> Numeric:
        """Return the blocks that one request may take at most.

        Parameters
        ----------
        length : numeric
            Prompt and output. [tokens]
        demand : Demand
            What is in flight.

        Returns
        -------
        numeric
            Whole blocks. [1]

        Examples
        --------
        >>> gemma = LayerSpec(
        ...     layer=0, kind="sliding", block_tokens=16, entry_bytes=8192, window=1024
        ... )
        >>> gemma.blocks(131072, Demand(in_flight_tokens=16384, encoder_tokens=0))
        1089
        """
        if self.kind == "state":
            ends = ceil_div(length, self.block_tokens) if self.everywhere else 0
            return self.state_blocks + ends
        if self.kind == "cross":
            return ceil_div(demand.encoder_tokens, self.block_tokens)
        if self.window is None or self.kind in ("full", "latent"):
            return ceil_div(ceil_div(length, self.token_ranks), self.block_tokens)
        if self.kind == "chunked":
            held = minimum(self.window + demand.in_flight_tokens, length)
            return ceil_div(held, self.block_tokens)
        held = minimum(self.window - 1 + demand.in_flight_tokens, length)
        return ceil_div(held, self.block_tokens) + 1

    def promoted(self, block_tokens: int | None) -> LayerSpec:
        """Return the spec as one that keeps every token, as without the hybrid manager.

        Parameters
        ----------
        block_tokens : int or None
            Block of the layers that keep every token anyway. [tokens]

        Returns
        -------
        LayerSpec
            Itself where it does so already, or keeps a state.
        """
        if self.kind not in _PROMOTED:
            return self
        return replace(
            self, kind=_PROMOTED[self.kind], block_tokens=block_tokens or self.block_tokens
        )
