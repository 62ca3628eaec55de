"""Device memory of one pipeline stage's ranks: weights, caches, activations, runtime."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from planner.arrays import Numeric, minimum
from planner.cost.activations import ActivationPeak, activation_peak
from planner.explanation import Explanation, Term
from planner.hardware import Runtime
from planner.model import Execution, Layout, Model
from planner.model.layout import SINGLE
from planner.model.placement import stored_tensors
from planner.units import format_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryUse:
    """Where the bytes of one rank go; every field may be an array."""

    weights_bytes: int
    cache_bytes: Numeric
    activations_bytes: Numeric
    runtime_bytes: int
    graphs_bytes: int = 0
    reserve_bytes: Numeric = 0

    @property
    def total_bytes(self) -> Numeric:
        """Sum of all parts. [bytes]."""
        return (
            self.weights_bytes
            + self.cache_bytes
            + self.activations_bytes
            + self.runtime_bytes
            + self.graphs_bytes
            + self.reserve_bytes
        )


@dataclass(frozen=True, slots=True, kw_only=True)
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
    capacity_bytes : int
        What the driver shows as total. [bytes]
    step_tokens : int
        Most tokens in one step; longer prompts are read in chunks. [tokens]
    weights_bytes : int
        Weights of the rank. [bytes]
    activations : ActivationPeak
        Bounds of the activations.
    """

    model: Model
    execution: Execution
    runtime: Runtime
    capacity_bytes: int
    step_tokens: int
    weights_bytes: int
    activations: ActivationPeak

    @classmethod
    def of(
        cls,
        model: Model,
        execution: Execution,
        runtime: Runtime,
        *,
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
        capacity_bytes : int
            What the driver shows as total. [bytes]
        step_tokens : int
            Most tokens in one step. [tokens]

        Returns
        -------
        StageMemory
            Weights and activation bounds already summed.

        Raises
        ------
        LayoutError
            The ranks do not divide the model.
        """
        return cls(
            model=model,
            execution=execution,
            runtime=runtime,
            capacity_bytes=capacity_bytes,
            step_tokens=step_tokens,
            weights_bytes=model.weights_bytes(execution, layout=execution.layout),
            activations=activation_peak(model, execution),
        )

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
        tokens = minimum(sequences * context, self.step_tokens)
        return MemoryUse(
            weights_bytes=self.weights_bytes,
            cache_bytes=sequences * self.sequence_bytes(context),
            activations_bytes=self.activations.bytes(tokens, sequences),
            runtime_bytes=self.runtime_bytes,
        )

    def sequence_bytes(self, context: Numeric) -> Numeric:
        """Return what one sequence takes in the caches of the rank.

        Parameters
        ----------
        context : numeric
            Tokens in its cache. [tokens]

        Returns
        -------
        numeric
            Keys, values and states. [bytes]
        """
        return self.model.cache_bytes(context, self.execution, layout=self.layout)

    def fits(self, context: Numeric, sequences: Numeric) -> Numeric:
        """Return whether a load fits into the capacity.

        Parameters
        ----------
        context : numeric
            Tokens in each cache. [tokens]
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
            A field of :class:`MemoryUse`, or ``"capacity_bytes"``.
        context, sequences : int
            The load. [tokens], [1]

        Returns
        -------
        Explanation
            With one term per tensor kind, cache or item.
        """
        explain: dict[str, Callable[[], Explanation]] = {
            "weights_bytes": lambda: explain_weights(self.model, self.execution, self.layout),
            "cache_bytes": lambda: explain_cache(
                self.model, self.execution, context, sequences, self.layout
            ),
            "activations_bytes": lambda: self._explain_activations(context, sequences),
            "runtime_bytes": lambda: self.runtime.explain(self.layout.joined_devices),
            "graphs_bytes": lambda: _explain_none("graphs_bytes", "Memory of captured CUDA graphs"),
            "reserve_bytes": lambda: _explain_none("reserve_bytes", "Memory left alone on purpose"),
            "total_bytes": lambda: self._explain_total(context, sequences),
        }
        return explain[figure]()

    def _explain_activations(self, context: int, sequences: int) -> Explanation:
        tokens = min(sequences * context, self.step_tokens)
        peak = self.activations
        return Explanation(
            figure="activations_bytes",
            meaning="The most that activations of one step take at once on a device.",
            formula="tokens · residual + max(tokens · widest operation, rows · logits"
            + (", rows · other sequence)" if peak.sequence_bytes else ")"),
            substituted=f"{tokens:,} · {peak.residual_bytes:,} + max({tokens:,} · "
            f"{peak.widest_bytes:,.0f}, {sequences:,} · {peak.logits_bytes:,}"
            + (f", {sequences:,} · {peak.sequence_bytes:,.0f})" if peak.sequence_bytes else ")"),
            value=int(peak.bytes(tokens, sequences)),
            unit="bytes",
            terms=(
                Term(label="residual stream", value=peak.residual_bytes * tokens),
                Term(label=f"widest operation: {peak.widest}", value=peak.widest_bytes * tokens),
                Term(label="logits with an fp32 copy", value=peak.logits_bytes * sequences),
                *self._explain_sequences(sequences),
            ),
        )

    def _explain_sequences(self, sequences: int) -> Iterable[Term]:
        size = self.activations.sequence_bytes
        if size:
            yield Term(label="work on another sequence", value=size * sequences)

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


def explain_weights(model: Model, execution: Execution, layout: Layout = SINGLE) -> Explanation:
    """Return how the bytes of the weights came about.

    Parameters
    ----------
    model : Model
        The model.
    execution : Execution
        Gives the storage scheme.
    layout : Layout
        Parallel sizes; those of one device for the whole.

    Returns
    -------
    Explanation
        One term per kind of layer and tensor.
    """
    rows: dict[tuple[str, str, str], list[int]] = {}
    for layer, tensor, count, scheme in stored_tensors(model, execution.weights):
        own = tensor.on_rank(layout)
        shape = f"{'×'.join(map(str, own.shape))} in {scheme.format_of(own).name}"
        size = scheme.tensor_bytes(own) * count
        times, total = rows.get((layer, tensor.name, shape), (0, 0))
        rows[layer, tensor.name, shape] = [times + count, total + size]
    terms = [
        Term(label=f"{layer} · {name}", value=size, detail=f"{count} × {shape}")
        for (layer, name, shape), (count, size) in rows.items()
    ]
    if execution.weights.extra_bytes:
        terms.append(Term(label="what else the file holds", value=execution.weights.extra_bytes))
    where = "the whole model" if layout.replica_devices == 1 else f"one rank of {layout}"
    return Explanation(
        figure="weights_bytes",
        meaning=f"Stored weights of {where}, scales included.",
        formula="Σ over tensors: occurrences · elements on the rank · bits / 8 + scales",
        substituted=f"{len(terms)} kinds of tensor, {model.parameters:,} parameters in all",
        value=sum(int(term.value) for term in terms),
        unit="bytes",
        terms=tuple(terms),
        sources=("shoeybi-2019",),
    )


def explain_cache(
    model: Model, execution: Execution, context: int, sequences: int, layout: Layout = SINGLE
) -> Explanation:
    """Return how the bytes of the caches came about.

    Parameters
    ----------
    model : Model
        The model.
    execution : Execution
        Gives the cache format.
    context, sequences : int
        Tokens in each cache, and how many sequences. [tokens], [1]
    layout : Layout
        Parallel sizes; those of one device for the whole.

    Returns
    -------
    Explanation
        One term per kind of cache.
    """
    terms = []
    for layer, cache, count in model.caches:
        held, tp = int(cache.share(context, layout.token_ranks)), layout.tp
        size = cache.sequence_bytes(held, execution, tp=tp)
        detail = f"{count} layers × {cache.describe(held, execution, tp=tp)}"
        label = f"{layer} · {cache.kind}"
        terms.append(Term(label=label, value=sequences * size * count, detail=detail))
    return Explanation(
        figure="cache_bytes",
        meaning="Keys, values and states of all sequences at the given context.",
        formula="sequences · Σ over caches: layers · min(context, window) · kv_heads · "
        "(key_dim + value_dim) · bytes, or the state's size",
        substituted=f"{sequences:,} sequences × {context:,} tokens",
        value=sum(int(term.value) for term in terms),
        unit="bytes",
        terms=tuple(terms),
        sources=("ainslie-2023", "jiang-2023", "dao-2024"),
    )


def _explain_none(figure: str, what: str) -> Explanation:
    return Explanation(
        figure=figure,
        meaning=f"{what}; belongs to an engine, and none was named.",
        formula="0",
        substituted="0",
        value=0,
        unit="bytes",
    )
