"""A model on a group of devices, made ready to be a replica: step times and room for caches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from planner.arrays import Numeric, maximum
from planner.cost.links import Links
from planner.cost.memory import RankMemory
from planner.cost.roofline import StepCost, step_cost
from planner.cost.step_times import step_times, time_assumptions
from planner.engines import EngineMemory
from planner.hardware import Device
from planner.model import Execution, Model, Step
from planner.serving.engine_habits import Habits, band_of
from planner.serving.paged_pool import CachePool
from planner.serving.step_parts import step_parts_s
from planner.serving.step_table import StepTable, tabulate

Confidence = Literal["floor", "p10", "p50", "p90"]
"""Which seconds of a step are asked for: its floor, or a percentile of its band."""

WITHOUT_HABITS = "No engine is named: times are those of kernels, without the host."
MEASURED_HABITS = (
    "Pace of kernels in a service, host time of steps and requests: constants of the engine, "
    "fitted on half of published runs."
)
UNMEASURED_HABITS = (
    "The engine was measured with no such precision, or never: host times are means over engines "
    "that were."
)
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
    links : Links
        What joins its ranks.
    memory : RankMemory or EngineMemory
        Memory of the fullest rank.
    habits : Habits or None
        What an engine takes beyond kernels; nothing without it.
    """

    model: Model = field(repr=False)
    execution: Execution
    device: Device = field(repr=False)
    links: Links
    memory: RankMemory | EngineMemory = field(repr=False)
    habits: Habits | None = None

    @property
    def stages(self) -> int:
        """Pipeline stages. [1]."""
        return self.execution.layout.pp

    def step_seconds(self, confidence: Confidence) -> Callable[[Step], Numeric]:
        """Return the function from a step to its seconds.

        Where layers are dealt to pipeline stages, a step is as many parts in flight one behind the
        other, and takes what one part takes through all stages; filling the pipeline is left out.

        Parameters
        ----------
        confidence : {"floor", "p10", "p50", "p90"}
            Devices that no profile covers have floors only.

        Returns
        -------
        callable
            Of steps whose fields may be arrays. [s]
        """

        def seconds(step: Step) -> Numeric:
            part = part_of(step, self.stages)
            cost = step_cost(self.model, part, self.execution, self.device, self.links)
            if self.habits is not None and confidence != "floor":
                return self._served_s(part, cost, self.habits, confidence)
            measured = None if confidence == "floor" else step_times((cost,), self.execution)
            if measured is None:
                return cost.floor_s
            (found,) = measured
            return {"p10": found.p10_s, "p50": found.time_s, "p90": found.p90_s}[confidence]

        return seconds

    def _served_s(
        self, step: Step, cost: StepCost, habits: Habits, confidence: Confidence
    ) -> Numeric:
        """Seconds of a step inside a service: kernels at the engine's pace, and its host."""
        rows = np.multiply(step.batch, step.logit_rows)
        shape = np.broadcast_shapes(
            *(np.shape(each) for each in (step.batch, step.new_tokens, step.cached_tokens))
        )
        measured = step_times((cost,), self.execution)
        parts_s = step_parts_s(cost, measured[0] if measured else None, shape)
        seconds = habits.step_seconds(parts_s, len(self.model.layers), rows)
        low, high = band_of("tpot", habits.measured)
        return seconds * {"p10": low, "p50": 1.0, "p90": high}[confidence]

    def notes(self) -> tuple[str, ...]:
        """Return what the seconds of steps take for granted."""
        step = Step.decode(1, 1024)
        cost = step_cost(self.model, step, self.execution, self.device, self.links)
        measured = step_times((cost,), self.execution)
        said = time_assumptions(cost, measured[0] if measured else None)
        if self.habits is None:
            return (*said, WITHOUT_HABITS)
        return (*said, MEASURED_HABITS if self.habits.measured else UNMEASURED_HABITS)

    def step_table(
        self, *, max_batch: int, max_step_tokens: int, max_context: int, confidence: Confidence
    ) -> StepTable:
        """Return the seconds of all steps.

        Parameters
        ----------
        max_batch : int
            Most decoding sequences. [1]
        max_step_tokens, max_context : int
            Most tokens in one step, and in one cache. [tokens]
        confidence : {"floor", "p10", "p50", "p90"}
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

    @property
    def request_s(self) -> float:
        """From the arrival of a request until its kernels run. [s]."""
        if self.habits is None:
            return 0.0
        step = Step.prefill(1, 1024)
        cost = step_cost(self.model, step, self.execution, self.device, self.links)
        launches = sum(item.count for item in cost.operations)
        return float(self.habits.request_s + self.habits.launch_s * launches)

    def pool_bytes(self, *, max_num_seqs: int) -> int:
        """Return what is left for caches on the fullest rank, in a step full of tokens.

        Parameters
        ----------
        max_num_seqs : int
            Most sequences in flight; each has its work memory. [1]

        Returns
        -------
        int
            Negative where the rest alone is too much. [bytes]
        """
        if isinstance(self.memory, EngineMemory):
            return self.memory.allocation.budget.pool_bytes
        use = self.memory.use(self.memory.step_tokens, max_num_seqs)
        return int(self.memory.capacity_bytes - use.total_bytes + use.cache_bytes)

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
        low, high = (float(self.memory.use(tokens, 1).cache_bytes) for tokens in (short, long))
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


def part_of(step: Step, stages: int) -> Step:
    """Return what of a step is in one pipeline stage at a time.

    Parameters
    ----------
    step : Step
        The whole step.
    stages : int
        Pipeline stages. [1]

    Returns
    -------
    Step
        An equal share of its sequences, or of its prompts' tokens.
    """
    if stages == 1:
        return step
    if step.phase == "decode":
        return replace(step, batch=maximum(step.batch / stages, 1.0))
    return replace(step, new_tokens=maximum(step.new_tokens / stages, 1.0))


__all__ = ["Confidence", "Site", "part_of"]
