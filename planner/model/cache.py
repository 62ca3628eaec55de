"""What a layer remembers of each sequence: descriptors from which any engine's bytes follow."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Protocol

from planner.arrays import Numeric, ceil_div, minimum
from planner.model.execution import Execution
from planner.model.layout import Section
from planner.model.storage import Format
from planner.units import format_bytes


class Cache(Protocol):
    """What is kept of each sequence; a new kind of cache is one class that answers these."""

    @property
    def kind(self) -> str:
        """What sets it apart."""
        ...

    def token_bytes(self, execution: Execution, *, tp: int) -> int | float:
        """Return the bytes that one more token adds on the fullest rank. [bytes]."""
        ...

    def sequence_bytes(self, context: Numeric, execution: Execution, *, tp: int) -> Numeric:
        """Return the bytes of one sequence on the fullest rank. [bytes]."""
        ...

    def share(self, context: Numeric, ranks: int) -> Numeric:
        """Return the context whose cache is what the fullest of several ranks keeps. [tokens]."""
        ...

    def describe(self, context: int, execution: Execution, *, tp: int) -> str:
        """Return how the bytes of one sequence come about, in words."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenCache:
    """Keys and values kept per token, up to a window.

    Of chunks only the newest is kept. It holds ``context mod chunk`` tokens that matter, but has
    been full on the way wherever the context is longer: the memory to set aside is that of a whole
    chunk, and grows with the context like that of a window.

    Parameters
    ----------
    kind : {"full", "sliding", "chunked"}
        Whether tokens are ever dropped: never, one by one, or a chunk at a time.
    heads : Section
        Key-value heads and how ranks share them.
    key_dim, value_dim : int
        Width of one head's key and value. [elements]
    window : int, optional
        Tokens kept at most, the newest included: a window, first tokens kept beside it, or a
        chunk; None keeps all. [tokens]
    """

    kind: Literal["full", "sliding", "chunked"]
    heads: Section
    key_dim: int
    value_dim: int
    window: int | None = None

    def tokens(self, context: Numeric) -> Numeric:
        """Return how many tokens are kept at a context.

        Parameters
        ----------
        context : numeric
            Tokens seen. [tokens]

        Returns
        -------
        numeric
            ``min(context, window)``. [tokens]

        References
        ----------
        jiang-2023

        Examples
        --------
        >>> TokenCache(
        ...     kind="sliding",
        ...     heads=Section(8, 1, "KV heads"),
        ...     key_dim=128,
        ...     value_dim=128,
        ...     window=4096,
        ... ).tokens(32768)
        4096
        """
        return context if self.window is None else minimum(context, self.window)

    def share(self, context: Numeric, ranks: int) -> Numeric:
        """Return the context whose cache is what the fullest of several ranks keeps.

        Parameters
        ----------
        context : numeric
            Tokens seen. [tokens]
        ranks : int
            Ranks that share the tokens of a sequence. [1]

        Returns
        -------
        numeric
            An even share; all of it where a window keeps few, as engines leave it. [tokens]

        Examples
        --------
        >>> cache = TokenCache(
        ...     kind="full", heads=Section(8, 1, "KV heads"), key_dim=128, value_dim=128
        ... )
        >>> cache.share(1001, 4)
        251
        """
        return context if self.window is not None else ceil_div(context, ranks)

    def token_bytes(self, execution: Execution, *, tp: int) -> int:
        """Return the bytes of one token on the fullest rank.

        Parameters
        ----------
        execution : Execution
            Gives the cache format.
        tp : int
            Tensor-parallel ranks; 1 for the whole. [1]

        Returns
        -------
        int
            ``heads · (key + value)`` in the cache format. [bytes]

        References
        ----------
        ainslie-2023

        Examples
        --------
        >>> from planner.model.execution import half
        >>> TokenCache(
        ...     kind="full", heads=Section(8, 1, "KV heads"), key_dim=128, value_dim=128
        ... ).token_bytes(half(), tp=1)
        4096
        """
        pair = execution.cache.pair_bytes(self.key_dim, self.value_dim)
        return self.heads.units_on_rank(tp) * pair

    def sequence_bytes(self, context: Numeric, execution: Execution, *, tp: int) -> Numeric:
        """Return the bytes of one sequence on the fullest rank.

        Parameters
        ----------
        context : numeric
            Tokens seen. [tokens]
        execution : Execution
            Gives the cache format.
        tp : int
            Tensor-parallel ranks; 1 for the whole. [1]

        Returns
        -------
        numeric
            Exact size. [bytes]

        Examples
        --------
        >>> from planner.model.execution import half
        >>> TokenCache(
        ...     kind="full", heads=Section(8, 1, "KV heads"), key_dim=128, value_dim=128
        ... ).sequence_bytes(1024, half(), tp=1)
        4194304
        """
        return self.stored_bytes(self.tokens(context), execution, tp=tp)

    def stored_bytes(self, tokens: Numeric, execution: Execution, *, tp: int) -> Numeric:
        """Return the bytes of so many kept tokens on the fullest rank.

        Parameters
        ----------
        tokens : numeric
            Tokens kept. [tokens]
        execution : Execution
            Gives the cache format; some keep the newest tokens in 16 bits.
        tp : int
            Tensor-parallel ranks; 1 for the whole. [1]

        Returns
        -------
        numeric
            Exact size. [bytes]

        References
        ----------
        liu-2024-kivi

        Examples
        --------
        >>> from dataclasses import replace
        >>> from planner.model.execution import half
        >>> from planner.model.storage import cache_format
        >>> cache = TokenCache(
        ...     kind="full", heads=Section(1, 1, "KV heads"), key_dim=128, value_dim=128
        ... )
        >>> cache.stored_bytes(1128, replace(half(), cache=cache_format("kivi2")), tp=1)
        161536
        """
        wide = 2 * (self.key_dim + self.value_dim) * self.heads.units_on_rank(tp)
        return execution.cache.kept_bytes(tokens, self.token_bytes(execution, tp=tp), wide)

    def describe(self, context: int, execution: Execution, *, tp: int) -> str:
        """Return how the bytes of one sequence come about, in words.

        Parameters
        ----------
        context : int
            Tokens seen. [tokens]
        execution : Execution
            Gives the cache format.
        tp : int
            Tensor-parallel ranks; 1 for the whole. [1]

        Returns
        -------
        str
            Tokens, and what makes up one.

        Examples
        --------
        >>> from planner.model.execution import half
        >>> TokenCache(
        ...     kind="full", heads=Section(8, 1, "KV heads"), key_dim=128, value_dim=128
        ... ).describe(1024, half(), tp=1)
        '1,024 tokens × 4,096 B (8 KV heads × (128 + 128) in bf16)'
        """
        return (
            f"{self.tokens(context):,} tokens × {self.token_bytes(execution, tp=tp):,} B "
            f"({self.heads.units_on_rank(tp)} KV heads × "
            f"({self.key_dim} + {self.value_dim}) in {execution.cache.name}"
            f"{execution.cache.exception})"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StateCache:
    """A state of fixed size per sequence, whatever the context.

    Parameters
    ----------
    kind : {"state", "convolution", "compressor"}
        A recurrent state, the last columns of a convolution's input, or what a compressor of
        tokens has read of the entry it is making.
    sections : tuple of Section
        The split axis.
    shape : tuple of int
        The other axes. [elements]
    format : Format, optional
        Its own format; the residual stream's without one.
    """

    kind: Literal["state", "convolution", "compressor"]
    sections: tuple[Section, ...]
    shape: tuple[int, ...]
    format: Format | None = None

    def share(self, context: Numeric, ranks: int) -> Numeric:
        """Return the context whose cache is what the fullest of several ranks keeps.

        Parameters
        ----------
        context : numeric
            Tokens seen. [tokens]
        ranks : int
            Not used: every rank keeps all of it. [1]

        Returns
        -------
        numeric
            All of it. [tokens]

        Examples
        --------
        >>> StateCache(kind="state", sections=(), shape=(1,)).share(1000, 4)
        1000
        """
        del ranks
        return context

    def token_bytes(self, execution: Execution, *, tp: int) -> int:
        """Return the bytes one more token adds: none.

        Parameters
        ----------
        execution : Execution
            Not used.
        tp : int
            Not used. [1]

        Returns
        -------
        int
            Zero. [bytes]

        Examples
        --------
        >>> from planner.model.execution import half
        >>> StateCache(kind="state", sections=(), shape=(1,)).token_bytes(half(), tp=1)
        0
        """
        del execution, tp
        return 0

    def sequence_bytes(self, context: Numeric, execution: Execution, *, tp: int) -> int:
        """Return the bytes of one sequence on the fullest rank.

        Parameters
        ----------
        context : numeric
            Not used: the state does not grow. [tokens]
        execution : Execution
            Gives the format where the state has none of its own.
        tp : int
            Tensor-parallel ranks; 1 for the whole. [1]

        Returns
        -------
        int
            Exact size. [bytes]

        References
        ----------
        dao-2024

        Examples
        --------
        >>> from planner.model.execution import half
        >>> from planner.model.storage import FP32
        >>> StateCache(
        ...     kind="state", sections=(Section(80, 64, "heads"),), shape=(128,), format=FP32
        ... ).sequence_bytes(1, half(), tp=1)
        2621440
        """
        del context
        width = sum(section.units_on_rank(tp) * section.width for section in self.sections)
        fmt = self.format or execution.stream
        return width * math.prod(self.shape) * fmt.bits // 8

    def describe(self, context: int, execution: Execution, *, tp: int) -> str:
        """Return how the bytes of one sequence come about, in words.

        Parameters
        ----------
        context : int
            Not used. [tokens]
        execution : Execution
            Gives the format where the state has none of its own.
        tp : int
            Tensor-parallel ranks; 1 for the whole. [1]

        Returns
        -------
        str
            The size, which holds at any context.

        Examples
        --------
        >>> from planner.model.execution import half
        >>> StateCache(kind="state", sections=(Section(80, 64, "heads"),), shape=(128,)).describe(
        ...     1, half(), tp=1
        ... )
        '1.25 MiB per sequence at any context'
        """
        size = self.sequence_bytes(context, execution, tp=tp)
        return f"{format_bytes(size)} per sequence at any context"
