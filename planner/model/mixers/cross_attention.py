"""Attention to another sequence: an encoder's output, or the tokens of an image."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from planner.arrays import Numeric, minimum
from planner.model.bounds import Flag, Name, Size
from planner.model.encoder_cache import EncoderCache
from planner.model.execution import Execution
from planner.model.layer import Layer
from planner.model.layout import Section
from planner.model.operation import Operation, all_reduce, cache_update, elementwise, gemm
from planner.model.step import Step
from planner.model.tensor import Tensor, linear


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossAttention:
    """Queries of the new tokens meet keys and values of another sequence, made once.

    Parameters
    ----------
    hidden : int
        Width of the residual stream. [elements]
    source_width : int
        Width of what keys and values are made of. [elements]
    source_tokens : int
        Length of the other sequence. [tokens]
    source : str
        Name of the tower that makes it.
    query_heads, kv_heads : int
        Heads. [1]
    head_dim : int
        Width of one head. [elements]
    qkv_bias, output_bias : bool
        Whether projections have biases.
    key_bias : bool
        Whether keys share in ``qkv_bias``.
    qk_norm : bool
        RMSNorm of queries and keys, one weight of ``head_dim`` shared by all heads.
    """

    kind: Literal["cross_attention"] = "cross_attention"
    hidden: Size
    source_width: Size
    source_tokens: Size
    source: Name = "encoder"
    query_heads: Size
    kv_heads: Size
    head_dim: Size
    qkv_bias: Flag = False
    key_bias: Flag = True
    output_bias: Flag = False
    qk_norm: Flag = False

    def _queries(self, width: int) -> Section:
        return Section(self.query_heads, width, "query heads")

    def _kv(self, width: int) -> Section:
        return Section(self.kv_heads, width, "KV heads", "replicate")

    def _query(self) -> tuple[Tensor, ...]:
        section = self._queries(self.head_dim)
        width = section.units * section.width
        return linear("cross_attn.q_proj", width, self.hidden, bias=self.qkv_bias, out=(section,))

    def _source(self) -> tuple[Tensor, ...]:
        section = self._kv(self.head_dim)
        width = section.units * section.width
        sides = (("k_proj", self.qkv_bias and self.key_bias), ("v_proj", self.qkv_bias))
        return tuple(
            tensor
            for name, bias in sides
            for tensor in linear(
                f"cross_attn.{name}", width, self.source_width, bias=bias, out=(section,)
            )
        )

    def _output(self) -> tuple[Tensor, ...]:
        section = self._queries(self.head_dim)
        width = section.units * section.width
        return linear(
            "cross_attn.o_proj", self.hidden, width, bias=self.output_bias, inner=(section,)
        )

    def tensors(self) -> tuple[Tensor, ...]:
        """Return projections and norms of queries and keys.

        Returns
        -------
        tuple of Tensor
            Heads are cut over ranks; KV heads are copied once ranks outnumber them.

        References
        ----------
        vaswani-2017

        Examples
        --------
        >>> whisper = CrossAttention(
        ...     hidden=1280,
        ...     source_width=1280,
        ...     source_tokens=1500,
        ...     query_heads=20,
        ...     kv_heads=20,
        ...     head_dim=64,
        ... )
        >>> sum(t.elements for t in whisper.tensors())
        6553600
        """
        norms = tuple(
            Tensor(f"cross_attn.{side}_norm.weight", (self.head_dim,), "norm")
            for side in ("q", "k")
            if self.qk_norm
        )
        return (*self._query(), *self._source(), *self._output(), *norms)

    def caches(self) -> tuple[EncoderCache, ...]:
        """Return the keys and values of the other sequence.

        Returns
        -------
        tuple of EncoderCache
            One descriptor, whose size does not depend on what is decoded.

        Examples
        --------
        >>> from planner.model.execution import half
        >>> CrossAttention(
        ...     hidden=1280,
        ...     source_width=1280,
        ...     source_tokens=1500,
        ...     query_heads=20,
        ...     kv_heads=20,
        ...     head_dim=64,
        ... ).caches()[0].sequence_bytes(1, half(), tp=1) * 32 / 2**20
        234.375
        """
        return (
            EncoderCache(
                heads=self._kv(1),
                key_dim=self.head_dim,
                value_dim=self.head_dim,
                tokens=self.source_tokens,
            ),
        )

    def operations(self, step: Step, execution: Execution) -> tuple[Operation, ...]:
        """Return projections, attention and the sum over ranks.

        Parameters
        ----------
        step : Step
            The forward pass.
        execution : Execution
            Formats and layout.

        Returns
        -------
        tuple of Operation
            Keys and values of the other sequence are made where a sequence begins, never later.

        Raises
        ------
        LayoutError
            The ranks do not divide the heads.

        References
        ----------
        vaswani-2017

        Examples
        --------
        >>> from planner.model.execution import half
        >>> whisper = CrossAttention(
        ...     hidden=1280,
        ...     source_width=1280,
        ...     source_tokens=1500,
        ...     query_heads=20,
        ...     kv_heads=20,
        ...     head_dim=64,
        ... )
        >>> [op.flop for op in whisper.operations(Step.decode(1, 448), half())]
        [3276800, 7680000, 3276800]
        """
        tp, tokens = execution.layout.tp, step.tokens
        operations = [gemm("cross_attn.q_proj", self._query(), tokens, execution)]
        if self.qk_norm:
            width = self._queries(self.head_dim).units_on_rank(tp) * self.head_dim
            operations.append(elementwise("cross_attn.q_norm", tokens, width, width, execution))
        if step.phase == "prefill":
            beginning = 1 - minimum(step.cached_tokens, 1)
            rows = step.batch * beginning * self.source_tokens
            made = gemm("cross_attn.kv_proj", self._source(), rows, execution)
            operations.append(replace(made, weight_bytes=made.weight_bytes * beginning))
            operations.append(self._cache_update(rows, execution))
        operations.append(self._attention(step, execution))
        operations.append(gemm("cross_attn.o_proj", self._output(), tokens, execution))
        if tp > 1:
            operations.append(all_reduce("cross_attn.all_reduce", tokens, self.hidden, execution))
        return tuple(operations)

    def _cache_update(self, rows: Numeric, execution: Execution) -> Operation:
        (cache,) = self.caches()
        tp = execution.layout.tp
        width = 2 * self._kv(self.head_dim).units_on_rank(tp) * self.head_dim
        written = rows * cache.encoder_token_bytes(execution, tp=tp)
        return cache_update("cross_attn.cache_update", rows, width, written, execution)

    def _attention(self, step: Step, execution: Execution) -> Operation:
        (cache,) = self.caches()
        tp = execution.layout.tp
        heads = self._queries(1).units_on_rank(tp)
        width = heads * self.head_dim
        moved = step.tokens * width * execution.stream_bytes
        return Operation(
            name="cross_attn.attention",
            kind="attention_prefill" if step.phase == "prefill" else "attention_decode",
            precision=execution.stream.precision,
            flop=4 * step.tokens * self.source_tokens * width,
            cache_read_bytes=step.batch * cache.sequence_bytes(0, execution, tp=tp),
            input_bytes=moved,
            output_bytes=moved,
            shape={
                "batch": step.batch,
                "query_heads": heads,
                "kv_heads": self._kv(1).units_on_rank(tp),
                "head_dim": self.head_dim,
                "new_tokens": step.new_tokens,
                "cached_tokens": self.source_tokens,
                "window": None,
                "causal": False,
            },
        )


def attending(layer: Layer, source: str, tokens: int) -> Layer:
    """Return a layer whose cross-attention sees so many tokens of a source.

    Parameters
    ----------
    layer : Layer
        The layer.
    source : str
        The tower that is read.
    tokens : int
        What it gives; one at least. [tokens]

    Returns
    -------
    Layer
        The same where nothing attends to the source.

    Examples
    --------
    >>> attending(Layer("decoder", ()), "encoder", 1500).parts
    ()
    """
    parts = tuple(
        replace(part, source_tokens=max(tokens, 1))
        if isinstance(part, CrossAttention) and part.source == source
        else part
        for part in layer.parts
    )
    return Layer(layer.name, parts)
