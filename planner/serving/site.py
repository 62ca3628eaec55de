"""A model on a group of devices, made ready to be a replica: step times and room for caches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from planner.arrays import Numeric
from planner.cost.memory import RankMemory
from planner.cost.roofline import step_cost
from planner.hardware import Device, Link
from planner.model import Execution, Model, Step
from planner.serving.paged_pool import CachePool
from planner.serving.step_table import StepTable, tabulate

Confidence = Literal["floor"]
"""Which seconds of a step are asked for."""

BLOCK_TOKENS = 16
LARGEST_BLOCK_TOKENS = 2**16


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One replica's model, devices and formats.

    Parameters
    ----------
    model : Model
        The model.
    execution : Execution
        Formats and layout.
    device : Device
        Each of its devices.
    link : Link or None
        What joins its ranks.
    memory : RankMemory
        Memory of the fullest rank.
    """

    model: Model = field(repr=False)
    execution: Execution
    device: Device = field(repr=False)
    link: Link | None
    memory: RankMemory = field(repr=False)

    def step_seconds(self, confidence: Confidence = "floor") -> Callable[[Step], Numeric]:
        """Return the function from a step to its seconds.

        Parameters
        ----------
        confidence : {"floor"}
            Floors: every operation at the peak of its device.

        Returns
        -------
        callable
            Of steps whose fields may be arrays. [s]
        """
        del confidence
        return lambda step: (
            step_cost(self.model, step, self.execution, self.device, self.link).floor_s
        )

    def step_table(
        self,
        *,
        max_batch: int,
        max_step_tokens: int,
        max_context: int,
        confidence: Confidence = "floor",
    ) -> StepTable:
        """Return the seconds of all steps.

        Parameters
        ----------
        max_batch : int
            Most decoding sequences. [1]
        max_step_tokens, max_context : int
            Most tokens in one step, and in one cache. [tokens]
        confidence : {"floor"}
            Which seconds.

        Returns
        -------
        StepTable
            With a node to each doubling.
        """
        return tabulate(
            self.step_seconds(confidence),
            max_batch=max_batch,
            max_step_tokens=max_step_tokens,
            max_context=max_context,
            per_doubling=1,
        )

    def pool_bytes(self, *, max_num_seqs: int, max_num_batched_tokens: int) -> int:
        """Return what is left for caches on the fullest rank.

        Parameters
        ----------
        max_num_seqs : int
            Most sequences in flight; each has its work memory. [1]
        max_num_batched_tokens : int
            Most tokens in one step. [tokens]

        Returns
        -------
        int
            Negative where the rest alone is too much. [bytes]
        """
        memory = self.memory
        work = memory.activations.bytes(max_num_batched_tokens, max_num_seqs)
        return int(memory.capacity_bytes - memory.weights_bytes - memory.runtime_bytes - work)

    def pool(self, pool_bytes: int, *, short: int, long: int) -> CachePool:
        """Return the pool in blocks, linear between two lengths of cache.

        Parameters
        ----------
        pool_bytes : int
            Room for caches. [bytes]
        short, long : int
            Lengths between which sequences mostly are; caches with windows grow less beyond them.
            [tokens]

        Returns
        -------
        CachePool
            States count in blocks of their own.
        """
        low, high = (float(self.memory.sequence_bytes(tokens)) for tokens in (short, long))
        token_bytes = max((high - low) / (long - short), 0.0)
        state_bytes = max(low - token_bytes * short, 0.0)
        if token_bytes * LARGEST_BLOCK_TOKENS <= state_bytes:
            blocks = int(pool_bytes / high) if high else None
            return CachePool(blocks=blocks, block_tokens=LARGEST_BLOCK_TOKENS)
        block_bytes = token_bytes * BLOCK_TOKENS
        return CachePool(
            blocks=int(pool_bytes / block_bytes),
            block_tokens=BLOCK_TOKENS,
            sequence_blocks=round(state_bytes / block_bytes),
        )


__all__ = ["Confidence", "Site"]
