"""Softmax attention: MHA, MQA and GQA are one class with different ``kv_heads``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from planner.arrays import Numeric, maximum, minimum
from planner.model.bounds import Flag, Size
from planner.model.cache import TokenCache
from planner.model.execution import Execution
from planner.model.layout import Section, Split
from planner.model.operation import Operation, all_reduce, elementwise, gemm
from planner.model.step import Step
from planner.model.tensor import Tensor, linear


def causal_pairs(new_tokens: Numeric, cached_tokens: Numeric, window: int | None) -> Numeric:
    r"""Return the query-key pairs of one sequence that a causal mask admits.

    .. math::
        \sum_{i=0}^{S-1} \min(C + i + 1, W) = aC + a(a+1)/2 + (S-a)W, \quad
        a = \mathrm{clamp}(W - C, 0, S)

    Parameters
    ----------
    new_tokens : numeric
        Queries ``S``. [tokens]
    cached_tokens : numeric
        Keys before the first query ``C``. [tokens]
    window : int or None
        Keys a query may see, itself included ``W``; None for all. [tokens]

    Returns
    -------
    numeric
        Pairs. [1]

    References
    ----------
    jiang-2023

    Examples
    --------
    >>> causal_pairs(8192, 0, None), causal_pairs(8192, 0, 4096)
    (33558528.0, 25167872.0)
    """
    if window is None:
        return new_tokens * cached_tokens + new_tokens * (new_tokens + 1) / 2
    growing = minimum(maximum(window - cached_tokens, 0), new_tokens)
    return growing * cached_tokens + growing * (growing + 1) / 2 + (new_tokens - growing) * window


def visible_keys(new_tokens: Numeric, cached_tokens: Numeric, window: int | None) -> Numeric:
    """Return the keys of one sequence that at least one new query sees.

    Parameters
    ----------
    new_tokens : numeric
        Queries. [tokens]
    cached_tokens : numeric
        Keys before the first query. [tokens]
    window : int or None
        Keys a query may see, itself included. [tokens]

    Returns
    -------
    numeric
        ``min(C + S, W - 1 + S)``. [tokens]

    Examples
    --------
    >>> visible_keys(1, 8191, None), visible_keys(1, 8191, 128)
    (8192, 128)
    """
    if window is None:
        return cached_tokens + new_tokens
    return minimum(cached_tokens, window - 1) + new_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention:
    """Causal softmax attention with ``kv_heads`` shared by groups of query heads.

    Parameters
    ----------
    hidden : int
        Width of the residual stream. [elements]
    query_heads, kv_heads : int
        Heads; equal for MHA, one KV head for MQA, in between for GQA. [1]
    head_dim : int
        Width of one head. [elements]
    window : int, optional
        Keys a query sees, itself included; None for all. [tokens]
    qkv_bias, output_bias : bool
        Whether projections have biases.
    qk_norm : {"none", "head", "layer_norm_head"}
        RMSNorm of queries and keys, one weight of ``head_dim`` shared by all heads; or LayerNorm.
    rotary : bool
        Whether queries and keys are rotated by position.
    rotary_dim : int, optional
        Elements of each head that are rotated; None for all. [elements]
    sinks : bool
        Whether each query head has a learned logit that takes attention from all keys.
    """

    kind: Literal["attention"] = "attention"
    hidden: Size
    query_heads: Size
    kv_heads: Size
    head_dim: Size
    window: Size | None = None
    qkv_bias: Flag = False
    output_bias: Flag = False
    qk_norm: Literal["none", "head", "layer_norm_head"] = "none"
    rotary: Flag = True
    rotary_dim: Size | None = None
    sinks: Flag = False

    @property
    def variant(self) -> str:
        """Common name: MHA, GQA or MQA, and SWA where there is a window."""
        if self.kv_heads == self.query_heads:
            name = "MHA"
        else:
            name = "MQA" if self.kv_heads == 1 else "GQA"
        return name if self.window is None else f"SWA {name}"

    def _query_section(self) -> Section:
        return Section(self.query_heads, self.head_dim, "query heads")

    def _kv_section(self) -> Section:
        return Section(self.kv_heads, self.head_dim, "KV heads", "replicate")

    def _projections(self) -> tuple[Tensor, ...]:
        tensors: list[Tensor] = []
        for name, section in (
            ("q_proj", self._query_section()),
            ("k_proj", self._kv_section()),
            ("v_proj", self._kv_section()),
        ):
            width = section.units * section.width
            tensors += linear(
                f"self_attn.{name}", width, self.hidden, bias=self.qkv_bias, out=(section,)
            )
        return tuple(tensors)

    def _output(self) -> tuple[Tensor, ...]:
        width = self.query_heads * self.head_dim
        return linear(
            "self_attn.o_proj",
            self.hidden,
            width,
            bias=self.output_bias,
            inner=(self._query_section(),),
        )

    def _small(self) -> tuple[Tensor, ...]:
        tensors: list[Tensor] = []
        if self.qk_norm != "none":
            suffixes = ("weight", "bias") if self.qk_norm == "layer_norm_head" else ("weight",)
            tensors += [
                Tensor(f"self_attn.{side}_norm.{suffix}", (self.head_dim,), "norm")
                for side in ("q", "k")
                for suffix in suffixes
            ]
        if self.sinks:
            split = Split(0, (Section(self.query_heads, 1, "query heads"),))
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

    def caches(self) -> tuple[TokenCache, ...]:
        """Return the keys and values kept per token.

        Returns
        -------
        tuple of TokenCache
            One descriptor.

        References
        ----------
        ainslie-2023, jiang-2023

        Examples
        --------
        >>> Attention(hidden=4096, query_heads=32, kv_heads=8, head_dim=128).caches()[0].kind
        'full'
        """
        return (
            TokenCache(
                kind="full" if self.window is None else "sliding",
                heads=Section(self.kv_heads, 1, "KV heads", "replicate"),
                key_dim=self.head_dim,
                value_dim=self.head_dim,
                window=self.window,
            ),
        )

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
        tp = execution.layout.tp
        tokens = step.tokens
        query_heads = self._query_section().units_on_rank(tp)
        kv_heads = self._kv_section().units_on_rank(tp)
        operations = [gemm("self_attn.qkv_proj", self._projections(), tokens, execution)]
        rotated = (query_heads + kv_heads) * self.head_dim
        if self.qk_norm != "none":
            operations.append(elementwise("self_attn.qk_norm", tokens, rotated, rotated, execution))
        if self.rotary:
            turned = (query_heads + kv_heads) * (self.rotary_dim or self.head_dim)
            operations.append(elementwise("self_attn.rotary", tokens, turned, turned, execution))
        operations.append(self._cache_update(step, execution))
        operations.append(self._attention(step, execution, query_heads, kv_heads))
        operations.append(gemm("self_attn.o_proj", self._output(), tokens, execution))
        if tp > 1:
            operations.append(all_reduce("self_attn.all_reduce", tokens, self.hidden, execution))
        return tuple(operations)

    def _cache_update(self, step: Step, execution: Execution) -> Operation:
        (cache,) = self.caches()
        tp = execution.layout.tp
        kv_width = 2 * cache.heads.units_on_rank(tp) * self.head_dim
        written = step.tokens * cache.token_bytes(execution, tp=tp)
        read = step.tokens * kv_width * execution.stream_bytes
        return Operation(
            name="self_attn.cache_update",
            kind="elementwise",
            precision=execution.stream.precision,
            input_bytes=read,
            cache_write_bytes=written,
            shape={"tokens": step.tokens, "width": kv_width, "total_bytes": read + written},
        )

    def _attention(
        self, step: Step, execution: Execution, query_heads: int, kv_heads: int
    ) -> Operation:
        (cache,) = self.caches()
        pairs = causal_pairs(step.new_tokens, step.cached_tokens, self.window)
        keys = visible_keys(step.new_tokens, step.cached_tokens, self.window)
        width = query_heads * self.head_dim
        return Operation(
            name="self_attn.attention",
            kind="attention_prefill" if step.phase == "prefill" else "attention_decode",
            precision=execution.stream.precision,
            flop=4 * step.batch * pairs * width,
            cache_read_bytes=step.batch
            * keys
            * cache.token_bytes(execution, tp=execution.layout.tp),
            input_bytes=step.tokens * width * execution.stream_bytes,
            output_bytes=step.tokens * width * execution.stream_bytes,
            shape={
                "batch": step.batch,
                "query_heads": query_heads,
                "kv_heads": kv_heads,
                "head_dim": self.head_dim,
                "new_tokens": step.new_tokens,
                "cached_tokens": step.cached_tokens,
                "window": self.window,
            },
        )
