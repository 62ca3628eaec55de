"""Compressed attention, as in DeepSeek-V4: a short window of tokens and entries for all the rest.

Keys and values are one vector that all heads share. Behind the window, a compressor leaves one
entry per ``stride`` tokens: every 4 with an indexer that selects among them (CSA), every 128
without (HCA).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from planner.arrays import minimum
from planner.model.bounds import Count, Size
from planner.model.cache import Cache
from planner.model.execution import Execution
from planner.model.latent_cache import COMPRESSED_ENTRY, LatentCache, Packing
from planner.model.layout import Section, Split
from planner.model.mixers.compressor import Compressor, compressed_pairs
from planner.model.mixers.pairs import causal_pairs, visible_keys
from planner.model.operation import Operation, all_reduce, cache_update, elementwise, gemm
from planner.model.step import Step
from planner.model.tensor import Tensor, linear


@dataclass(frozen=True, slots=True, kw_only=True)
class CompressedAttention:
    """Attention over a window of tokens and over compressed entries, with sinks.

    Parameters
    ----------
    hidden : int
        Width of the residual stream. [elements]
    query_heads, head_dim : int
        Heads, and the width of a head and of the one key that is also the value. [1], [elements]
    rotary_dim : int
        Elements of it that are rotated by position. [elements]
    q_lora_rank : int
        Width of the latent that queries are made of. [elements]
    output_groups, output_lora_rank : int
        Groups of heads that are projected apart, and the width of each result. [1], [elements]
    window : int
        Keys a query sees as they are, itself included. [tokens]
    stride : int
        Tokens that one compressed entry stands for; 0 for none. [tokens]
    index_topk : int, optional
        Entries that a query attends to, as an indexer selects them; None for all. [1]
    """

    kind: Literal["compressed_attention"] = "compressed_attention"
    hidden: Size
    query_heads: Size
    head_dim: Size
    rotary_dim: Size
    q_lora_rank: Size
    output_groups: Size
    output_lora_rank: Size
    window: Size
    stride: Count = 0
    index_topk: Size | None = None

    @property
    def variant(self) -> str:
        """Common name: CSA with a selection of entries, HCA with all, SWA without any."""
        if not self.stride:
            return "SWA MQA"
        return "HCA" if self.index_topk is None else "CSA"

    def _heads(self, width: int) -> Section:
        return Section(self.query_heads, width, "query heads")

    def _groups(self, width: int) -> Section:
        return Section(self.output_groups, width, "output groups")

    def _compressor(self) -> Compressor | None:
        if not self.stride:
            return None
        return Compressor(
            hidden=self.hidden, dim=self.head_dim, stride=self.stride, name="self_attn.compressor"
        )

    def _going_down(self) -> tuple[Tensor, ...]:
        return (
            *linear("self_attn.q_a_proj", self.q_lora_rank, self.hidden),
            *linear("self_attn.kv_proj", self.head_dim, self.hidden),
        )

    def _queries(self) -> tuple[Tensor, ...]:
        width = self.query_heads * self.head_dim
        out = (self._heads(self.head_dim),)
        return linear("self_attn.q_b_proj", width, self.q_lora_rank, out=out)

    def _output_groups(self) -> tuple[Tensor, ...]:
        """Return the block-diagonal first half of the output projection."""
        rows = self.output_groups * self.output_lora_rank
        inner = self.query_heads * self.head_dim // self.output_groups
        out = (self._groups(self.output_lora_rank),)
        return linear("self_attn.o_a_proj", rows, inner, out=out)

    def _output(self) -> tuple[Tensor, ...]:
        inner = (self._groups(self.output_lora_rank),)
        width = self.output_groups * self.output_lora_rank
        return linear("self_attn.o_b_proj", self.hidden, width, inner=inner)

    def tensors(self) -> tuple[Tensor, ...]:
        """Return the projections, their norms, the sinks and the compressor.

        Returns
        -------
        tuple of Tensor
            Heads and groups are cut over ranks, the key-value side is whole on each.

        References
        ----------
        deepseek-v4-2026

        Examples
        --------
        >>> flash = CompressedAttention(
        ...     hidden=4096,
        ...     query_heads=64,
        ...     head_dim=512,
        ...     rotary_dim=64,
        ...     q_lora_rank=1024,
        ...     output_groups=8,
        ...     output_lora_rank=1024,
        ...     window=128,
        ... )
        >>> sum(t.elements for t in flash.tensors())
        106956352
        """
        compressor = self._compressor()
        sinks = Split(0, (self._heads(1),))
        return (
            *self._going_down(),
            Tensor("self_attn.q_a_norm.weight", (self.q_lora_rank,), "norm"),
            Tensor("self_attn.kv_norm.weight", (self.head_dim,), "norm"),
            *self._queries(),
            *self._output_groups(),
            *self._output(),
            Tensor("self_attn.sinks", (self.query_heads,), "bias", sinks),
            *(compressor.tensors() if compressor else ()),
        )

    def _packing(self) -> Packing:
        return replace(COMPRESSED_ENTRY, plain_dim=self.rotary_dim)

    def _ring(self) -> LatentCache:
        return LatentCache(
            kind="sliding", dim=self.head_dim, window=self.window, packing=self._packing()
        )

    def _entries(self) -> LatentCache:
        return LatentCache(
            kind="compressed", dim=self.head_dim, stride=self.stride, packing=self._packing()
        )

    def caches(self) -> tuple[Cache, ...]:
        """Return the window, the compressed entries and what the next one is made of.

        Returns
        -------
        tuple of Cache
            A copy on every rank.

        References
        ----------
        deepseek-v4-2026, flashmla-2025

        Examples
        --------
        >>> from planner.model.execution import half
        >>> heavy = CompressedAttention(
        ...     hidden=4096,
        ...     query_heads=64,
        ...     head_dim=512,
        ...     rotary_dim=64,
        ...     q_lora_rank=1024,
        ...     output_groups=8,
        ...     output_lora_rank=1024,
        ...     window=128,
        ...     stride=128,
        ... )
        >>> [cache.sequence_bytes(1_000_000, half(), tp=8) for cache in heavy.caches()]
        [131072, 7999488, 524288]
        """
        compressor = self._compressor()
        if compressor is None:
            return (self._ring(),)
        return (self._ring(), self._entries(), compressor.state())

    def operations(self, step: Step, execution: Execution) -> tuple[Operation, ...]:
        """Return projections, compression, attention, grouped output and the sum over ranks.

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
            The ranks do not divide heads or groups.

        References
        ----------
        deepseek-v4-2026

        Examples
        --------
        >>> from planner.model.execution import half
        >>> heavy = CompressedAttention(
        ...     hidden=4096,
        ...     query_heads=64,
        ...     head_dim=512,
        ...     rotary_dim=64,
        ...     q_lora_rank=1024,
        ...     output_groups=8,
        ...     output_lora_rank=1024,
        ...     window=128,
        ...     stride=128,
        ... )
        >>> {op.name: op.flop for op in heavy.operations(Step.decode(1, 131072), half())}[
        ...     "self_attn.attention"
        ... ]
        150994944.0
        """
        tp, tokens = execution.layout.tp, step.tokens
        heads = self._heads(1).units_on_rank(tp)
        narrow = self.q_lora_rank + self.head_dim
        turned = (2 * heads + 1) * self.rotary_dim
        wide = heads * self.head_dim
        operations = [
            gemm("self_attn.q_kv_proj", self._going_down(), tokens, execution),
            elementwise("self_attn.latent_norm", tokens, narrow, narrow, execution),
            gemm("self_attn.q_b_proj", self._queries(), tokens, execution),
            elementwise("self_attn.q_b_norm", tokens, wide, wide, execution),
            elementwise("self_attn.rotary", tokens, turned, turned, execution),
            self._cache_update(step, execution),
        ]
        compressor = self._compressor()
        if compressor is not None:
            operations += compressor.operations(step, execution, self._entries())
        operations += [
            self._attention(step, execution, heads),
            replace(
                gemm("self_attn.o_a_proj", self._output_groups(), tokens, execution),
                input_bytes=tokens * wide * execution.stream_bytes,
            ),
            gemm("self_attn.o_b_proj", self._output(), tokens, execution),
        ]
        if tp > 1:
            operations.append(all_reduce("self_attn.all_reduce", tokens, self.hidden, execution))
        return tuple(operations)

    def _cache_update(self, step: Step, execution: Execution) -> Operation:
        kept = step.batch * minimum(step.new_tokens, self.window)
        written = kept * self._ring().entry_bytes(execution)
        return cache_update(
            "self_attn.cache_update", step.tokens, self.head_dim, written, execution
        )

    def _attention(self, step: Step, execution: Execution, heads: int) -> Operation:
        new, cached = step.new_tokens, step.cached_tokens
        pairs = causal_pairs(new, cached, self.window)
        read = self._ring().stored_bytes(visible_keys(new, cached, self.window), execution)
        if self.stride:
            selected = compressed_pairs(new, cached, self.stride, self.index_topk)
            pairs = pairs + selected
            entries = minimum(selected, self._entries().entries(cached + new))
            read = read + self._entries().stored_bytes(entries, execution)
        moved = step.tokens * heads * self.head_dim * execution.stream_bytes
        phase = "prefill" if step.phase == "prefill" else "decode"
        return Operation(
            name="self_attn.attention",
            kind=f"compressed_attention_{phase}",  # type: ignore[arg-type]
            precision=execution.stream.precision,
            flop=4 * step.batch * pairs * heads * self.head_dim,
            cache_read_bytes=step.batch * read,
            input_bytes=moved,
            output_bytes=moved,
            shape={
                "batch": step.batch,
                "query_heads": heads,
                "head_dim": self.head_dim,
                "window": self.window,
                "stride": self.stride,
                "index_topk": self.index_topk,
                "new_tokens": new,
                "cached_tokens": cached,
            },
        )
