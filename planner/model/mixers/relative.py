"""Positions by distance: what a token adds to its scores depends on how far the key lies back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from planner.model.bounds import Size
from planner.model.execution import Execution
from planner.model.layout import Section
from planner.model.operation import Operation, gemm
from planner.model.part import Stateless
from planner.model.step import Step
from planner.model.tensor import Tensor, linear


@dataclass(frozen=True, slots=True, kw_only=True)
class RelativePositions(Stateless):
    """A bias of attention's scores that each token mixes of learned profiles over the distance.

    Parameters
    ----------
    hidden : int
        Width of the residual stream. [elements]
    heads : int
        Query heads. [1]
    profiles : int
        Profiles that a head mixes. [1]
    extent : int
        Distances that a profile covers; further keys have no bias. [tokens]
    """

    kind: Literal["relative_positions"] = "relative_positions"
    hidden: Size
    heads: Size
    profiles: Size
    extent: Size

    def _heads(self) -> Section:
        return Section(self.heads, self.profiles, "query heads")

    def _mixing(self) -> tuple[Tensor, ...]:
        wide = self.heads * self.profiles
        return linear("self_attn.r_proj", wide, self.hidden, out=(self._heads(),))

    def _bank(self) -> tuple[Tensor, ...]:
        return linear("self_attn.rel_logits_proj", self.extent, self.profiles)

    def tensors(self) -> tuple[Tensor, ...]:
        """Return what makes the mixtures, and the profiles.

        Returns
        -------
        tuple of Tensor
            Heads are cut over ranks; every rank holds all profiles.

        Examples
        --------
        >>> positions = RelativePositions(hidden=4608, heads=48, profiles=16, extent=1024)
        >>> [t.elements for t in positions.tensors()]
        [3538944, 16384]
        """
        return (*self._mixing(), *self._bank())

    def operations(self, step: Step, execution: Execution) -> tuple[Operation, ...]:
        """Return both products; the bias is added where scores are made.

        Parameters
        ----------
        step : Step
            The forward pass.
        execution : Execution
            Formats and layout.

        Returns
        -------
        tuple of Operation
            The second has a row per token and head.

        Raises
        ------
        LayoutError
            The ranks do not divide the heads.

        Examples
        --------
        >>> from planner.model.execution import half
        >>> positions = RelativePositions(hidden=4608, heads=48, profiles=16, extent=1024)
        >>> [op.flop for op in positions.operations(Step.decode(1, 1), half())]
        [7077888, 1572864]
        """
        rows = step.tokens * self._heads().units_on_rank(execution.layout.tp)
        return (
            gemm("self_attn.r_proj", self._mixing(), step.tokens, execution),
            gemm("self_attn.rel_logits_proj", self._bank(), rows, execution),
        )
