"""Sparse attention with a fixed pattern: a band around each token and a few global tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from planner.arrays import Numeric, ceil_div, minimum
from planner.model.bounds import Count, Size
from planner.model.execution import Execution
from planner.model.layout import Section
from planner.model.operation import Operation, all_reduce, gemm
from planner.model.part import Stateless
from planner.model.step import Step
from planner.model.tensor import Tensor, linear


@dataclass(frozen=True, slots=True, kw_only=True)
class LongformerAttention(Stateless):
    """Attention of an encoder to a band around each token, and to and from a few global tokens.

    Global tokens have projections of their own for queries, keys and values.

    Parameters
    ----------
    hidden, heads : int
        Width of the residual stream and heads that share it. [elements], [1]
    window : int
        Keys of the band, on both sides together; the token itself comes on top. [tokens]
    global_tokens : int
        Tokens that see all and are seen by all; a choice of the task, not of the model. [tokens]
    form : {"sliding_chunks", "band"}
        The reference's products of overlapping chunks, about twice the band, or the band alone.
    """

    kind: Literal["longformer"] = "longformer"
    hidden: Size
    heads: Size
    window: Size
    global_tokens: Count = 0
    form: Literal["sliding_chunks", "band"] = "sliding_chunks"

    @property
    def variant(self) -> str:
        """Common name."""
        return "Longformer"

    def _heads(self) -> Section:
        return Section(self.heads, self.hidden // self.heads, "query heads")

    def _projections(self, suffix: str, *names: str) -> tuple[Tensor, ...]:
        return tuple(
            tensor
            for name in names
            for tensor in linear(
                f"self.{name}{suffix}", self.hidden, self.hidden, bias=True, out=(self._heads(),)
            )
        )

    def _output(self) -> tuple[Tensor, ...]:
        inner = (self._heads(),)
        return linear("output.dense", self.hidden, self.hidden, bias=True, inner=inner)

    def tensors(self) -> tuple[Tensor, ...]:
        """Return projections, those of global tokens and the one back to the residual stream.

        Returns
        -------
        tuple of Tensor
            Heads are cut over ranks.

        References
        ----------
        beltagy-2020

        Examples
        --------
        >>> sum(t.elements for t in LongformerAttention(hidden=768, heads=12, window=512).tensors())
        4134144
        """
        names = ("query", "key", "value")
        own, everywhere = self._projections("", *names), self._projections("_global", *names)
        return (*own, *everywhere, *self._output())

    def pairs(self, tokens: Numeric) -> tuple[Numeric, Numeric]:
        r"""Return the pairs that are scored and the pairs whose values are added up.

        The band and the global rows and columns are :math:`n(w + 1) + 2ng - g^2`. The reference
        scores ``n/v - 1`` squares of ``2v`` tokens with ``v = w/2``, adds up values in ``n/v``
        rectangles of ``v`` by ``3v``, and makes ``2ng`` global pairs, those of global tokens with
        each other twice.

        Parameters
        ----------
        tokens : numeric
            Length of the sequence ``n``. [tokens]

        Returns
        -------
        tuple of numeric
            Scored and added up. [1]

        References
        ----------
        beltagy-2020

        Examples
        --------
        >>> band = LongformerAttention(
        ...     hidden=768, heads=12, window=512, global_tokens=1, form="band"
        ... )
        >>> band.pairs(4096)
        (2109439, 2109439)
        """
        around = 2 * tokens * self.global_tokens
        if self.form == "band":
            band = tokens * (self.window + 1) + around - self.global_tokens**2
            return minimum(band, tokens * tokens), minimum(band, tokens * tokens)
        side = self.window // 2
        padded = ceil_div(tokens, self.window) * self.window
        squares = (padded // side - 1) * (2 * side) ** 2
        return squares + around, 3 * padded * side + around

    def operations(self, step: Step, execution: Execution) -> tuple[Operation, ...]:
        """Return projections, attention and the sum over ranks.

        Parameters
        ----------
        step : Step
            The forward pass over a whole sequence.
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
        beltagy-2020

        Examples
        --------
        >>> from planner.model.execution import half
        >>> attention = LongformerAttention(hidden=768, heads=12, window=512)
        >>> attention.operations(Step.prefill(1, 4096), half())[1].flop
        10871635968
        """
        tokens, stream = step.tokens, execution.stream_bytes
        heads = self._heads().units_on_rank(execution.layout.tp)
        width = heads * self._heads().width
        scored, added = self.pairs(step.new_tokens)
        names = ("query", "key", "value")
        operations = [gemm("self.qkv", self._projections("", *names), tokens, execution)]
        if self.global_tokens:
            rows = step.batch * minimum(self.global_tokens, step.new_tokens)
            shared = self._projections("_global", "key", "value")
            operations += [
                gemm("self.qkv_global", shared, tokens, execution),
                gemm("self.query_global", self._projections("_global", "query"), rows, execution),
            ]
        operations.insert(
            1,
            Operation(
                name="self.attention",
                kind="attention_prefill",
                precision=execution.stream.precision,
                flop=2 * step.batch * (scored + added) * width,
                input_bytes=3 * tokens * width * stream,
                output_bytes=tokens * width * stream,
                shape={
                    "batch": step.batch,
                    "query_heads": heads,
                    "kv_heads": heads,
                    "head_dim": self._heads().width,
                    "new_tokens": step.new_tokens,
                    "cached_tokens": step.cached_tokens,
                    "window": self.window + 1,
                    "causal": False,
                },
            ),
        )
        operations.append(gemm("output.dense", self._output(), tokens, execution))
        if execution.layout.tp > 1:
            operations.append(all_reduce("output.all_reduce", tokens, self.hidden, execution))
        return tuple(operations)
