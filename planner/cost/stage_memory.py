"""Device memory of one pipeline stage's ranks: weights, caches, activations, runtime."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property, reduce

from planner.arrays import Numeric, ceil_div, maximum, minimum
from planner.cost.activations import ActivationPeak, activation_peak
from planner.cost.memory_terms import (
    explain_activations,
    explain_cache,
    explain_none,
    explain_offloaded,
    explain_weights,
    less,
)
from planner.cost.memory_use import MemoryUse
from planner.explanation import Explanation, Term
from planner.hardware import Runtime
from planner.model import Execution, Layout, Model
from planner.model.cache import Cache
from planner.model.streaming import layers_bytes
from planner.model.token_ranks import is_shared
from planner.units import format_bytes


@dataclass(frozen=True, kw_only=True)
class StageMemory:
    """The memory of a pipeline stage's ranks, all alike, as a function of context and sequences.

    Parameters
    ----------
    model : Model
        What the stage holds; the whole model where there is one stage.
    execution : Execution
        Formats and layout.
    runtime : Runtime
        What is taken outside the model.
    stages : int
        How many stages are like this one. [1]
    capacity_bytes : int
        What the driver shows as total. [bytes]
    step_tokens : int
        Most tokens in one step; longer prompts are read in chunks. [tokens]
    weights_bytes : int
        Weights of the rank. [bytes]
    layers_bytes : tuple of int
        Weights of its layers and of the largest one; looked up where some live elsewhere. [bytes]
    """

    model: Model
    execution: Execution
    runtime: Runtime
    stages: int
    capacity_bytes: int
    step_tokens: int
    weights_bytes: int
    layers_bytes: tuple[int, int]

    @classmethod
    def of(
        cls,
        model: Model,
        execution: Execution,
        runtime: Runtime,
        *,
        stages: int = 1,
        capacity_bytes: int,
        step_tokens: int,
    ) -> StageMemory:
        """Return the memory of a stage's ranks.

        Parameters
        ----------
        model : Model
            What the stage holds.
        execution : Execution
            Formats and layout.
        runtime : Runtime
            What is taken outside the model.
        stages : int
            How many stages are like this one. [1]
        capacity_bytes : int
            What the driver shows as total. [bytes]
        step_tokens : int
            Most tokens in one step. [tokens]

        Returns
        -------
        StageMemory
            Weights already summed.

        Raises
        ------
        LayoutError
            The ranks do not divide the model.
        """
        return cls(
            model=model,
            execution=execution,
            runtime=runtime,
            stages=stages,
            capacity_bytes=capacity_bytes,
            step_tokens=step_tokens,
            weights_bytes=model.weights_bytes(execution, layout=execution.layout),
            layers_bytes=layers_bytes(model, execution) if execution.offload else (0, 0),
        )

    @cached_property
    def activations(self) -> ActivationPeak:
        """Bounds of the activations."""
        return activation_peak(self.model, self.execution)

    @property
    def layout(self) -> Layout:
        """Parallel sizes."""
        return self.execution.layout

    @property
    def runtime_bytes(self) -> int:
        """Context and collective buffers of one device. [bytes]."""
        return self.runtime.context_bytes + self.runtime.collective_bytes(
            self.layout.joined_devices
        )

    def use(self, context: Numeric, sequences: Numeric) -> MemoryUse:
        """Return where the bytes go.

        Parameters
        ----------
        context : numeric
            Tokens in each cache. [tokens]
        sequences : numeric
            Sequences of one replica. [1]

        Returns
        -------
        MemoryUse
            Parts and total.
        """
        tokens = self.rank_tokens(context, sequences)
        return MemoryUse(
            weights_bytes=self.weights_bytes - self.freed_weights_bytes,
            cache_bytes=sequences * self.sequence_bytes(context),
            activations_bytes=self.activations.bytes(tokens, sequences)
            + self.received_bytes(context, sequences),
            runtime_bytes=self.runtime_bytes,
            offloaded_weights_bytes=self.execution.offload.absent_weights_bytes(
                self.layers_bytes[0]
            ),
            offloaded_cache_bytes=sequences
            * self.execution.offload.absent_cache_bytes(self._whole_bytes(context)),
        )

    def held_bytes(self, context: Numeric, sequences: Numeric) -> Numeric:
        """Return what the rank holds between steps.

        Parameters
        ----------
        context : numeric
            Tokens in each cache. [tokens]
        sequences : numeric
            Sequences of one replica. [1]

        Returns
        -------
        numeric
            Everything but the activations. [bytes]
        """
        weights = self.weights_bytes - self.freed_weights_bytes
        return weights + sequences * self.sequence_bytes(context) + self.runtime_bytes

    def rank_tokens(self, context: Numeric, sequences: Numeric) -> Numeric:
        """Return the tokens of the largest step that one rank works on.

        Parameters
        ----------
        context : numeric
            Tokens in each cache. [tokens]
        sequences : numeric
            Sequences of one data-parallel rank. [1]

        Returns
        -------
        numeric
            A context-parallel rank's share. [tokens]
        """
        return ceil_div(minimum(sequences * context, self.step_tokens), self.layout.cp)

    def received_bytes(self, context: Numeric, sequences: Numeric) -> Numeric:
        """Return the room for keys and values that other context-parallel ranks pass on.

        Parameters
        ----------
        context : numeric
            Tokens in each cache. [tokens]
        sequences : numeric
            Sequences of one data-parallel rank. [1]

        Returns
        -------
        numeric
            One rank's share of the largest layer, of the sequences that one step reads. [bytes]

        References
        ----------
        liu-2023-ring
        """
        if self.layout.cp == 1:
            return 0
        one = ceil_div(context, self.layout.token_ranks)
        tokens = maximum(one, self.rank_tokens(context, sequences))
        passed = (cache for _, cache, _ in self.model.caches if is_shared(cache))
        return self._largest_bytes((cache, tokens) for cache in passed)

    def sequence_bytes(self, context: Numeric) -> Numeric:
        """Return what one sequence takes in the caches of the rank.

        Parameters
        ----------
        context : numeric
            Tokens in its cache. [tokens]

        Returns
        -------
        numeric
            Keys, values and states, less what offloading frees. [bytes]
        """
        return self._whole_bytes(context) - self.freed_cache_bytes(context)

    def _whole_bytes(self, context: Numeric) -> Numeric:
        return self.model.cache_bytes(context, self.execution, layout=self.layout)

    @property
    def freed_weights_bytes(self) -> int:
        """What offloading weights frees on the device. [bytes]."""
        offload = self.execution.offload
        absent, largest = (offload.absent_weights_bytes(size) for size in self.layers_bytes)
        return int(offload.freed_bytes(absent, largest))

    def freed_cache_bytes(self, context: Numeric) -> Numeric:
        """Return what offloading caches frees of one sequence.

        Parameters
        ----------
        context : numeric
            Tokens in its cache. [tokens]

        Returns
        -------
        numeric
            What is absent, less the room for two layers of it. [bytes]
        """
        offload = self.execution.offload
        if not offload.cache_fraction:
            return 0
        ranks = self.layout.token_ranks
        largest = self._largest_bytes(
            (cache, cache.share(context, ranks)) for _, cache, _ in self.model.caches
        )
        absent = offload.absent_cache_bytes(self._whole_bytes(context))
        return offload.freed_bytes(absent, offload.absent_cache_bytes(largest))

    def _largest_bytes(self, caches: Iterable[tuple[Cache, Numeric]]) -> Numeric:
        sizes = (
            cache.sequence_bytes(held, self.execution, tp=self.layout.tp) for cache, held in caches
        )
        return reduce(maximum, sizes, 0)

    def to_dict(self, context: int, sequences: int) -> dict[str, int | bool]:
        """Return what one of its devices holds, as plain data.

        Parameters
        ----------
        context, sequences : int
            The load of one data-parallel rank. [tokens], [1]

        Returns
        -------
        dict
            Bytes of one device, and how many such devices there are.
        """
        devices = self.stages * self.layout.devices // self.layout.pp
        return self.use(context, sequences).on_stage(self.model, devices)

    def explain(self, figure: str, context: int, sequences: int) -> Explanation:
        """Return how a figure of the fullest rank came about.

        Parameters
        ----------
        figure : str
            A field of :class:`MemoryUse`, or ``"capacity_bytes"``.
        context, sequences : int
            The load. [tokens], [1]

        Returns
        -------
        Explanation
            With one term per tensor kind, cache or item.
        """
        explain: dict[str, Callable[[], Explanation]] = {
            "weights_bytes": self._explain_weights,
            "cache_bytes": lambda: self._explain_cache(context, sequences),
            "activations_bytes": lambda: explain_activations(
                self.activations,
                int(self.rank_tokens(context, sequences)),
                sequences,
                int(self.received_bytes(context, sequences)),
            ),
            "runtime_bytes": lambda: self.runtime.explain(self.layout.joined_devices),
            "graphs_bytes": lambda: explain_none("graphs_bytes", "Memory of captured CUDA graphs"),
            "reserve_bytes": lambda: explain_none("reserve_bytes", "Memory left alone on purpose"),
            "total_bytes": lambda: self._explain_total(context, sequences),
            "offloaded_weights_bytes": self._explain_offloaded_weights,
            "offloaded_cache_bytes": lambda: self._explain_offloaded_cache(context, sequences),
        }
        return explain[figure]()

    def _explain_weights(self) -> Explanation:
        whole = explain_weights(self.model, self.execution, self.layout)
        return less(whole, self.freed_weights_bytes, self.execution.offload)

    def _explain_cache(self, context: int, sequences: int) -> Explanation:
        whole = explain_cache(self.model, self.execution, context, sequences, self.layout)
        freed = int(sequences * self.freed_cache_bytes(context))
        return less(whole, freed, self.execution.offload)

    def _explain_offloaded_weights(self) -> Explanation:
        offload, whole = self.execution.offload, self.layers_bytes[0]
        return explain_offloaded(
            "the layers' weights",
            offload.absent_weights_bytes(whole),
            f"{offload.weights_fraction:g} · {whole:,}",
            offload,
        )

    def _explain_offloaded_cache(self, context: int, sequences: int) -> Explanation:
        offload, each = self.execution.offload, self._whole_bytes(context)
        return explain_offloaded(
            "the caches",
            sequences * offload.absent_cache_bytes(each),
            f"{sequences:,} sequences · ⌊{offload.cache_fraction:g} · {int(each):,}⌋",
            offload,
        )

    def _explain_total(self, context: int, sequences: int) -> Explanation:
        use = self.use(context, sequences)
        parts = {
            "weights": use.weights_bytes,
            "caches": use.cache_bytes,
            "activations": use.activations_bytes,
            "runtime": use.runtime_bytes,
            "graphs": use.graphs_bytes,
        }
        return Explanation(
            figure="total_bytes",
            meaning="Everything the fullest device must hold.",
            formula=" + ".join(parts),
            substituted=" + ".join(format_bytes(value) for value in parts.values()),
            value=int(use.total_bytes),
            unit="bytes",
            terms=tuple(Term(label=name, value=int(value)) for name, value in parts.items()),
        )
