"""Grouped-query attention over the keys that an indexer selected, as in MiniMax-M3."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from planner.arrays import minimum
from planner.model.bounds import Size
from planner.model.cache import Cache
from planner.model.execution import Execution
from planner.model.mixers.attention import Attention
from planner.model.mixers.pairs import causal_pairs
from planner.model.operation import Operation
from planner.model.step import Step
from planner.model.tensor import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectedAttention:
    """Attention that keeps all keys and values and meets only so many of them per query.

    Parameters
    ----------
    hidden : int
        Width of the residual stream. [elements]
    query_heads, kv_heads : int
        Heads; each KV head has a selection of its own. [1]
    head_dim : int
        Width of one head. [elements]
    selected : int
        Keys that a query attends to at most, whole blocks of them. [tokens]
    qk_norm : {"none", "head"}
        RMSNorm of queries and keys, one weight of ``head_dim`` shared by all heads.
    rotary_dim : int, optional
        Elements of each head that are rotated; None for all. [elements]
    """

    kind: Literal["selected_attention"] = "selected_attention"
    hidden: Size
    query_heads: Size
    kv_heads: Size
    head_dim: Size
    selected: Size
    qk_norm: Literal["none", "head"] = "none"
    rotary_dim: Size | None = None

    @property
    def variant(self) -> str:
        """Common name."""
        return f"sparse {self._all_keys().variant}"

    def _all_keys(self) -> Attention:
        return Attention(
            hidden=self.hidden,
            query_heads=self.query_heads,
            kv_heads=self.kv_heads,
            head_dim=self.head_dim,
            qk_norm=self.qk_norm,
            rotary_dim=self.rotary_dim,
        )

    def tensors(self) -> tuple[Tensor, ...]:
        """Return the tensors of attention over all keys.

        Returns
        -------
        tuple of Tensor
            The indexer's stand in a part of their own.

        References
        ----------
        ainslie-2023

        Examples
        --------
        >>> m3 = SelectedAttention(
        ...     hidden=6144, query_heads=64, kv_heads=4, head_dim=128, selected=2048
        ... )
        >>> sum(t.elements for t in m3.tensors())
        106954752
        """
        return self._all_keys().tensors()

    def caches(self) -> tuple[Cache, ...]:
        """Return the keys and values of all tokens: any of them may be selected.

        Returns
        -------
        tuple of Cache
            One descriptor.

        References
        ----------
        ainslie-2023

        Examples
        --------
        >>> SelectedAttention(
        ...     hidden=6144, query_heads=64, kv_heads=4, head_dim=128, selected=2048
        ... ).caches()[0].kind
        'full'
        """
        return self._all_keys().caches()

    def operations(self, step: Step, execution: Execution) -> tuple[Operation, ...]:
        """Return what attention over all keys does, with fewer pairs and reads.

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
        deepseek-v3.2-2025

        Examples
        --------
        >>> from planner.model.execution import half
        >>> m3 = SelectedAttention(
        ...     hidden=6144, query_heads=64, kv_heads=4, head_dim=128, selected=2048
        ... )
        >>> {op.name: op.flop for op in m3.operations(Step.decode(1, 524288), half())}[
        ...     "self_attn.attention"
        ... ]
        67108864.0
        """
        return tuple(
            self._selected(operation, step)
            if operation.kind in ("attention_prefill", "attention_decode")
            else operation
            for operation in self._all_keys().operations(step, execution)
        )

    def _selected(self, operation: Operation, step: Step) -> Operation:
        new, cached = step.new_tokens, step.cached_tokens
        pairs = causal_pairs(new, cached, self.selected)
        everything = causal_pairs(new, cached, None)
        keys = minimum(pairs, cached + new) / (cached + new)
        return replace(
            operation,
            flop=operation.flop * (pairs / everything),
            cache_read_bytes=operation.cache_read_bytes * keys,
            shape={**operation.shape, "selected": self.selected},
        )
