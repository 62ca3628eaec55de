"""Top-k selection: attention to the keys, or blocks of keys, that score best for a query."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from planner.arrays import Numeric, ceil_div, maximum, minimum
from planner.model.bounds import Flag, Size
from planner.model.cache import TokenCache
from planner.model.execution import Execution
from planner.model.mixers.attention import Attention
from planner.model.mixers.pairs import causal_pairs
from planner.model.operation import Operation
from planner.model.step import Step
from planner.model.tensor import Tensor


def selected_pairs(new_tokens: Numeric, cached_tokens: Numeric, blocks: int, block: int) -> Numeric:
    r"""Return the pairs where each query sees its own block up to itself and chosen blocks before.

    A query at place ``p`` sees all ``p + 1`` keys while these are in at most ``k`` blocks of ``B``,
    and ``(k - 1)B + (p \bmod B) + 1`` after.

    Parameters
    ----------
    new_tokens : numeric
        Queries. [tokens]
    cached_tokens : numeric
        Keys before the first query. [tokens]
    blocks : int
        Blocks that a query sees, its own included ``k``. [1]
    block : int
        Tokens of a block ``B``. [tokens]

    Returns
    -------
    numeric
        Pairs. [1]

    References
    ----------
    gupta-2021, lu-2025

    Examples
    --------
    >>> selected_pairs(8192, 0, 2048, 1) == causal_pairs(8192, 0, 2048)
    True
    """
    first = minimum(maximum(blocks * block - cached_tokens, 0), new_tokens)
    rest = new_tokens - first
    start = cached_tokens + first
    inside = _within_blocks(start + rest, block) - _within_blocks(start, block)
    return causal_pairs(first, cached_tokens, None) + rest * (blocks - 1) * block + inside


def _within_blocks(tokens: Numeric, block: int) -> Numeric:
    """Return the pairs of every query with its own block, from the first token on."""
    whole, left = tokens // block, tokens % block
    return whole * (block * (block + 1) // 2) + left * (left + 1) // 2


@dataclass(frozen=True, slots=True, kw_only=True)
class TopKAttention:
    """Causal attention to the keys, or blocks of keys, that score best for each query.

    The attention's own queries choose: single keys by the scores of all pairs, blocks by the mean
    of their keys. Selection by an indexer is an
    :class:`~planner.model.mixers.indexer.Indexer` of its own.

    Parameters
    ----------
    hidden : int
        Width of the residual stream. [elements]
    query_heads, kv_heads, head_dim : int
        As in :class:`~planner.model.mixers.attention.Attention`. [1], [elements]
    blocks, block : int
        Blocks that a query sees, its own included, and their length. [1], [tokens]
    qk_norm : bool
        RMSNorm of queries and keys per head.
    rotary_dim : int, optional
        Elements of each head that are rotated; None for all. [elements]
    """

    kind: Literal["top_k_attention"] = "top_k_attention"
    hidden: Size
    query_heads: Size
    kv_heads: Size
    head_dim: Size
    blocks: Size
    block: Size = 1
    qk_norm: Flag = False
    rotary_dim: Size | None = None

    @property
    def variant(self) -> str:
        """Common name."""
        return f"top-k {self._whole().variant}"

    def _whole(self) -> Attention:
        """Return the attention to all keys that this one thins out."""
        return Attention(
            hidden=self.hidden,
            query_heads=self.query_heads,
            kv_heads=self.kv_heads,
            head_dim=self.head_dim,
            qk_norm="head" if self.qk_norm else "none",
            rotary_dim=self.rotary_dim,
        )

    def tensors(self) -> tuple[Tensor, ...]:
        """Return the attention's tensors: selection has none of its own.

        Returns
        -------
        tuple of Tensor
            Heads are cut over ranks.

        References
        ----------
        gupta-2021, lu-2025

        Examples
        --------
        >>> top = TopKAttention(hidden=4096, query_heads=32, kv_heads=8, head_dim=128, blocks=64)
        >>> sum(t.elements for t in top.tensors())
        41943040
        """
        return self._whole().tensors()

    def caches(self) -> tuple[TokenCache, ...]:
        """Return keys and values of every token: a later query may choose any.

        Returns
        -------
        tuple of TokenCache
            Means of blocks are made of them.

        References
        ----------
        gupta-2021, lu-2025

        Examples
        --------
        >>> TopKAttention(hidden=64, query_heads=4, kv_heads=2, head_dim=16, blocks=32).caches()[
        ...     0
        ... ].kind
        'full'
        """
        return self._whole().caches()

    def operations(self, step: Step, execution: Execution) -> tuple[Operation, ...]:
        """Return the attention's operations, scores of keys or blocks first, then chosen ones.

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
        gupta-2021, lu-2025

        Examples
        --------
        >>> from planner.model.execution import half
        >>> top = TopKAttention(hidden=64, query_heads=4, kv_heads=2, head_dim=16, blocks=32)
        >>> [op.flop for op in top.operations(Step.decode(1, 1000), half()) if "top_k" in op.name]
        [128000.0, 4096.0]
        """
        operations: list[Operation] = []
        for operation in self._whole().operations(step, execution):
            if operation.name == "self_attn.attention":
                operations += [self._scores(step, operation), self._attended(step, operation)]
            else:
                operations.append(operation)
        return tuple(operations)

    def _scores(self, step: Step, whole: Operation) -> Operation:
        """Return the scores: half of the whole attention, as often as there are blocks."""
        each = 2 * whole.shape["query_heads"] * self.head_dim
        if self.block == 1:
            pairs = causal_pairs(step.new_tokens, step.cached_tokens, None)
        else:
            blocks = ceil_div(step.cached_tokens + step.new_tokens, self.block)
            pairs = 1.0 * step.new_tokens * blocks
        return replace(
            whole,
            name="self_attn.top_k_scores",
            flop=step.batch * pairs * each,
            cache_read_bytes=whole.cache_read_bytes / (2 * self.block),
        )

    def _attended(self, step: Step, whole: Operation) -> Operation:
        """Return values of chosen keys, and their scores where so far only blocks have some."""
        pairs = selected_pairs(step.new_tokens, step.cached_tokens, self.blocks, self.block)
        products = 1 if self.block == 1 else 2
        seen = step.cached_tokens + step.new_tokens
        chosen = minimum(seen, step.new_tokens * self.blocks * self.block)
        return replace(
            whole,
            name="self_attn.top_k_attention",
            flop=2 * products * step.batch * pairs * whole.shape["query_heads"] * self.head_dim,
            cache_read_bytes=whole.cache_read_bytes * (chosen / seen) * products / 2,
            shape={**whole.shape, "window": self.blocks * self.block},
        )
