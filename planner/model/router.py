"""Routers of experts that are small networks instead of one matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from planner.model.bounds import Flag, Size
from planner.model.execution import Execution
from planner.model.operation import Operation, elementwise, gemm
from planner.model.part import Stateless
from planner.model.step import Step
from planner.model.tensor import Tensor, linear


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterNetwork(Stateless):
    """A router of four matrices, the first narrowing, the others with a norm before them.

    What it narrows to is passed on to the next layer's router, which adds it to its own. Choices
    are corrected by a bias that training adjusts by rule: a buffer, not a parameter.

    Parameters
    ----------
    hidden : int
        Width of the residual stream. [elements]
    width : int
        Width inside. [elements]
    choices : int
        What it chooses among: experts, and skipping them. [1]
    carried : bool
        Whether it adds, scaled, what the layer before passed on.
    """

    kind: Literal["router_network"] = "router_network"
    hidden: Size
    width: Size
    choices: Size
    carried: Flag = True

    def _matrices(self) -> tuple[tuple[Tensor, ...], ...]:
        inner = self.width
        layers = (
            ("down_proj", inner, self.hidden),
            ("fc1", inner, inner),
            ("fc2", inner, inner),
            ("out_proj", self.choices, inner),
        )
        return tuple(
            linear(f"mlp.gate.{name}", high, wide, bias=name != "out_proj", role="router")
            for name, high, wide in layers
        )

    def tensors(self) -> tuple[Tensor, ...]:
        """Return matrices, scale, norm and the bias of choices.

        Returns
        -------
        tuple of Tensor
            A copy on every rank.

        References
        ----------
        anthony-2025

        Examples
        --------
        >>> router = RouterNetwork(hidden=2048, width=256, choices=17)
        >>> sum(t.parameters for t in router.tensors())
        660992
        """
        scale = Tensor("mlp.gate.router_states_scale", (self.width,), "norm")
        return (
            *(tensor for matrix in self._matrices() for tensor in matrix),
            Tensor("mlp.gate.norm.weight", (self.width,), "norm"),
            *((scale,) if self.carried else ()),
            Tensor("mlp.gate.balancing_biases", (self.choices,), "buffer"),
        )

    def operations(self, step: Step, execution: Execution) -> tuple[Operation, ...]:
        """Return the products and one pass between them.

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
        anthony-2025

        Examples
        --------
        >>> from planner.model.execution import half
        >>> router = RouterNetwork(hidden=2048, width=256, choices=17)
        >>> sum(op.flop for op in router.operations(Step.decode(1, 1), half()))
        1319424
        """
        names = ("down_proj", "fc1", "fc2", "out_proj")
        return (
            *(
                gemm(f"mlp.gate.{name}", matrix, step.tokens, execution)
                for name, matrix in zip(names, self._matrices(), strict=True)
            ),
            elementwise("mlp.gate.norm", step.tokens, 4 * self.width, 3 * self.width, execution),
        )
