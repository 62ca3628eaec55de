"""vLLM's pool: groups of layers that share blocks, and what requests take of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from planner.arrays import Numeric
from planner.cost.limits import MOST_TOKENS, largest
from planner.engines.allocation import LineItem
from planner.engines.settings import LONGEST
from planner.engines.vllm.grouping import Group
from planner.engines.vllm.specs import Demand
from planner.units import format_bytes

_SOURCE = "vllm-kv-planning"


@dataclass(frozen=True, kw_only=True)
class VllmPool:
    """Blocks that all groups of layers share.

    Parameters
    ----------
    groups : tuple of Group
        Layers that take blocks together.
    stages : tuple of range
        Layers of each pipeline stage. [1]
    rooms_bytes : tuple of int
        Bytes for caches on a device of each stage. [bytes]
    blocks_given : int or None
        Blocks as a person asked for them. [1]
    demand : Demand
        What is in flight.
    asked_model_len : int
        Longest request as asked for; -1 for the longest that fits. [tokens]
    positions : int
        Longest request that the model's positions admit. [tokens]
    by_request : bool
        Whether the printed size is concurrency times the longest request.
    token_ranks : int
        Ranks that share the tokens of caches. [1]
    null_blocks : int
        Blocks beside which a request must fit. [1]
    """

    groups: tuple[Group, ...]
    stages: tuple[range, ...]
    rooms_bytes: tuple[int, ...]
    blocks_given: int | None
    demand: Demand
    asked_model_len: int
    positions: int
    by_request: bool
    token_ranks: int
    null_blocks: int

    @cached_property
    def block_bytes(self) -> tuple[int, ...]:
        """One block of the widest group on each pipeline stage. [bytes]."""
        return tuple(
            max((group.page_bytes(stage) for group in self.groups), default=0)
            for stage in self.stages
        )

    @cached_property
    def _stage_blocks(self) -> tuple[int, ...]:
        """Blocks for which each stage has room. [1]."""
        return tuple(
            room // block if block else MOST_TOKENS
            for room, block in zip(self.rooms_bytes, self.block_bytes, strict=True)
        )

    @property
    def stage(self) -> int:
        """Pipeline stage that has room for the fewest blocks. [1]."""
        return self._stage_blocks.index(min(self._stage_blocks))

    @property
    def own_block_bytes(self) -> int:
        """One block on the stage that decides. [bytes]."""
        return self.block_bytes[self.stage]

    @property
    def block_tokens(self) -> int:
        """Smallest block of a group. [tokens]."""
        return min((group.block_tokens for group in self.groups), default=1)

    @property
    def blocks(self) -> int:
        """Blocks of the pool, the null block among them. [1]."""
        if self.blocks_given is not None:
            return self.blocks_given
        return self._stage_blocks[self.stage] if self.groups else 1

    def request_blocks(self, length: Numeric) -> Numeric:
        """Return the blocks that one request may take at most.

        Parameters
        ----------
        length : numeric
            Prompt and output. [tokens]

        Returns
        -------
        numeric
            Sum over groups. [1]
        """
        return sum(group.blocks(length, self.demand) for group in self.groups)

    @cached_property
    def max_model_len(self) -> int:
        """Longest request that is admitted. [tokens]."""
        if self.asked_model_len != LONGEST:
            return self.asked_model_len
        return self.max_context_tokens or self.positions

    @cached_property
    def max_context_tokens(self) -> int:
        """Longest request that the pool can hold beside the null block. [tokens]."""
        return largest(self._holds, max(self.positions, self.asked_model_len))

    def _holds(self, length: int) -> bool:
        return int(self.request_blocks(length)) + self.null_blocks <= self.blocks

    @property
    def start_bytes(self) -> int:
        """Room below which the engine does not start. [bytes]."""
        blocks = int(self.request_blocks(self.max_model_len)) + self.null_blocks
        return blocks * self.own_block_bytes

    @property
    def max_concurrency(self) -> float | None:
        """Requests of the longest length at once, as the engine prints it. [1]."""
        blocks = int(self.request_blocks(self.max_model_len))
        return self.blocks / blocks if blocks else None

    @property
    def reported_cache_tokens(self) -> int | None:
        """Tokens of the pool, as the engine prints them. [tokens]."""
        if not self.by_request:
            groups = max(len(self.groups), 1)
            return self.blocks // groups * self.block_tokens * self.token_ranks
        many = self.max_concurrency
        return None if many is None else int(many * self.max_model_len)

    def need_bytes(self, context: Numeric, sequences: Numeric) -> Numeric:
        """Return what sequences of a length take, the null block included.

        Parameters
        ----------
        context : numeric
            Tokens of each. [tokens]
        sequences : numeric
            How many. [1]

        Returns
        -------
        numeric
            Whole blocks. [bytes]
        """
        blocks = sequences * self.request_blocks(context) + self.null_blocks
        return blocks * self.own_block_bytes

    def items(self) -> tuple[LineItem, ...]:
        """Return how the pool is cut.

        Returns
        -------
        tuple of LineItem
            One block, what one request takes, and the null block.
        """
        block, length = self.own_block_bytes, self.max_model_len
        request = int(self.request_blocks(length))
        parts = " + ".join(
            f"{int(group.blocks(length, self.demand)):,}" for group in self.groups[:12]
        )
        return (
            _item("one block", block, "pages of the widest group of layers"),
            _item("null block", block, "held back by the engine"),
            _item(
                "one request",
                request * block,
                f"{parts} blocks of the {len(self.groups)} groups for {length:,} tokens · "
                f"{format_bytes(block)}",
            ),
        )


def _item(name: str, size: int, rule: str) -> LineItem:
    return LineItem(name=name, bytes=size, rule=rule, versions="V1", source=_SOURCE)


def stage_ranges(counts: Sequence[int]) -> tuple[range, ...]:
    """Return the layers of each pipeline stage.

    Parameters
    ----------
    counts : sequence of int
        Layers on each. [1]

    Returns
    -------
    tuple of range
        One after the other. [1]

    Examples
    --------
    >>> stage_ranges([14, 13])
    (range(0, 14), range(14, 27))
    """
    found, start = [], 0
    for count in counts:
        found.append(range(start, start + count))
        start += count
    return tuple(found)
