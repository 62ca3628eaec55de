"""Normalisation of the residual stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from planner.model.bounds import Flag, Name, Size
from planner.model.execution import Execution
from planner.model.operation import Operation, elementwise
from planner.model.part import Stateless
from planner.model.step import Step
from planner.model.tensor import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Norm(Stateless):
    """RMSNorm or LayerNorm over the hidden width, with the residual addition before it.

    Parameters
    ----------
    kind : {"rms_norm", "layer_norm"}
        RMSNorm has a weight; LayerNorm a weight and, unless switched off, a bias.
    width : int
        Hidden width. [elements]
    weight, bias : bool
        Whether the parameters exist; RMSNorm never has a bias.
    name : str
        Module name.
    vectors : int
        Vectors of a token that are normalised one by one with the same weights. [1]
    """

    kind: Literal["rms_norm", "layer_norm"]
    width: Size
    weight: Flag = True
    bias: Flag = True
    name: Name = "norm"
    vectors: Size = 1

    def tensors(self) -> tuple[Tensor, ...]:
        """Return scale and, for LayerNorm, shift.

        Returns
        -------
        tuple of Tensor
            A copy on every rank.

        Examples
        --------
        >>> [t.elements for t in Norm(kind="layer_norm", width=768).tensors()]
        [768, 768]
        """
        weight = (Tensor(f"{self.name}.weight", (self.width,), "norm"),) if self.weight else ()
        if self.kind == "rms_norm" or not self.bias:
            return weight
        return (*weight, Tensor(f"{self.name}.bias", (self.width,), "norm"))

    def operations(self, step: Step, execution: Execution) -> tuple[Operation, ...]:
        """Return one fused pass: read input and residual, write both.

        Parameters
        ----------
        step : Step
            The forward pass.
        execution : Execution
            Formats and layout.

        Returns
        -------
        tuple of Operation
            One elementwise operation.

        Examples
        --------
        >>> from planner.model.execution import half
        >>> Norm(kind="rms_norm", width=4096).operations(Step.decode(16, 4096), half())[
        ...     0
        ... ].read_bytes
        262144
        """
        width = 2 * self.width * self.vectors
        return (elementwise(self.name, step.tokens, width, width, execution),)
