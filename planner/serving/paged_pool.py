"""The blocks of a cache pool while sequences grow in it, without looking at each sequence.

A sequence takes a new block whenever its length is a multiple of the block. All sequences grow by
one token a step, so each has a fixed turn in a round of ``block_tokens`` steps; counting how many
have which turn tells the blocks that any number of steps will take.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CachePool:
    """Room for caches on one replica, in blocks of tokens.

    Parameters
    ----------
    blocks : int or None
        Blocks of the pool; None where nothing limits it. [1]
    block_tokens : int
        Tokens of one block. [tokens]
    sequence_blocks : int
        Blocks that each sequence takes whatever its length, for states. [1]
    """

    blocks: int | None
    block_tokens: int = 16
    sequence_blocks: int = 0

    def of_tokens(self, tokens: int) -> int:
        """Return the blocks of one sequence.

        Parameters
        ----------
        tokens : int
            Tokens in its cache. [tokens]

        Returns
        -------
        int
            Whole blocks. [1]

        Examples
        --------
        >>> CachePool(blocks=100).of_tokens(17)
        2
        """
        return self.sequence_blocks - (-tokens // self.block_tokens)

    @property
    def tokens(self) -> float:
        """Tokens that fit, states aside. [tokens]."""
        return float("inf") if self.blocks is None else float(self.blocks * self.block_tokens)


class PoolState:
    """What is taken of a pool now.

    Parameters
    ----------
    pool : CachePool
        The pool.
    """

    __slots__ = ("_groups", "_idle", "_turns", "blocks", "peak", "pool", "size", "used")

    def __init__(self, pool: CachePool) -> None:
        self.pool = pool
        self.blocks = 2**62 if pool.blocks is None else pool.blocks
        self.size = pool.block_tokens
        self.used = 0
        self.peak = 0
        self._turns = [0] * (2 * self.size)
        self._groups: dict[int, list[int]] = {}
        self._idle: OrderedDict[int, None] = OrderedDict()

    def take(self, blocks: int) -> None:
        """Take blocks; negative ones are given back. [1]."""
        self.used += blocks
        self.peak = max(self.peak, self.used)

    def join(self, step: int, tokens: int) -> None:
        """Let a sequence of so many tokens grow from a step on."""
        turn = (step - tokens) % self.size
        self._turns[turn] += 1
        self._turns[turn + self.size] += 1

    def leave(self, step: int, tokens: int) -> None:
        """End the growth of a sequence that joined at ``step`` with ``tokens``."""
        turn = (step - tokens) % self.size
        self._turns[turn] -= 1
        self._turns[turn + self.size] -= 1

    def growth(self, step: int, steps: int, running: int) -> int:
        """Return the blocks that so many steps take from ``step`` on. [1]."""
        rounds, rest = divmod(steps, self.size)
        if not rest:
            return rounds * running
        at = step % self.size
        return rounds * running + sum(self._turns[at : at + rest])

    def most_steps(self, step: int, running: int) -> int:
        """Return how many steps the pool has room for from ``step`` on. [1]."""
        rounds, free = divmod(self.blocks - self.used, running)
        at = step % self.size
        steps = rounds * self.size
        for turn in self._turns[at : at + self.size]:
            if turn > free:
                break
            free -= turn
            steps += 1
        return steps

    def hit_blocks(self, group: int) -> int:
        """Return the blocks of a prefix that are in the pool now. [1]."""
        held = self._groups.get(group)
        return held[0] if held else 0

    def hold(self, group: int, blocks: int) -> int:
        """Use a prefix; return how many of its blocks the user need not keep itself. [1]."""
        held = self._groups.get(group)
        if held is None:
            if blocks:
                self._groups[group] = [blocks, 1]
            return 0
        held[1] += 1
        self._idle.pop(group, None)
        return min(blocks, held[0])

    def release(self, group: int) -> None:
        """End a use of a prefix; without users it stays until its room is needed."""
        held = self._groups.get(group)
        if held is not None:
            held[1] -= 1
            if held[1] == 0:
                self._idle[group] = None

    def make_room(self, blocks: int) -> bool:
        """Drop unused prefixes, the longest unused first; return whether so much is free."""
        while self.blocks - self.used < blocks and self._idle:
            group, _ = self._idle.popitem(last=False)
            self.used -= self._groups.pop(group)[0]
        return self.blocks - self.used >= blocks


__all__ = ["CachePool", "PoolState"]
