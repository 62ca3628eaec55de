"""The lightning indexer: a small attention that scores keys and selects which ones count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from planner.model.bounds import Flag, Size
from planner.model.cache import Cache
from planner.model.execution import Execution
from planner.model.latent_cache import LatentCache
from planner.model.mixers.compressor import Compressor, compressed_pairs
from planner.model.operation import Operation, cache_update, elementwise, gemm
from planner.model.step import Step
from planner.model.storage import WEIGHT_FORMATS
from planner.model.tensor import Tensor, linear

KeyFormat = Literal["fp8_block", "mxfp4", "bf16"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Indexer:
    """Scores of every query against every key, from which a selection follows.

    It stands in a layer before the attention that uses its selection; layers that share a
    selection have none of their own. Its scores stay quadratic in the context. Ranks hold whole
    copies: scores are needed for all heads at once.

    Parameters
    ----------
    hidden : int
        Width of the residual stream. [elements]
    query_dim : int
        Width of what queries are made of: the latent of the queries, or the residual stream.
        [elements]
    heads, head_dim : int
        Heads of the queries, and their and the one key's width. [1], [elements]
    stride : int
        Tokens that one key stands for; above 1 a compressor makes the keys. [tokens]
    head_weights : bool
        Whether a projection weighs the heads of each query.
    key_norm : {"layer_norm", "rms_norm"}
        Norm of the keys.
    query_norm : {"none", "rms_norm", "input_layer_norm"}
        Norm of the queries, or of what they are made of.
    softmax_scaling : bool
        Whether each head learns a scale and an offset of its scores by position.
    key_format : {"fp8_block", "mxfp4", "bf16"}
        How keys are cached, whatever the format of the other caches: published kernels score in
        fp8 or fp4.
    """

    kind: Literal["indexer"] = "indexer"
    hidden: Size
    query_dim: Size
    heads: Size
    head_dim: Size
    stride: Size = 1
    head_weights: Flag = True
    key_norm: Literal["layer_norm", "rms_norm"] = "layer_norm"
    query_norm: Literal["none", "rms_norm", "input_layer_norm"] = "none"
    softmax_scaling: Flag = False
    key_format: KeyFormat = "fp8_block"

    def _compressor(self) -> Compressor:
        return Compressor(
            hidden=self.hidden,
            dim=self.head_dim,
            stride=self.stride,
            name="self_attn.indexer.compressor",
        )

    def _queries(self) -> tuple[Tensor, ...]:
        return linear("self_attn.indexer.wq_b", self.heads * self.head_dim, self.query_dim)

    def _keys(self) -> tuple[Tensor, ...]:
        """Return what is made of the residual stream: the key, and the weights of the heads."""
        key = linear("self_attn.indexer.wk", self.head_dim, self.hidden) if self.stride == 1 else ()
        weights = linear("self_attn.indexer.weights_proj", self.heads, self.hidden, role="router")
        return (*key, *(weights if self.head_weights else ()))

    def _norms(self) -> tuple[Tensor, ...]:
        norms: list[tuple[str, int, bool]] = []
        if self.query_norm == "rms_norm":
            norms.append(("q_norm", self.head_dim, False))
        if self.query_norm == "input_layer_norm":
            norms.append(("q_input_norm", self.query_dim, True))
        if self.stride == 1:
            norms.append(("k_norm", self.head_dim, self.key_norm == "layer_norm"))
        return tuple(
            Tensor(f"self_attn.indexer.{name}.{suffix}", (width,), "norm")
            for name, width, shifts in norms
            for suffix in ("weight", "bias")[: 1 + shifts]
        )

    def tensors(self) -> tuple[Tensor, ...]:
        """Return the projections to queries, key and weights of heads, and the norms.

        Returns
        -------
        tuple of Tensor
            A copy on every rank.

        References
        ----------
        deepseek-v3.2-2025

        Examples
        --------
        >>> dsa = Indexer(hidden=7168, query_dim=1536, heads=64, head_dim=128)
        >>> 61 * sum(t.elements for t in dsa.tensors())
        851524864
        """
        pooled = self._compressor().tensors() if self.stride > 1 else ()
        scaling = tuple(
            Tensor(f"self_attn.indexer.softmax_scaling.{name}", (self.heads,), "bias")
            for name in ("scale", "bias")
        )
        learned = scaling if self.softmax_scaling else ()
        return (*self._queries(), *self._keys(), *self._norms(), *pooled, *learned)

    def caches(self) -> tuple[Cache, ...]:
        """Return the keys, and what the compressor has read of the next one.

        Returns
        -------
        tuple of Cache
            A copy on every rank.

        References
        ----------
        deepseek-v3.2-2025, flashmla-2025

        Examples
        --------
        >>> from planner.model.execution import half
        >>> dsa = Indexer(hidden=7168, query_dim=1536, heads=64, head_dim=128)
        >>> dsa.caches()[0].token_bytes(half(), tp=8)
        132
        """
        keys = self._key_cache()
        return (keys,) if self.stride == 1 else (keys, self._compressor().state())

    def _key_cache(self) -> LatentCache:
        return LatentCache(
            kind="indexer",
            dim=self.head_dim,
            stride=self.stride,
            format=WEIGHT_FORMATS[self.key_format],
        )

    def operations(self, step: Step, execution: Execution) -> tuple[Operation, ...]:
        """Return the projections, the cache update and the scores.

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

        References
        ----------
        deepseek-v3.2-2025

        Examples
        --------
        >>> from planner.model.execution import half
        >>> dsa = Indexer(hidden=7168, query_dim=1536, heads=64, head_dim=128)
        >>> dsa.operations(Step.decode(1, 131073), half())[-1].flop
        2147500032
        """
        tokens = step.tokens
        keys = self._key_cache()
        queries = self.heads * self.head_dim
        operations = [gemm("indexer.wq_b", self._queries(), tokens, execution)]
        if self._keys():
            operations.append(gemm("indexer.wk", self._keys(), tokens, execution))
        turned = queries + (self.head_dim if self.stride == 1 else 0)
        operations.append(elementwise("indexer.rotary", tokens, turned, turned, execution))
        if self.stride == 1:
            operations.append(self._cache_update(step, execution, keys))
        else:
            operations += self._compressor().operations(step, execution, keys)
        return (*operations, self._scores(step, execution, keys))

    def _cache_update(self, step: Step, execution: Execution, keys: LatentCache) -> Operation:
        written = step.tokens * keys.entry_bytes(execution)
        return cache_update("indexer.cache_update", step.tokens, self.head_dim, written, execution)

    def _scores(self, step: Step, execution: Execution, keys: LatentCache) -> Operation:
        pairs = compressed_pairs(step.new_tokens, step.cached_tokens, self.stride, None)
        operand = execution.operand(WEIGHT_FORMATS[self.key_format])
        seen = keys.entries(step.cached_tokens + step.new_tokens)
        width = self.heads * self.head_dim
        return Operation(
            name="indexer.scores",
            kind="index_prefill" if step.phase == "prefill" else "index_decode",
            precision=operand.precision,
            flop=2 * step.batch * pairs * width,
            cache_read_bytes=step.batch * keys.stored_bytes(seen, execution),
            input_bytes=step.tokens * width * operand.bits // 8,
            shape={
                "batch": step.batch,
                "heads": self.heads,
                "head_dim": self.head_dim,
                "stride": self.stride,
                "new_tokens": step.new_tokens,
                "cached_tokens": step.cached_tokens,
            },
        )
