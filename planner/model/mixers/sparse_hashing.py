"""Reformer's attention: chunks of neighbours, or of tokens that a random hash put side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from planner.arrays import Numeric, minimum
from planner.model.bounds import Count, Size
from planner.model.cache import Cache
from planner.model.execution import Execution
from planner.model.input_cache import InputCache
from planner.model.layout import Section
from planner.model.operation import Operation, all_reduce, elementwise, gemm
from planner.model.step import Step
from planner.model.storage import Format
from planner.model.tensor import Tensor, linear

INT64 = Format(name="int64", precision="int8", bits=64)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReformerAttention:
    """Attention within chunks, either of the sequence as it is or as hashing sorted it.

    With hashing, queries are keys too, and each round sorts and attends anew. What is kept of a
    sequence are the layer's inputs and the buckets of every round; keys and values of the chunks
    that a new token sees are made again from the inputs.

    Parameters
    ----------
    hidden : int
        Width of the residual stream. [elements]
    heads, head_dim : int
        Heads and their width. [1], [elements]
    chunk : int
        Tokens of a chunk. [tokens]
    chunks_before, chunks_after : int
        Further chunks that a token sees on each side. [1]
    rounds : int
        Rounds of hashing; 0 for chunks of neighbours. [1]
    rotations : int
        Buckets, or the sum of their factors; 0 for twice as many as there are chunks. [1]
    """

    kind: Literal["reformer"] = "reformer"
    hidden: Size
    heads: Size
    head_dim: Size
    chunk: Size
    chunks_before: Count = 1
    chunks_after: Count = 0
    rounds: Count = 0
    rotations: Count = 0

    @property
    def variant(self) -> str:
        """Common name."""
        return "LSH attention" if self.rounds else "local attention"

    def _heads(self) -> Section:
        return Section(self.heads, self.head_dim, "query heads")

    def _projections(self) -> tuple[Tensor, ...]:
        names = ("query_key", "value") if self.rounds else ("query", "key", "value")
        width = self.heads * self.head_dim
        return tuple(
            tensor
            for name in names
            for tensor in linear(
                f"attention.self_attention.{name}", width, self.hidden, out=(self._heads(),)
            )
        )

    def _output(self) -> tuple[Tensor, ...]:
        width = self.heads * self.head_dim
        return linear("attention.output.dense", self.hidden, width, inner=(self._heads(),))

    def tensors(self) -> tuple[Tensor, ...]:
        """Return projections.

        Returns
        -------
        tuple of Tensor
            Heads are cut over ranks.

        References
        ----------
        kitaev-2020

        Examples
        --------
        >>> lsh = ReformerAttention(hidden=256, heads=2, head_dim=64, chunk=64, rounds=1)
        >>> sum(t.elements for t in lsh.tensors())
        98304
        """
        return (*self._projections(), *self._output())

    def caches(self) -> tuple[Cache, ...]:
        """Return the inputs of every token and, with hashing, its buckets.

        Returns
        -------
        tuple of Cache
            Inputs are whole on every rank, buckets are integers of 64 bits.

        References
        ----------
        kitaev-2020

        Examples
        --------
        >>> from planner.model.execution import half
        >>> lsh = ReformerAttention(hidden=256, heads=2, head_dim=64, chunk=64, rounds=4)
        >>> [cache.token_bytes(half(), tp=1) for cache in lsh.caches()]
        [512, 64]
        """
        inputs = InputCache(sections=(Section(1, self.hidden, "residual streams", "replicate"),))
        if not self.rounds:
            return (inputs,)
        buckets = Section(self.heads, self.rounds, "query heads")
        return (inputs, InputCache(kind="buckets", sections=(buckets,), format=INT64))

    def seen_keys(self, length: Numeric) -> Numeric:
        """Return the keys that one query sees in all rounds together.

        Parameters
        ----------
        length : numeric
            Length of the sequence. [tokens]

        Returns
        -------
        numeric
            ``rounds · min(length, chunks · chunk)``. [1]

        References
        ----------
        kitaev-2020

        Examples
        --------
        >>> lsh = ReformerAttention(hidden=256, heads=2, head_dim=64, chunk=64, rounds=4)
        >>> 65536 * lsh.seen_keys(65536)
        33554432
        """
        chunks = 1 + self.chunks_before + self.chunks_after
        return max(self.rounds, 1) * minimum(length, chunks * self.chunk)

    def operations(self, step: Step, execution: Execution) -> tuple[Operation, ...]:
        """Return projections, hashing, attention and the sum over ranks.

        Parameters
        ----------
        step : Step
            The forward pass.
        execution : Execution
            Formats and layout.

        Returns
        -------
        tuple of Operation
            In the order of execution.

        Raises
        ------
        LayoutError
            The ranks do not divide the heads.

        References
        ----------
        kitaev-2020

        Examples
        --------
        >>> from planner.model.execution import half
        >>> lsh = ReformerAttention(
        ...     hidden=256, heads=2, head_dim=64, chunk=64, rounds=4, rotations=128
        ... )
        >>> [op.flop for op in lsh.operations(Step.prefill(1, 4096), half())]
        [536870912, 268435456, 1073741824, 268435456]
        """
        tokens = step.tokens
        operations = [
            gemm("attention.self_attention.in", self._projections(), tokens, execution),
            *self._hashing(step, execution),
            self._attention(step, execution),
            gemm("attention.output.dense", self._output(), tokens, execution),
        ]
        if execution.layout.tp > 1:
            operations.append(all_reduce("attention.all_reduce", tokens, self.hidden, execution))
        return tuple(operations)

    def _width(self, execution: Execution) -> int:
        return self._heads().units_on_rank(execution.layout.tp) * self.head_dim

    def _hashing(self, step: Step, execution: Execution) -> tuple[Operation, ...]:
        """Return the random rotations of all vectors in all rounds; half of them are negatives."""
        if not self.rounds:
            return ()
        width = self._width(execution)
        length = step.cached_tokens + step.new_tokens
        rotations = self.rotations or 2 * length / self.chunk
        hashing = elementwise("attention.hashing", step.tokens, width, width, execution)
        return (
            Operation(
                name=hashing.name,
                kind="elementwise",
                precision=hashing.precision,
                flop=2 * step.tokens * width * self.rounds * rotations // 2,
                input_bytes=hashing.input_bytes,
                output_bytes=step.tokens * self._heads().units_on_rank(execution.layout.tp)
                * self.rounds * 8,
                shape=hashing.shape,
            ),
        )  # fmt: skip

    def _attention(self, step: Step, execution: Execution) -> Operation:
        tp, width, tokens = execution.layout.tp, self._width(execution), step.tokens
        keys = self.seen_keys(step.cached_tokens + step.new_tokens)
        remade = 4 * tokens * keys * self.hidden * width if step.phase == "decode" else 0
        written = sum(cache.token_bytes(execution, tp=tp) for cache in self.caches())
        moved = tokens * width * execution.stream_bytes
        seen = minimum(step.cached_tokens, keys)
        return Operation(
            name="attention.self_attention",
            kind="attention_prefill" if step.phase == "prefill" else "attention_decode",
            precision=execution.stream.precision,
            flop=4 * tokens * keys * width + remade,
            cache_read_bytes=step.batch * seen * written,
            cache_write_bytes=tokens * written,
            input_bytes=(2 if self.rounds else 3) * moved,
            output_bytes=moved,
            shape={
                "batch": step.batch,
                "query_heads": width // self.head_dim,
                "kv_heads": width // self.head_dim,
                "head_dim": self.head_dim,
                "new_tokens": step.new_tokens,
                "cached_tokens": step.cached_tokens,
                "window": keys,
            },
        )
