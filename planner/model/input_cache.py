"""Vectors that are kept of every token beside, or instead of, keys and values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from planner.arrays import Numeric, ceil_div
from planner.model.execution import Execution
from planner.model.layout import Section
from planner.model.storage import Format


@dataclass(frozen=True, slots=True, kw_only=True)
class InputCache:
    """Vectors of every token, in the residual stream's format.

    Parameters
    ----------
    kind : {"inputs", "indexer", "buckets"}
        Inputs that nothing smaller stands for, keys that only select others, or numbers of buckets.
    sections : tuple of Section
        What one token leaves, and how ranks share it.
    format : Format, optional
        Its own format; the residual stream's without one.
    """

    kind: Literal["inputs", "indexer", "buckets"] = "inputs"
    sections: tuple[Section, ...]
    format: Format | None = None

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
            An even share. [tokens]

        Examples
        --------
        >>> InputCache(sections=(Section(768, 3, "channels"),)).share(1001, 4)
        251
        """
        return ceil_div(context, ranks)

    def token_bytes(self, execution: Execution, *, tp: int) -> int:
        """Return the bytes one token leaves on the fullest rank.

        Parameters
        ----------
        execution : Execution
            Gives the format where it has none of its own.
        tp : int
            Tensor-parallel ranks; 1 for the whole. [1]

        Returns
        -------
        int
            Exact size. [bytes]

        References
        ----------
        poli-2023

        Examples
        --------
        >>> from planner.model.execution import half
        >>> InputCache(sections=(Section(768, 3, "channels"),)).token_bytes(half(), tp=1)
        4608
        """
        width = sum(section.units_on_rank(tp) * section.width for section in self.sections)
        return width * (self.format or execution.stream).bits // 8

    def sequence_bytes(self, context: Numeric, execution: Execution, *, tp: int) -> Numeric:
        """Return the bytes of one sequence on the fullest rank.

        Parameters
        ----------
        context : numeric
            Tokens seen. [tokens]
        execution : Execution
            Gives the format where it has none of its own.
        tp : int
            Tensor-parallel ranks; 1 for the whole. [1]

        Returns
        -------
        numeric
            Exact size. [bytes]

        Examples
        --------
        >>> from planner.model.execution import half
        >>> cache = InputCache(sections=(Section(768, 3, "channels"),))
        >>> cache.sequence_bytes(1000, half(), tp=1)
        4608000
        """
        return context * self.token_bytes(execution, tp=tp)

    def describe(self, context: int, execution: Execution, *, tp: int) -> str:
        """Return how the bytes of one sequence come about, in words.

        Parameters
        ----------
        context : int
            Tokens seen. [tokens]
        execution : Execution
            Gives the format where it has none of its own.
        tp : int
            Tensor-parallel ranks; 1 for the whole. [1]

        Returns
        -------
        str
            Tokens, and what makes up one.

        Examples
        --------
        >>> from planner.model.execution import half
        >>> InputCache(sections=(Section(768, 3, "channels"),)).describe(10, half(), tp=1)
        '10 tokens × 4,608 B of inputs'
        """
        return f"{context:,} tokens × {self.token_bytes(execution, tp=tp):,} B of {self.kind}"
