"""Keys and values that do not grow with what is decoded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from planner.arrays import Numeric
from planner.model.cache import TokenCache
from planner.model.execution import Execution
from planner.model.layout import Section


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderCache:
    """Keys and values of another sequence: an encoder's output, or the tokens of an image.

    They are made once, and stay as they are whatever is decoded after.

    Parameters
    ----------
    kind : {"encoder"}
        What sets it apart.
    heads : Section
        Key-value heads and how ranks share them.
    key_dim, value_dim : int
        Width of one head's key and value. [elements]
    tokens : int
        Length of the other sequence. [tokens]
    """

    kind: Literal["encoder"] = "encoder"
    heads: Section
    key_dim: int
    value_dim: int
    tokens: int

    def _each(self) -> TokenCache:
        return TokenCache(
            kind="full", heads=self.heads, key_dim=self.key_dim, value_dim=self.value_dim
        )

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
        >>> EncoderCache(
        ...     heads=Section(20, 1, "KV heads"), key_dim=64, value_dim=64, tokens=1500
        ... ).share(1000, 4)
        1000
        """
        del ranks
        return context

    def token_bytes(self, execution: Execution, *, tp: int) -> int:
        """Return the bytes one more decoded token adds: none.

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
        >>> whisper = EncoderCache(
        ...     heads=Section(20, 1, "KV heads"), key_dim=64, value_dim=64, tokens=1500
        ... )
        >>> whisper.token_bytes(half(), tp=1)
        0
        """
        del execution, tp
        return 0

    def encoder_token_bytes(self, execution: Execution, *, tp: int) -> int:
        """Return the bytes of one token of the other sequence on the fullest rank.

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

        Examples
        --------
        >>> from planner.model.execution import half
        >>> EncoderCache(
        ...     heads=Section(20, 1, "KV heads"), key_dim=64, value_dim=64, tokens=1500
        ... ).encoder_token_bytes(half(), tp=1)
        5120
        """
        return self._each().token_bytes(execution, tp=tp)

    def sequence_bytes(self, context: Numeric, execution: Execution, *, tp: int) -> int:
        """Return the bytes of one sequence on the fullest rank.

        Parameters
        ----------
        context : numeric
            Not used: decoded tokens add nothing. [tokens]
        execution : Execution
            Gives the cache format.
        tp : int
            Tensor-parallel ranks; 1 for the whole. [1]

        Returns
        -------
        int
            Exact size. [bytes]

        References
        ----------
        vaswani-2017

        Examples
        --------
        >>> from planner.model.execution import half
        >>> EncoderCache(
        ...     heads=Section(20, 1, "KV heads"), key_dim=64, value_dim=64, tokens=1500
        ... ).sequence_bytes(1, half(), tp=1)
        7680000
        """
        del context
        return int(self._each().stored_bytes(self.tokens, execution, tp=tp))

    def describe(self, context: int, execution: Execution, *, tp: int) -> str:
        """Return how the bytes of one sequence come about, in words.

        Parameters
        ----------
        context : int
            Not used. [tokens]
        execution : Execution
            Gives the cache format.
        tp : int
            Tensor-parallel ranks; 1 for the whole. [1]

        Returns
        -------
        str
            Tokens of the other sequence, and what makes up one.

        Examples
        --------
        >>> from planner.model.execution import half
        >>> EncoderCache(
        ...     heads=Section(20, 1, "KV heads"), key_dim=64, value_dim=64, tokens=1500
        ... ).describe(1, half(), tp=1)
        '1,500 tokens × 5,120 B (20 KV heads × (64 + 64) in bf16) of the other sequence'
        """
        del context
        return f"{self._each().describe(self.tokens, execution, tp=tp)} of the other sequence"
