"""llama.cpp's caches: as many cells as the context was made for, whatever the load."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from planner.arrays import Numeric
from planner.cost.limits import largest
from planner.engines.allocation import LineItem
from planner.engines.llama_cpp.context import PAD_CELLS, Context
from planner.model import Execution, Model
from planner.units import format_bytes


@dataclass(frozen=True, kw_only=True)
class LlamaCppPool:
    """Room for the caches of a device's layers.

    Parameters
    ----------
    stack : Model
        The layers of the device.
    execution : Execution
        Gives the formats of keys and values.
    context : Context
        How the context is made.
    room_bytes : int
        What the device has left. [bytes]
    max_model_len : int
        Longest request. [tokens]
    positions : int
        Longest request that the model's positions admit. [tokens]
    """

    stack: Model
    execution: Execution
    context: Context
    room_bytes: int
    max_model_len: int
    positions: int

    def need_bytes(self, context: Numeric, sequences: Numeric) -> Numeric:
        """Return the caches of a context made for so many sequences of a length.

        Parameters
        ----------
        context : numeric
            Tokens of each. [tokens]
        sequences : numeric
            How many. [1]

        Returns
        -------
        numeric
            Keys, values and states. [bytes]
        """
        own = replace(self.context, sequences=sequences)
        kept, states = own.cache_bytes(self.stack, self.execution, context)
        return kept + states

    @property
    def block_tokens(self) -> int:
        """Cells come in steps of so many. [tokens]."""
        return PAD_CELLS

    @property
    def blocks(self) -> int:
        """Steps of all streams. [1]."""
        return self.reported_cache_tokens // PAD_CELLS

    @property
    def reported_cache_tokens(self) -> int:
        """Cells of the longest cache, all streams together. [tokens]."""
        cells = self.context.most_cells(self.stack, self.max_model_len)
        return int(cells) * self.context.streams

    @cached_property
    def max_concurrency(self) -> float:
        """Sequences of the longest length that a context could be made for. [1]."""
        return float(
            largest(
                lambda n: bool(self.need_bytes(self.max_model_len, n) <= self.room_bytes), 2**20
            )
        )

    @cached_property
    def max_context_tokens(self) -> int:
        """Longest request of a context for as many sequences as asked for. [tokens]."""
        many = self.context.sequences
        return largest(
            lambda length: bool(self.need_bytes(length, many) <= self.room_bytes), self.positions
        )

    @property
    def start_bytes(self) -> int:
        """The whole context: it is allocated at the start. [bytes]."""
        return int(self.need_bytes(self.max_model_len, self.context.sequences))

    def items(self) -> tuple[LineItem, ...]:
        """Return the buffers of keys and values and of states."""
        kept, states = self.context.cache_bytes(self.stack, self.execution, self.max_model_len)
        cells = int(self.context.most_cells(self.stack, self.max_model_len))
        rule = (
            f"{self.context.streams} × {cells:,} cells, fewer where a window allows; "
            f"{format_bytes(kept)} for the whole context"
        )
        return (
            LineItem(name="KV buffer", bytes=-int(kept), rule=rule, versions="all",
                     source="llama-cpp"),
            LineItem(name="RS buffer", bytes=-int(states), rule="states in fp32, per sequence",
                     versions="all", source="llama-cpp"),
        )  # fmt: skip
