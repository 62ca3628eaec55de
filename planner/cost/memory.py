"""Device memory of the fullest rank: the stage that needs most decides."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import numpy as np

from planner.arrays import Numeric, where
from planner.cost.activations import ActivationPeak
from planner.cost.memory_terms import explain_cache, explain_weights
from planner.cost.memory_use import MemoryUse
from planner.cost.stage_memory import StageMemory
from planner.explanation import Explanation
from planner.hardware import Runtime
from planner.model import Execution, Layout, Model
from planner.model.stages import distinct_stages


@dataclass(frozen=True, slots=True, kw_only=True)
class RankMemory:
    """The memory of the fullest rank as a function of context and sequences.

    Ranks of one pipeline stage hold the same; stages differ, and which of them is fullest depends
    on the load: the first has the embedding, the last the head and its logits.

    Parameters
    ----------
    model : Model
        The whole model.
    execution : Execution
        Formats and layout.
    stages : tuple of StageMemory
        One per kind of pipeline stage.
    """

    model: Model
    execution: Execution
    stages: tuple[StageMemory, ...]

    @classmethod
    def of(
        cls,
        model: Model,
        execution: Execution,
        runtime: Runtime,
        *,
        capacity_bytes: int,
        step_tokens: int,
    ) -> RankMemory:
        """Return the memory of a deployment's fullest rank.

        Parameters
        ----------
        model : Model
            The model.
        execution : Execution
            Formats and layout.
        runtime : Runtime
            What is taken outside the model.
        capacity_bytes : int
            What the driver shows as total. [bytes]
        step_tokens : int
            Most tokens in one step. [tokens]

        Returns
        -------
        RankMemory
            Weights already summed.

        Raises
        ------
        LayoutError
            The ranks do not divide the model.
        """
        stages = tuple(
            StageMemory.of(
                stage,
                execution,
                runtime,
                stages=count,
                capacity_bytes=capacity_bytes,
                step_tokens=step_tokens,
            )
            for stage, count in distinct_stages(model, execution)
        )
        return cls(model=model, execution=execution, stages=stages)

    @property
    def layout(self) -> Layout:
        """Parallel sizes."""
        return self.execution.layout

    @property
    def runtime(self) -> Runtime:
        """What is taken outside the model."""
        return self.stages[0].runtime

    @property
    def capacity_bytes(self) -> int:
        """What the driver shows as total. [bytes]."""
        return self.stages[0].capacity_bytes

    @property
    def step_tokens(self) -> int:
        """Most tokens in one step. [tokens]."""
        return self.stages[0].step_tokens

    def use(self, context: Numeric, sequences: Numeric) -> MemoryUse:
        """Return where the bytes of the fullest rank go.

        Parameters
        ----------
        context : numeric
            Tokens in each cache. [tokens]
        sequences : numeric
            Sequences of one data-parallel rank. [1]

        Returns
        -------
        MemoryUse
            Parts and total.
        """
        return reduce(_fuller, (stage.use(context, sequences) for stage in self.stages))

    def fullest(self, context: int, sequences: int) -> StageMemory:
        """Return the stage whose ranks are fullest.

        Parameters
        ----------
        context, sequences : int
            The load of one data-parallel rank. [tokens], [1]

        Returns
        -------
        StageMemory
            The first of equals.
        """
        return max(self.stages, key=lambda stage: stage.use(context, sequences).total_bytes)

    def to_dict(self, context: int, sequences: int) -> list[dict[str, int | bool]]:
        """Return what the ranks of each kind of stage hold, as plain data.

        Parameters
        ----------
        context, sequences : int
            The load of one data-parallel rank. [tokens], [1]

        Returns
        -------
        list of dict
            Bytes of one device, and how many such devices there are.
        """
        return [stage.to_dict(context, sequences) for stage in self.stages]

    def fits(self, context: Numeric, sequences: Numeric) -> Numeric:
        """Return whether a load fits into the capacity.

        Parameters
        ----------
        context : numeric
            Tokens in each cache. [tokens]
        sequences : numeric
            Sequences of one data-parallel rank. [1]

        Returns
        -------
        bool or array of bool
            Total at most the capacity on every rank.
        """
        for stage in self.stages:
            held = stage.held_bytes(context, sequences) <= self.capacity_bytes
            if not np.any(held):
                return held
        return self.use(context, sequences).total_bytes <= self.capacity_bytes

    def explain(self, figure: str, context: int, sequences: int) -> Explanation:
        """Return how a figure of the fullest rank came about.

        Parameters
        ----------
        figure : str
            A field of :class:`MemoryUse`.
        context, sequences : int
            The load of one data-parallel rank. [tokens], [1]

        Returns
        -------
        Explanation
            With one term per tensor kind, cache or item.
        """
        return self.fullest(context, sequences).explain(figure, context, sequences)


def _fuller(one: MemoryUse, other: MemoryUse) -> MemoryUse:
    """Return what of two uses has the larger total, elementwise for arrays."""
    first = one.total_bytes >= other.total_bytes
    names = MemoryUse.__dataclass_fields__
    return MemoryUse(
        **{name: where(first, getattr(one, name), getattr(other, name)) for name in names}
    )


__all__ = [
    "ActivationPeak",
    "MemoryUse",
    "RankMemory",
    "StageMemory",
    "explain_cache",
    "explain_weights",
]
