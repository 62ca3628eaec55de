"""A transformer block whose weights several layers use, as Zamba's memory blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from planner.model.bounds import Count, Flag, Name, Size
from planner.model.cache import Cache
from planner.model.execution import Execution
from planner.model.feed_forward import Dense
from planner.model.layout import Section
from planner.model.mixers.attention import Attention
from planner.model.operation import Operation, elementwise, gemm
from planner.model.step import Step
from planner.model.tensor import Tensor, linear


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedBlock:
    """Attention and a feed-forward part that are stored once and run at several places.

    It reads the residual stream and the token's embedding side by side. Each place keeps keys and
    values of its own, and adds what is its own: low-rank adapters, and the projection of what comes
    out to the input of the layer it stands in.

    Parameters
    ----------
    hidden : int
        Width of the residual stream. [elements]
    attention : Attention
        Reads both halves of the input.
    feed_forward : Dense
        Follows it without a residual connection.
    holds : bool
        Whether the shared weights are counted here: at the first place only.
    adapter_rank : int
        Inner width of adapters of the feed-forward part's inputs; 0 without. [elements]
    attention_adapter : bool
        Whether queries, keys and values have adapters too.
    name : str
        The block, where there are several.
    """

    kind: Literal["shared_block"] = "shared_block"
    hidden: Size
    attention: Attention
    feed_forward: Dense
    holds: Flag = True
    adapter_rank: Count = 0
    attention_adapter: Flag = False
    name: Name = "shared_transformer"

    @property
    def variant(self) -> str:
        """Common name."""
        return f"shared {self.attention.variant}"

    @property
    def joined(self) -> int:
        """Width of the block's input. [elements]."""
        return self.attention.input_width or self.hidden

    def _shared(self) -> tuple[Tensor, ...]:
        return (
            Tensor(f"{self.name}.input_layernorm.weight", (self.joined,), "norm"),
            *self.attention.tensors(),
            Tensor(f"{self.name}.pre_ff_layernorm.weight", (self.hidden,), "norm"),
            *self.feed_forward.tensors(),
        )

    def _adapters(self) -> tuple[tuple[tuple[Tensor, ...], tuple[Tensor, ...]], ...]:
        """Return the two matrices of every adapter."""
        if not self.adapter_rank:
            return ()
        attention, wide = self.attention, self.feed_forward.intermediate
        heads = {
            "q": Section(attention.query_heads, attention.head_dim, "query heads"),
            "k": Section(attention.kv_heads, attention.head_dim, "KV heads", "replicate"),
            "v": Section(attention.kv_heads, attention.head_dim, "KV heads", "replicate"),
        }
        inner = Section(wide, 2, "feed-forward columns")
        rows = [("gate_up", self.hidden, inner)]
        if self.attention_adapter:
            rows += [(name, self.joined, part) for name, part in heads.items()]
        rank = self.adapter_rank
        return tuple(
            (
                linear(f"{self.name}.{name}_adapter.0", rank, inputs),
                linear(f"{self.name}.{name}_adapter.1", part.units * part.width, rank, out=(part,)),
            )
            for name, inputs, part in rows
        )

    def _projection(self) -> tuple[Tensor, ...]:
        return linear("linear", self.hidden, self.hidden)

    def tensors(self) -> tuple[Tensor, ...]:
        """Return what the place holds: its own tensors, and the shared ones at the first place.

        Returns
        -------
        tuple of Tensor
            Every place computes with all of them.

        References
        ----------
        glorioso-2024

        Examples
        --------
        >>> block = SharedBlock(
        ...     hidden=64,
        ...     attention=Attention(
        ...         hidden=64, input_width=128, query_heads=4, kv_heads=4, head_dim=32
        ...     ),
        ...     feed_forward=Dense(hidden=64, intermediate=256),
        ...     holds=False,
        ... )
        >>> sum(t.elements for t in block.tensors())
        4096
        """
        own = [tensor for pair in self._adapters() for half in pair for tensor in half]
        return (*(self._shared() if self.holds else ()), *own, *self._projection())

    def caches(self) -> tuple[Cache, ...]:
        """Return the keys and values of this place.

        Returns
        -------
        tuple of Cache
            As many as the attention has.

        References
        ----------
        glorioso-2024

        Examples
        --------
        >>> block = SharedBlock(
        ...     hidden=64,
        ...     attention=Attention(
        ...         hidden=64, input_width=128, query_heads=4, kv_heads=4, head_dim=32
        ...     ),
        ...     feed_forward=Dense(hidden=64, intermediate=256),
        ... )
        >>> block.caches()[0].kind
        'full'
        """
        return self.attention.caches()

    def operations(self, step: Step, execution: Execution) -> tuple[Operation, ...]:
        """Return norms, attention, feed-forward part, adapters and projection.

        Parameters
        ----------
        step : Step
            The forward pass.
        execution : Execution
            Formats and layout.

        Returns
        -------
        tuple of Operation
            In the order of execution, adapters before what they add to.

        Raises
        ------
        LayoutError
            The ranks do not divide the heads.

        References
        ----------
        glorioso-2024

        Examples
        --------
        >>> from planner.model.execution import half
        >>> block = SharedBlock(
        ...     hidden=64,
        ...     attention=Attention(
        ...         hidden=64, input_width=128, query_heads=4, kv_heads=4, head_dim=32
        ...     ),
        ...     feed_forward=Dense(hidden=64, intermediate=256),
        ... )
        >>> block.operations(Step.decode(1, 1), half())[-1].flop
        8192
        """
        tokens = step.tokens
        adapters = [
            gemm(half[0].name, half, tokens, execution)
            for pair in self._adapters()
            for half in pair
        ]
        width = self.joined
        return (
            elementwise(f"{self.name}.input_layernorm", tokens, width, width, execution),
            *adapters,
            *self.attention.operations(step, execution),
            elementwise(
                f"{self.name}.pre_ff_layernorm", tokens, self.hidden, self.hidden, execution
            ),
            *self.feed_forward.operations(step, execution),
            gemm("linear", self._projection(), tokens, execution),
        )
