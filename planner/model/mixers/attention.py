"""Softmax attention: MHA, MQA and GQA are one class with different ``kv_heads``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from planner.arrays import Numeric
from planner.model.bounds import Count, Flag, Size
from planner.model.cache import TokenCache
from planner.model.execution import Execution
from planner.model.layout import Section, Split
from planner.model.mixers.pairs import causal_pairs, chunked_pairs, mutual_pairs, visible_keys
from planner.model.operation import Operation, all_reduce, cache_update, elementwise, gemm
from planner.model.step import Step
from planner.model.tensor import Tensor, linear

QKNorm = Literal["none", "head", "layer_norm_head", "full", "weightless"]
"""How queries and keys are normalised before they meet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention:
    """Softmax attention over the sequence itself, ``kv_heads`` shared by groups of query heads.

    Parameters
    ----------
    hidden : int
        Width of the residual stream. [elements]
    input_width : int, optional
        Width of the layer's input where it is not the residual stream alone. [elements]
    query_heads, kv_heads : int
        Heads; equal for MHA, one KV head for MQA, in between for GQA. [1]
    head_dim : int
        Width of one head's query and key. [elements]
    value_dim : int, optional
        Width of one head's value; ``head_dim`` without it. [elements]
    window : int, optional
        Keys a query sees (to either side, where it looks both ways), itself included; None for
        all. [tokens]
    chunk : int, optional
        Where a query sees the keys of its own chunk only: tokens of a chunk. [tokens]
    sink_tokens : int
        First tokens that stay visible beside a window. [tokens]
    causal : bool
        Whether a query sees no later keys. Without it the layer reads the whole sequence at once
        and keeps no cache.
    own_kv : bool
        Whether the layer makes its own keys and values; if not, it reads those of an earlier layer.
    value_projection : bool
        Whether values have a projection; if not, they are made of the keys' one.
    qkv_bias, output_bias : bool
        Whether projections have biases.
    key_bias : bool
        Whether keys share in ``qkv_bias``.
    qk_norm : {"none", "head", "layer_norm_head", "full", "weightless"}
        RMSNorm of queries and keys, one weight of ``head_dim`` shared by all heads; LayerNorm
        likewise; one weight for every element of all heads; or a norm without weights.
    rotary : bool
        Whether queries and keys are rotated by position.
    rotary_dim : int, optional
        Elements of each head that are rotated; None for all. [elements]
    distance_bias : {"none", "alibi", "relative"}
        What is added to scores by distance: ALiBi's slopes, or a learned table that stands apart.
    sinks : bool
        Whether each query head has a learned logit that takes attention from all keys.
    output_gate : {"none", "element", "head"}
        Whether a projection of the input scales each element, or each head, of what was attended.
    """

    kind: Literal["attention"] = "attention"
    hidden: Size
    query_heads: Size
    kv_heads: Size
    head_dim: Size
    value_dim: Size | None = None
    window: Size | None = None
    chunk: Size | None = None
    sink_tokens: Count = 0
    causal: Flag = True
    own_kv: Flag = True
    value_projection: Flag = True
    qkv_bias: Flag = False
    key_bias: Flag = True
    output_bias: Flag = False
    qk_norm: QKNorm = "none"
    rotary: Flag = True
    rotary_dim: Size | None = None
    distance_bias: Literal["none", "alibi", "relative"] = "none"
    sinks: Flag = False
    output_gate: Literal["none", "element", "head"] = "none"
    input_width: Size | None = None

    @property
    def variant(self) -> str:
        """Common name: MHA, GQA or MQA, and before it what it does not see, or also sees."""
        if self.kv_heads == self.query_heads:
            name = "MHA"
        else:
            name = "MQA" if self.kv_heads == 1 else "GQA"
        if self.window is not None:
            name = f"SWA {name}"
        if self.chunk is not None:
            name = f"chunked {name}"
        return name if self.causal else f"bidirectional {name}"

    @property
    def reach(self) -> int | None:
        """Keys a query sees at most, sinks included; None for all. [tokens]."""
        return None if self.window is None else self.window + self.sink_tokens

    @property
    def values(self) -> int:
        """Width of one head's value. [elements]."""
        return self.value_dim or self.head_dim

    def _queries(self, width: int) -> Section:
        return Section(self.query_heads, width, "query heads")

    def _kv(self, width: int) -> Section:
        return Section(self.kv_heads, width, "KV heads", "replicate")

    def _projections(self) -> tuple[Tensor, ...]:
        """Return everything that is made of the layer's input in one product."""
        rows = [("q_proj", self._queries(self.head_dim), self.qkv_bias)]
        if self.own_kv:
            rows.append(("k_proj", self._kv(self.head_dim), self.qkv_bias and self.key_bias))
            if self.value_projection:
                rows.append(("v_proj", self._kv(self.values), self.qkv_bias))
        if self.output_gate != "none":
            width = self.values if self.output_gate == "element" else 1
            rows.append(("gate_proj", self._queries(width), False))
        return tuple(
            tensor
            for name, section, bias in rows
            for tensor in linear(
                f"self_attn.{name}",
                section.units * section.width,
                self.input_width or self.hidden,
                bias=bias,
                out=(section,),
            )
        )

    def _output(self) -> tuple[Tensor, ...]:
        heads = self._queries(self.values)
        return linear(
            "self_attn.o_proj",
            self.hidden,
            heads.units * heads.width,
            bias=self.output_bias,
            inner=(heads,),
        )

    def _small(self) -> tuple[Tensor, ...]:
        tensors: list[Tensor] = []
        if self.qk_norm not in ("none", "weightless"):
            sides = [("q", self._queries(self.head_dim)), ("k", self._kv(self.head_dim))]
            suffixes = ("weight", "bias") if self.qk_norm == "layer_norm_head" else ("weight",)
            whole = self.qk_norm == "full"
            tensors += [
                Tensor(
                    f"self_attn.{side}_norm.{suffix}",
                    ((section.units if whole else 1) * section.width,),
                    "norm",
                    Split(0, (section,)) if whole else None,
                )
                for side, section in sides[: 2 if self.own_kv else 1]
                for suffix in suffixes
            ]
        if self.sinks:
            split = Split(0, (self._queries(1),))
            tensors.append(Tensor("self_attn.sinks", (self.query_heads,), "bias", split))
        return tuple(tensors)

    def tensors(self) -> tuple[Tensor, ...]:
        """Return projections, norms of queries and keys, and sinks.

        Returns
        -------
        tuple of Tensor
            Heads are cut over ranks; KV heads are copied once ranks outnumber them.

        References
        ----------
        ainslie-2023

        Examples
        --------
        >>> llama = Attention(hidden=4096, query_heads=32, kv_heads=8, head_dim=128)
        >>> sum(t.elements for t in llama.tensors())
        41943040
        """
        return (*self._projections(), *self._output(), *self._small())

    def _read_cache(self) -> TokenCache:
        """Return the keys and values that queries meet, whichever layer made them."""
        reach = self.chunk if self.chunk is not None else self.reach
        kind: Literal["full", "sliding", "chunked"] = "full" if reach is None else "sliding"
        return TokenCache(
            kind=kind if self.chunk is None else "chunked",
            heads=self._kv(1),
            key_dim=self.head_dim,
            value_dim=self.values,
            window=reach,
        )

    def caches(self) -> tuple[TokenCache, ...]:
        """Return the keys and values kept per token.

        Returns
        -------
        tuple of TokenCache
            One descriptor; none where the layer reads another one's, or the whole sequence at once.

        References
        ----------
        ainslie-2023, jiang-2023, brandon-2024, sun-2024, xiao-2024

        Examples
        --------
        >>> Attention(hidden=4096, query_heads=32, kv_heads=8, head_dim=128).caches()[0].kind
        'full'
        """
        return (self._read_cache(),) if self.causal and self.own_kv else ()

    def operations(self, step: Step, execution: Execution) -> tuple[Operation, ...]:
        """Return projections, rotation, cache update, attention and the sum over ranks.

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
        vaswani-2017, dao-2022

        Examples
        --------
        >>> from planner.model.execution import half
        >>> llama = Attention(hidden=4096, query_heads=32, kv_heads=8, head_dim=128)
        >>> {op.name: op.flop for op in llama.operations(Step.decode(1, 8192), half())}[
        ...     "self_attn.attention"
        ... ]
        134217728.0
        """
        tp, tokens = execution.layout.tp, step.tokens
        heads = self._queries(1).units_on_rank(tp)
        kv_heads = self._kv(1).units_on_rank(tp)
        operations = [gemm("self_attn.qkv_proj", self._projections(), tokens, execution)]
        turning = heads + (kv_heads if self.own_kv else 0)
        if self.qk_norm != "none":
            width = turning * self.head_dim
            operations.append(elementwise("self_attn.qk_norm", tokens, width, width, execution))
        if self.rotary:
            width = turning * (self.rotary_dim or self.head_dim)
            operations.append(elementwise("self_attn.rotary", tokens, width, width, execution))
        if self.causal and self.own_kv:
            operations.append(self._cache_update(step, execution, kv_heads))
        operations.append(self._attention(step, execution, heads, kv_heads))
        if self.output_gate != "none":
            width = heads * self.values
            gate = width if self.output_gate == "element" else heads
            operations.append(elementwise("self_attn.gate", tokens, width + gate, width, execution))
        operations.append(gemm("self_attn.o_proj", self._output(), tokens, execution))
        if tp > 1:
            operations.append(all_reduce("self_attn.all_reduce", tokens, self.hidden, execution))
        return tuple(operations)

    def _cache_update(self, step: Step, execution: Execution, kv_heads: int) -> Operation:
        kv_width = kv_heads * (self.head_dim + self.values)
        written = step.tokens * self._read_cache().token_bytes(execution, tp=execution.layout.tp)
        return cache_update("self_attn.cache_update", step.tokens, kv_width, written, execution)

    def _pairs(self, step: Step) -> Numeric:
        new, cached = step.new_tokens, step.cached_tokens
        if not self.causal:
            return mutual_pairs(new, self.window, self.chunk) + new * cached
        if self.chunk is not None:
            return chunked_pairs(new, cached, self.chunk)
        return causal_pairs(new, cached, self.reach)

    def _attention(self, step: Step, execution: Execution, heads: int, kv_heads: int) -> Operation:
        stream = execution.stream_bytes
        read: Numeric = 0
        inputs = step.tokens * heads * self.head_dim * stream
        if self.causal:
            keys = visible_keys(step.new_tokens, step.cached_tokens, self.reach, self.chunk)
            kept = self._read_cache().stored_bytes(keys, execution, tp=execution.layout.tp)
            read = step.batch * kept
        else:
            inputs += step.tokens * kv_heads * (self.head_dim + self.values) * stream
        shape = {
            "batch": step.batch,
            "query_heads": heads,
            "kv_heads": kv_heads,
            "head_dim": self.head_dim,
            "new_tokens": step.new_tokens,
            "cached_tokens": step.cached_tokens,
            "window": self.reach if self.chunk is None else self.chunk,
            "causal": self.causal,
        }
        return Operation(
            name="self_attn.attention",
            kind="attention_prefill" if step.phase == "prefill" else "attention_decode",
            precision=execution.stream.precision,
            flop=2 * step.batch * self._pairs(step) * heads * (self.head_dim + self.values),
            cache_read_bytes=read,
            input_bytes=inputs,
            output_bytes=step.tokens * heads * self.values * stream,
            shape=shape if self.values == self.head_dim else {**shape, "value_dim": self.values},
        )
