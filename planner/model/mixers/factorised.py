"""Multi-matrix factorisation attention: queries through a shared latent, one key and value head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from planner.model.bounds import Size
from planner.model.cache import Cache
from planner.model.execution import Execution
from planner.model.layout import Section
from planner.model.mixers.attention import Attention
from planner.model.operation import Operation, elementwise, gemm
from planner.model.step import Step
from planner.model.tensor import Tensor, linear


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorisedAttention:
    """Multi-query attention whose many wide query heads come from one latent per token.

    Parameters
    ----------
    hidden : int
        Width of the residual stream. [elements]
    query_heads : int
        Heads. [1]
    head_dim : int
        Width of one head, and of the one key and the one value. [elements]
    query_rank : int
        Width of the latent that queries are made of. [elements]
    """

    kind: Literal["factorised_attention"] = "factorised_attention"
    hidden: Size
    query_heads: Size
    head_dim: Size
    query_rank: Size

    @property
    def variant(self) -> str:
        """Common name."""
        return "MFA"

    def _attention(self) -> Attention:
        return Attention(
            hidden=self.hidden, query_heads=self.query_heads, kv_heads=1, head_dim=self.head_dim
        )

    def _going_down(self) -> tuple[Tensor, ...]:
        """Return what is made of the residual stream, whole on every rank."""
        widths = {"q": self.query_rank, "k": self.head_dim, "v": self.head_dim}
        return tuple(
            tensor
            for name, width in widths.items()
            for tensor in linear(f"self_attn.{name}_proj", width, self.hidden)
        )

    def _queries(self) -> tuple[Tensor, ...]:
        section = Section(self.query_heads, self.head_dim, "query heads")
        width = self.query_heads * self.head_dim
        return linear("self_attn.wq", width, self.query_rank, out=(section,))

    def tensors(self) -> tuple[Tensor, ...]:
        """Return the projections and the norm of the queries' latent.

        Returns
        -------
        tuple of Tensor
            Query heads are cut over ranks; the latent and the one key-value head are copied.

        References
        ----------
        hu-2024

        Examples
        --------
        >>> step3 = FactorisedAttention(hidden=7168, query_heads=64, head_dim=256, query_rank=2048)
        >>> sum(t.elements for t in step3.tensors())
        169347072
        """
        norm = Tensor("self_attn.inter_norm.weight", (self.query_rank,), "norm")
        output = [t for t in self._attention().tensors() if ".o_proj." in t.name]
        return (*self._going_down(), norm, *self._queries(), *output)

    def caches(self) -> tuple[Cache, ...]:
        """Return the one key and value kept per token.

        Returns
        -------
        tuple of Cache
            A copy on every rank.

        References
        ----------
        shazeer-2019

        Examples
        --------
        >>> from planner.model.execution import half
        >>> step3 = FactorisedAttention(hidden=7168, query_heads=64, head_dim=256, query_rank=2048)
        >>> step3.caches()[0].token_bytes(half(), tp=8)
        1024
        """
        return self._attention().caches()

    def operations(self, step: Step, execution: Execution) -> tuple[Operation, ...]:
        """Return both products of the queries and what multi-query attention does.

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
        hu-2024

        Examples
        --------
        >>> from planner.model.execution import half
        >>> step3 = FactorisedAttention(hidden=7168, query_heads=64, head_dim=256, query_rank=2048)
        >>> [op.flop for op in step3.operations(Step.decode(1, 1), half())][:3]
        [36700160, 0, 67108864]
        """
        rank = self.query_rank
        queries = (
            gemm("self_attn.qkv_proj", self._going_down(), step.tokens, execution),
            elementwise("self_attn.inter_norm", step.tokens, rank, rank, execution),
            gemm("self_attn.wq", self._queries(), step.tokens, execution),
        )
        return (*queries, *self._attention().operations(step, execution)[1:])
