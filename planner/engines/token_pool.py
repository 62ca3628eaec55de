"""A pool of tokens, for engines whose pages are all alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from planner.arrays import Numeric
from planner.cost.limits import largest
from planner.engines.allocation import LineItem
from planner.engines.settings import LONGEST

_MOST_SEQUENCES = 2**20


@dataclass(frozen=True, kw_only=True)
class TokenPool:
    """Room for caches, and a rule for what requests take of it.

    Parameters
    ----------
    need : callable
        Bytes that sequences of a length take, of tokens and sequences; it never falls.
    room_bytes : int
        The pool. [bytes]
    block_tokens : int
        Tokens of a page. [tokens]
    pool_tokens : int or None
        Tokens of the pool as the engine prints them; None where it prints none. [tokens]
    asked_model_len : int
        Longest request as asked for; -1 for the longest that fits. [tokens]
    positions : int
        Longest request that the model's positions admit. [tokens]
    started : int
        Sequences of the longest length that are allocated at the start; 1 elsewhere. [1]
    parts : tuple of LineItem
        How the pool is cut.
    """

    need: Callable[[Numeric, Numeric], Numeric]
    room_bytes: int
    block_tokens: int
    pool_tokens: int | None
    asked_model_len: int
    positions: int
    started: int = 1
    parts: tuple[LineItem, ...] = ()

    def need_bytes(self, context: Numeric, sequences: Numeric) -> Numeric:
        """Return what sequences of a length take of the pool.

        Parameters
        ----------
        context : numeric
            Tokens of each. [tokens]
        sequences : numeric
            How many. [1]

        Returns
        -------
        numeric
            Whole pages. [bytes]
        """
        return self.need(context, sequences)

    @property
    def blocks(self) -> int:
        """Pages of the pool. [1]."""
        return (self.reported_cache_tokens or 0) // self.block_tokens

    @property
    def reported_cache_tokens(self) -> int | None:
        """Tokens of the pool. [tokens]."""
        return self.pool_tokens

    @cached_property
    def max_model_len(self) -> int:
        """Longest request that is admitted. [tokens]."""
        return self.max_context_tokens if self.asked_model_len == LONGEST else self.asked_model_len

    @cached_property
    def max_context_tokens(self) -> int:
        """Longest request that the pool can hold. [tokens]."""
        return largest(
            lambda length: bool(self.need(length, self.started) <= self.room_bytes), self.positions
        )

    @cached_property
    def max_concurrency(self) -> float:
        """Requests of the longest length at once. [1]."""
        length = max(self.max_model_len, 1)
        return float(
            largest(lambda many: bool(self.need(length, many) <= self.room_bytes), _MOST_SEQUENCES)
        )

    @property
    def start_bytes(self) -> int:
        """Room below which the engine does not start. [bytes]."""
        return int(self.need(max(self.max_model_len, 1), self.started))

    def items(self) -> tuple[LineItem, ...]:
        """Return how the pool is cut."""
        return self.parts
