"""Multi-head latent attention: one small latent per token stands for the keys and values of all
heads.

Two forms give the same result. *Expanded*, the latents of all keys go through ``kv_b_proj`` and
attention runs on full keys and values: few FLOP per query-key pair, so prefill takes it.
*Absorbed*, the two halves of ``kv_b_proj`` move to the queries and to the outputs, and attention
runs on the latents themselves: each cached vector is read once for all heads, so decode takes it.
Attention over a selection of keys reads latents one by one and is always absorbed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from planner.arrays import Numeric, minimum
from planner.model.bounds import Count, Flag, Size
from planner.model.execution import Execution
from planner.model.latent_cache import SPARSE_LATENT, LatentCache, Packing
from planner.model.layout import Section, Split
from planner.model.mixers.pairs import causal_pairs
from planner.model.operation import Operation, all_reduce, cache_update, elementwise, gemm
from planner.model.step import Step
from planner.model.tensor import Tensor, linear


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentAttention:
    """Multi-head latent attention (MLA), over all keys or over those an indexer selected.

    Parameters
    ----------
    hidden : int
        Width of the residual stream. [elements]
    query_heads : int
        Heads. [1]
    q_lora_rank : int, optional
        Width of the latent that queries are made of; None for a direct projection. [elements]
    kv_lora_rank : int
        Width of the latent that keys and values are made of. [elements]
    qk_nope_head_dim, qk_rope_head_dim : int
        Width of a head's key without position, and of the key with position that all heads share;
        the second may be 0. [elements]
    v_head_dim : int
        Width of a head's value. [elements]
    index_topk : int, optional
        Keys that a query attends to, as an indexer selects them; None for all. [tokens]
    bias : bool
        Whether the projections of and to the residual stream have biases.
    rotary : bool
        Whether the shared part of the key is rotated by position.
    softmax_scaling : bool
        Whether each head learns a scale and an offset of its logits by position.
    owns_latent : bool
        Whether the layer makes the latents it reads; without it they are an earlier layer's.
    """

    kind: Literal["latent_attention"] = "latent_attention"
    hidden: Size
    query_heads: Size
    q_lora_rank: Size | None = None
    kv_lora_rank: Size
    qk_nope_head_dim: Size
    qk_rope_head_dim: Count
    v_head_dim: Size
    index_topk: Size | None = None
    bias: Flag = False
    rotary: Flag = True
    softmax_scaling: Flag = False
    owns_latent: Flag = True

    @property
    def variant(self) -> str:
        """Common name: MLA, with DSA where queries attend to a selection."""
        return "MLA" if self.index_topk is None else "MLA with DSA"

    @property
    def qk_head_dim(self) -> int:
        """Width of a head's query and expanded key. [elements]."""
        return self.qk_nope_head_dim + self.qk_rope_head_dim

    @property
    def latent_dim(self) -> int:
        """Width of what is cached per token. [elements]."""
        return self.kv_lora_rank + self.qk_rope_head_dim

    def _heads(self, width: int) -> Section:
        return Section(self.query_heads, width, "query heads")

    def _going_down(self) -> tuple[Tensor, ...]:
        """Return the projections from the residual stream to the latents, on every rank whole."""
        query: tuple[Tensor, ...] = ()
        if self.q_lora_rank is not None:
            query = linear("self_attn.q_a_proj", self.q_lora_rank, self.hidden, bias=self.bias)
        if not self.owns_latent:
            return query
        name = "self_attn.kv_a_proj_with_mqa"
        return (*query, *linear(name, self.latent_dim, self.hidden, bias=self.bias))

    def _norms(self) -> tuple[Tensor, ...]:
        query = self.q_lora_rank or 0
        widths = {"q_a_layernorm": query, "kv_a_layernorm": self.kv_lora_rank * self.owns_latent}
        return tuple(
            Tensor(f"self_attn.{name}.weight", (width,), "norm")
            for name, width in widths.items()
            if width
        )

    def _queries(self) -> tuple[Tensor, ...]:
        section = self._heads(self.qk_head_dim)
        width = self.query_heads * self.qk_head_dim
        name, inner = "self_attn.q_b_proj", self.q_lora_rank
        if inner is None:
            name, inner = "self_attn.q_proj", self.hidden
        return linear(name, width, inner, out=(section,))

    def _expansion(self, width: int) -> tuple[Tensor, ...]:
        """Return ``kv_b_proj``, or the half of it that makes ``width`` elements per head."""
        rows = self.query_heads * width
        return linear("self_attn.kv_b_proj", rows, self.kv_lora_rank, out=(self._heads(width),))

    def _output(self) -> tuple[Tensor, ...]:
        inner = (self._heads(self.v_head_dim),)
        width = self.query_heads * self.v_head_dim
        return linear("self_attn.o_proj", self.hidden, width, bias=self.bias, inner=inner)

    def tensors(self) -> tuple[Tensor, ...]:
        """Return the projections down to the latents and up to the heads, and their norms.

        Returns
        -------
        tuple of Tensor
            Heads are cut over ranks; what makes the latents is whole on each.

        References
        ----------
        deepseek-v2-2024

        Examples
        --------
        >>> mla = LatentAttention(
        ...     hidden=7168,
        ...     query_heads=128,
        ...     q_lora_rank=1536,
        ...     kv_lora_rank=512,
        ...     qk_nope_head_dim=128,
        ...     qk_rope_head_dim=64,
        ...     v_head_dim=128,
        ... )
        >>> sum(t.elements for t in mla.tensors())
        187107328
        """
        expansion = self._expansion(self.qk_nope_head_dim + self.v_head_dim)
        scaling: tuple[Tensor, ...] = ()
        if self.softmax_scaling:
            split = Split(0, (self._heads(1),))
            scaling = tuple(
                Tensor(f"self_attn.softmax_scaling.{name}", (self.query_heads,), "bias", split)
                for name in ("scale", "bias")
            )
        return (
            *self._going_down(), *self._norms(), *self._queries(), *expansion, *self._output(),
            *scaling,
        )  # fmt: skip

    def caches(self) -> tuple[LatentCache, ...]:
        """Return the latents kept per token: one vector for all heads, whole on every rank.

        Returns
        -------
        tuple of LatentCache
            None where an earlier layer keeps them.

        References
        ----------
        deepseek-v2-2024, flashmla-2025

        Examples
        --------
        >>> LatentAttention(
        ...     hidden=7168,
        ...     query_heads=128,
        ...     kv_lora_rank=512,
        ...     qk_nope_head_dim=128,
        ...     qk_rope_head_dim=64,
        ...     v_head_dim=128,
        ... ).caches()[0].dim
        576
        """
        if not self.owns_latent:
            return ()
        return (LatentCache(kind="latent", dim=self.latent_dim, packing=self._packing()),)

    def _packing(self) -> Packing | None:
        if self.index_topk is None:
            return None
        return replace(SPARSE_LATENT, plain_dim=self.qk_rope_head_dim)

    def operations(self, step: Step, execution: Execution) -> tuple[Operation, ...]:
        """Return projections, cache update, attention in the form of the step, sum over ranks.

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
        deepseek-v2-2024, deepseek-v3.2-2025

        Examples
        --------
        >>> from planner.model.execution import half
        >>> mla = LatentAttention(
        ...     hidden=7168,
        ...     query_heads=128,
        ...     q_lora_rank=1536,
        ...     kv_lora_rank=512,
        ...     qk_nope_head_dim=128,
        ...     qk_rope_head_dim=64,
        ...     v_head_dim=128,
        ... )
        >>> {op.name: op.flop for op in mla.operations(Step.decode(1, 32768), half())}[
        ...     "self_attn.attention"
        ... ]
        9126805504.0
        """
        tp, tokens = execution.layout.tp, step.tokens
        operations = []
        if self._going_down():
            operations.append(gemm("self_attn.qkv_a_proj", self._going_down(), tokens, execution))
            narrow = (self.q_lora_rank or 0) + self.kv_lora_rank
            operations.append(
                elementwise("self_attn.latent_norm", tokens, narrow, narrow, execution)
            )
        operations.append(gemm("self_attn.q_proj", self._queries(), tokens, execution))
        if self.rotary and self.qk_rope_head_dim:
            turned = (self._heads(1).units_on_rank(tp) + 1) * self.qk_rope_head_dim
            operations.append(elementwise("self_attn.rotary", tokens, turned, turned, execution))
        operations += [self._cache_update(step, execution, cache) for cache in self.caches()]
        absorbed = step.phase == "decode" or self.index_topk is not None
        form = self._absorbed if absorbed else self._expanded
        operations += form(step, execution)
        operations.append(gemm("self_attn.o_proj", self._output(), tokens, execution))
        if tp > 1:
            operations.append(all_reduce("self_attn.all_reduce", tokens, self.hidden, execution))
        return tuple(operations)

    def _cache_update(self, step: Step, execution: Execution, cache: LatentCache) -> Operation:
        written = step.tokens * cache.entry_bytes(execution)
        return cache_update(
            "self_attn.cache_update", step.tokens, self.latent_dim, written, execution
        )

    def _read_bytes(self, entries: Numeric, execution: Execution) -> Numeric:
        return replace(self, owns_latent=True).caches()[0].stored_bytes(entries, execution)

    def _shape(self, step: Step, heads: int) -> dict[str, Numeric]:
        return {
            "batch": step.batch,
            "query_heads": heads,
            "kv_lora_rank": self.kv_lora_rank,
            "qk_rope_head_dim": self.qk_rope_head_dim,
            "qk_nope_head_dim": self.qk_nope_head_dim,
            "v_head_dim": self.v_head_dim,
            "new_tokens": step.new_tokens,
            "cached_tokens": step.cached_tokens,
            "index_topk": self.index_topk,
        }

    def _expanded(self, step: Step, execution: Execution) -> list[Operation]:
        """Return the expansion of every latent and attention on full keys and values."""
        heads = self._heads(1).units_on_rank(execution.layout.tp)
        stream = execution.stream_bytes
        keys = step.batch * (step.cached_tokens + step.new_tokens)
        weights = self._expansion(self.qk_nope_head_dim + self.v_head_dim)
        expansion = replace(
            gemm("self_attn.kv_b_proj", weights, keys, execution),
            input_bytes=step.tokens * self.kv_lora_rank * stream,
            cache_read_bytes=step.batch * self._read_bytes(step.cached_tokens, execution),
        )
        pairs = causal_pairs(step.new_tokens, step.cached_tokens, None)
        key_and_value = heads * (self.qk_nope_head_dim + self.v_head_dim) + self.qk_rope_head_dim
        attention = Operation(
            name="self_attn.attention",
            kind="mla_prefill",
            precision=execution.stream.precision,
            flop=2 * step.batch * pairs * heads * (self.qk_head_dim + self.v_head_dim),
            input_bytes=(step.tokens * heads * self.qk_head_dim + keys * key_and_value) * stream,
            output_bytes=step.tokens * heads * self.v_head_dim * stream,
            shape=self._shape(step, heads),
        )
        return [expansion, attention]

    def _absorbed(self, step: Step, execution: Execution) -> list[Operation]:
        """Return attention on the latents, and the halves of ``kv_b_proj`` around it."""
        heads = self._heads(1).units_on_rank(execution.layout.tp)
        tokens, stream = step.tokens, execution.stream_bytes
        pairs = causal_pairs(step.new_tokens, step.cached_tokens, self.index_topk)
        keys = minimum(pairs, step.cached_tokens + step.new_tokens)
        attention = Operation(
            name="self_attn.attention",
            kind="mla_prefill" if step.phase == "prefill" else "mla_decode",
            precision=execution.stream.precision,
            flop=2 * step.batch * pairs * heads * (self.latent_dim + self.kv_lora_rank),
            cache_read_bytes=step.batch * self._read_bytes(keys, execution),
            input_bytes=tokens * heads * self.latent_dim * stream,
            output_bytes=tokens * heads * self.kv_lora_rank * stream,
            shape=self._shape(step, heads),
        )
        return [
            self._half("self_attn.k_absorb", self.qk_nope_head_dim, step, execution, inward=True),
            attention,
            self._half("self_attn.v_absorb", self.v_head_dim, step, execution, inward=False),
        ]

    def _half(
        self, name: str, width: int, step: Step, execution: Execution, *, inward: bool
    ) -> Operation:
        """Return one half of ``kv_b_proj``, one product per head, moved across attention."""
        heads = self._heads(1).units_on_rank(execution.layout.tp)
        per_head = step.tokens * heads * execution.stream_bytes
        ends = (width, self.kv_lora_rank) if inward else (self.kv_lora_rank, width)
        return replace(
            gemm(name, self._expansion(width), step.tokens, execution),
            input_bytes=per_head * ends[0],
            output_bytes=per_head * ends[1],
            shape={"m": step.tokens, "n": heads * ends[1], "k": ends[0]},
        )
