"""The inverse questions: the longest context and the most sequences that fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from planner.arrays import Numeric
from planner.model import Model

MOST_TOKENS = 2**31
MOST_SEQUENCES = 2**24


def largest(fits: Callable[[int], bool], most: int) -> int:
    """Return the largest number that fits, given that larger ones only fit worse.

    Parameters
    ----------
    fits : callable
        Monotone test.
    most : int
        Upper end of the search. [1]

    Returns
    -------
    int
        Largest fitting number in 1…most; 0 if even 1 does not fit. [1]

    Examples
    --------
    >>> largest(lambda n: n * n <= 50, 1000)
    7
    """
    if fits(most):
        return most
    low, high = 0, 1
    while fits(high):
        low, high = high, min(high * 8, most)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """An inverse answer and what sets it.

    Parameters
    ----------
    value : int or None
        The largest number; None where nothing limits it. [tokens or 1]
    limited_by : str
        ``"memory"``, ``"positions"`` or ``"nothing"``.
    """

    value: int | None
    limited_by: Literal["memory", "positions", "nothing"]


class Memory(Protocol):
    """The memory of one rank: what a load is held against."""

    @property
    def model(self) -> Model:
        """The model."""
        ...

    def fits(self, context: Numeric, sequences: Numeric) -> Numeric:
        """Return whether sequences of a length fit."""
        ...


def largest_context(memory: Memory, sequences: int) -> Limit:
    """Return the longest context at which so many sequences fit together.

    Parameters
    ----------
    memory : Memory
        Memory of the fullest rank.
    sequences : int
        Sequences of one replica. [1]

    Returns
    -------
    Limit
        At most what the model's positions are good for. [tokens]
    """
    usable = memory.model.usable_context
    value = largest(lambda context: bool(memory.fits(context, sequences)), usable or MOST_TOKENS)
    if value == usable:
        return Limit(value=value, limited_by="positions")
    if value == MOST_TOKENS:
        return Limit(value=None, limited_by="nothing")
    return Limit(value=value, limited_by="memory")


def most_sequences(memory: Memory, context: int) -> Limit:
    """Return how many sequences of one context fit together on a replica.

    Parameters
    ----------
    memory : Memory
        Memory of the fullest rank.
    context : int
        Tokens in each cache. [tokens]

    Returns
    -------
    Limit
        Sequences of one replica. [1]
    """
    value = largest(lambda sequences: bool(memory.fits(context, sequences)), MOST_SEQUENCES)
    if value == MOST_SEQUENCES:
        return Limit(value=None, limited_by="nothing")
    return Limit(value=value, limited_by="memory")
