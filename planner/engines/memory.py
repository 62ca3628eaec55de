"""Device memory under an engine, as a function of context and sequences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from planner.arrays import Numeric, maximum
from planner.cost.memory import MemoryUse, explain_weights
from planner.cost.memory_terms import explain_offloaded
from planner.engines.allocation import Allocation
from planner.explanation import Explanation, Term
from planner.hardware import Runtime
from planner.model import Execution, Layout, Model
from planner.model.stages import pipeline_stages
from planner.units import format_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineMemory:
    """The memory of the fullest rank under an engine.

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
    allocation : Allocation
        What the engine takes, whatever the load.
    """

    model: Model
    execution: Execution
    runtime: Runtime
    capacity_bytes: int
    allocation: Allocation

    @property
    def layout(self) -> Layout:
        """Parallel sizes."""
        return self.execution.layout

    @property
    def step_tokens(self) -> int:
        """Most tokens in one step. [tokens]."""
        return self.allocation.step_tokens

    @property
    def weights_bytes(self) -> int:
        """Weights of the fullest rank. [bytes]."""
        return self.allocation.budget.weights_bytes

    @property
    def runtime_bytes(self) -> int:
        """What is neither weights, caches, activations nor graphs. [bytes]."""
        return self.allocation.budget.runtime_bytes

    @property
    def reserve_bytes(self) -> int:
        """What the engine leaves alone; negative if it was promised more than there is. [bytes]."""
        budget = self.allocation.budget
        taken = budget.weights_bytes + budget.activations_bytes
        taken += budget.runtime_bytes + budget.graphs_bytes
        return self.capacity_bytes - taken - budget.pool_bytes

    def use(self, context: Numeric, sequences: Numeric) -> MemoryUse:
        """Return where the bytes go.

        Parameters
        ----------
        context : numeric
            Tokens of each request. [tokens]
        sequences : numeric
            Sequences of one replica. [1]

        Returns
        -------
        MemoryUse
            Parts and total. Caches are the blocks of the load; what the engine wants to start
            where its pool is too small for that, and the whole pool where one was given that the
            device cannot hold.
        """
        budget, pool = self.allocation.budget, self.allocation.pool
        need = pool.need_bytes(context, sequences)
        if pool.start_bytes > budget.pool_bytes:
            need = maximum(need, pool.start_bytes)
        if self.reserve_bytes < 0:
            need = maximum(need, budget.pool_bytes)
        return MemoryUse(
            weights_bytes=budget.weights_bytes,
            cache_bytes=need,
            activations_bytes=budget.activations_bytes,
            runtime_bytes=budget.runtime_bytes,
            graphs_bytes=budget.graphs_bytes,
            reserve_bytes=max(0, self.reserve_bytes),
        )

    def to_dict(self, context: int, sequences: int) -> list[dict[str, int | bool]]:
        """Return what the ranks of the stage that decides hold, as plain data.

        Parameters
        ----------
        context, sequences : int
            The load of one data-parallel rank. [tokens], [1]

        Returns
        -------
        list of dict
            Bytes of one device, and how many such devices there are.
        """
        devices = self.layout.devices // self.layout.pp
        return [self.use(context, sequences).on_stage(self._stage, devices)]

    @property
    def _stage(self) -> Model:
        return pipeline_stages(self.model, self.layout.pp)[self.allocation.stage]

    def sequence_bytes(self, context: Numeric) -> Numeric:
        """Return what one sequence takes in the pool of the rank.

        Parameters
        ----------
        context : numeric
            Tokens in its cache. [tokens]

        Returns
        -------
        numeric
            Whole blocks. [bytes]
        """
        return self.allocation.pool.need_bytes(context, 1)

    def fullest(self, context: int, sequences: int) -> EngineMemory:
        """Return the memory of the rank whose pool decides.

        Parameters
        ----------
        context, sequences : int
            Not used: the engine settles for the fewest blocks of any rank before it serves.
            [tokens], [1]

        Returns
        -------
        EngineMemory
            Itself.
        """
        del context, sequences
        return self

    def fits(self, context: Numeric, sequences: Numeric) -> Numeric:
        """Return whether a load fits into the capacity.

        Parameters
        ----------
        context : numeric
            Tokens of each request. [tokens]
        sequences : numeric
            Sequences of one replica. [1]

        Returns
        -------
        bool or array of bool
            Total at most the capacity.
        """
        return self.use(context, sequences).total_bytes <= self.capacity_bytes

    def explain(self, figure: str, context: int, sequences: int) -> Explanation:
        """Return how a figure of the fullest rank came about.

        Parameters
        ----------
        figure : str
            A field of :class:`~planner.cost.memory.MemoryUse`, or ``"total_bytes"``.
        context, sequences : int
            The load. [tokens], [1]

        Returns
        -------
        Explanation
            With the engine's own line items.
        """
        explain: dict[str, Callable[[], Explanation]] = {
            "weights_bytes": self._explain_weights,
            "total_bytes": lambda: self._explain_total(context, sequences),
            "offloaded_weights_bytes": partial(self._explain_offloaded, "the layers' weights"),
            "offloaded_cache_bytes": partial(self._explain_offloaded, "the caches"),
        }
        if figure in explain:
            return explain[figure]()
        return self._explain_item(figure, context, sequences)

    def _explain_weights(self) -> Explanation:
        stage, held = self._stage, self.weights_bytes
        stored = explain_weights(stage, self.execution, self.layout)
        added = held - sum(int(term.value) for term in stored.terms)
        if not added:
            return stored
        term = Term(label="what loading adds: padding, whole blocks, tables", value=added)
        return replace(stored, value=held, terms=(*stored.terms, term))

    def _explain_offloaded(self, part: str) -> Explanation:
        return explain_offloaded(part, 0, "nothing is offloaded", self.execution.offload)

    def _explain_item(self, figure: str, context: int, sequences: int) -> Explanation:
        allocation = self.allocation
        items = (*allocation.budget.items, *allocation.pool.items())
        value = int(getattr(self.use(context, sequences), figure))
        return Explanation(
            figure=figure,
            meaning=_MEANING[figure],
            formula=f"by the rules of {allocation.engine} {allocation.version}",
            substituted="; ".join(f"{item.name}: {item.rule}" for item in items),
            value=value,
            unit="bytes",
            sources=tuple(dict.fromkeys(item.source for item in items)),
        )

    def _explain_total(self, context: int, sequences: int) -> Explanation:
        use = self.use(context, sequences)
        parts = {
            "weights": use.weights_bytes,
            "caches": use.cache_bytes,
            "activations": use.activations_bytes,
            "runtime": use.runtime_bytes,
            "graphs": use.graphs_bytes,
            "left alone": use.reserve_bytes,
        }
        return Explanation(
            figure="total_bytes",
            meaning="Everything the fullest device must hold, and what the engine leaves alone.",
            formula=" + ".join(parts),
            substituted=" + ".join(format_bytes(value) for value in parts.values()),
            value=int(use.total_bytes),
            unit="bytes",
            terms=tuple(Term(label=name, value=int(value)) for name, value in parts.items()),
        )


_MEANING = {
    "cache_bytes": "What the load takes of the engine's pool in whole blocks, and at least what "
    "the engine wants before it starts.",
    "activations_bytes": "The most that one step takes beside weights and caches.",
    "runtime_bytes": "What a process takes outside weights, caches, activations and graphs.",
    "graphs_bytes": "What captured graphs take.",
    "offloaded_weights_bytes": "Weights outside the device: none but by the engine's own flags.",
    "offloaded_cache_bytes": "Caches outside the device: none but by the engine's own flags.",
    "reserve_bytes": "What the engine leaves alone on the device.",
}
