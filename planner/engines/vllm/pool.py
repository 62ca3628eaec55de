"""vLLM's pool: groups of layers that share blocks, and what requests take of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from planner.arrays import Numeric
from planner.cost.limits import largest
from planner.engines.allocation import LineItem
from planner.engines.engine import Site
from planner.engines.settings import LONGEST
from planner.engines.vllm.grouping import Group, group_layers
from planner.engines.vllm.limits import Limits
from planner.engines.vllm.specs import layer_specs


@dataclass(frozen=True, kw_only=True)
class VllmPool:
    """Blocks that all groups of layers share.

    Parameters
    ----------
    groups : tuple of Group
        Layers that own blocks together.
    block_bytes : int
        One block of the widest group. [bytes]
    room_bytes : int
        The pool. [bytes]
    in_flight_tokens : int
        Tokens scheduled but not yet computed. [tokens]
    asked_model_len : int
        Longest request as asked for. [tokens]
    positions : int
        Longest request that the model's positions admit. [tokens]
    assumptions : tuple of str
        What the reader should know.
    """

    groups: tuple[Group, ...]
    block_bytes: int
    room_bytes: int
    in_flight_tokens: int
    asked_model_len: int
    positions: int
    assumptions: tuple[str, ...] = ()

    @classmethod
    def of(cls, site: Site, limits: Limits, room_bytes: int) -> VllmPool:
        """Return the pool of a model on a device.

        Parameters
        ----------
        site : Site
            Model, formats, device, flags and version.
        limits : Limits
            Longest request and step.
        room_bytes : int
            Bytes for caches. [bytes]

        Returns
        -------
        VllmPool
            Its groups and blocks.
        """
        groups = group_layers(layer_specs(site))
        return cls(
            groups=groups,
            block_bytes=max(group.page_bytes for group in groups),
            room_bytes=room_bytes,
            in_flight_tokens=2 * limits.step_tokens,
            asked_model_len=limits.max_model_len,
            positions=limits.positions,
        )

    @property
    def block_tokens(self) -> int:
        """Smallest block of a group. [tokens]."""
        return min(group.block_tokens for group in self.groups)

    @property
    def blocks(self) -> int:
        """Blocks of the pool, the null block among them. [1]."""
        return self.room_bytes // self.block_bytes

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
        return sum(group.blocks(length, self.in_flight_tokens) for group in self.groups)

    @cached_property
    def max_model_len(self) -> int:
        """Longest request that is admitted. [tokens]."""
        if self.asked_model_len != LONGEST:
            return self.asked_model_len
        return min(self.max_context_tokens or self.positions, self.positions)

    @cached_property
    def max_context_tokens(self) -> int:
        """Longest request that the pool can hold beside the null block. [tokens]."""
        return largest(self._holds, self.positions)

    def _holds(self, length: int) -> bool:
        return bool(self.start_of(length) <= self.room_bytes)

    def start_of(self, length: Numeric) -> Numeric:
        """Return the room that one request and the null block take. [bytes]."""
        return (self.request_blocks(length) + 1) * self.block_bytes

    @property
    def start_bytes(self) -> int:
        """Room below which the engine does not start. [bytes]."""
        return int(self.start_of(max(self.max_model_len, 1)))

    @property
    def max_concurrency(self) -> float | None:
        """Requests of the longest length at once. [1]."""
        if not self.max_model_len:
            return None
        return self.blocks / int(self.request_blocks(self.max_model_len))

    @property
    def reported_cache_tokens(self) -> int | None:
        """What the engine prints as the size of its cache. [tokens]."""
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
        return (sequences * self.request_blocks(context) + 1) * self.block_bytes

    def items(self) -> tuple[LineItem, ...]:
        """Return how the pool is cut into blocks."""
        return ()
