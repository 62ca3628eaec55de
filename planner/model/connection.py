"""What stands between parts: gates on their output, inner norms, residuals over depth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from planner.model.bounds import Flag, Name, Size
from planner.model.execution import Execution
from planner.model.layout import Section
from planner.model.operation import Operation, elementwise, gemm
from planner.model.part import Stateless
from planner.model.step import Step
from planner.model.tensor import Tensor, linear


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputGate(Stateless):
    """A sigmoid of the layer's input that scales what attention gives, before its last product.

    Parameters
    ----------
    hidden : int
        Width of the residual stream. [elements]
    heads : int
        Heads of the attention. [1]
    width : int
        Numbers per head: 1, or the width of a head's value. [elements]
    name : str
        Module name.
    """

    kind: Literal["output_gate"] = "output_gate"
    hidden: Size
    heads: Size
    width: Size = 1
    name: Name = "self_attn.g_proj"

    def tensors(self) -> tuple[Tensor, ...]:
        """Return the projection.

        Returns
        -------
        tuple of Tensor
            Heads are cut over ranks.

        References
        ----------
        kimi-linear-2025

        Examples
        --------
        >>> sum(t.elements for t in OutputGate(hidden=2560, heads=32).tensors())
        81920
        """
        out = (Section(self.heads, self.width, "query heads"),)
        return linear(self.name, self.heads * self.width, self.hidden, out=out)

    def operations(self, step: Step, execution: Execution) -> tuple[Operation, ...]:
        """Return the product and the scaling.

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

        Examples
        --------
        >>> from planner.model.execution import half
        >>> gate = OutputGate(hidden=2560, heads=32)
        >>> gate.operations(Step.decode(1, 1), half())[0].flop
        163840
        """
        product = gemm(self.name, self.tensors(), step.tokens, execution)
        wide = int(product.shape["n"])
        applied = elementwise(f"{self.name}.gate", step.tokens, 2 * wide, wide, execution)
        return (product, applied)


@dataclass(frozen=True, slots=True, kw_only=True)
class InnerNorm(Stateless):
    """A norm within another part, over a vector that is not the residual stream.

    Parameters
    ----------
    width : int
        Length of the vector. [elements]
    name : str
        Module name.
    bias : bool
        Whether it shifts, as LayerNorm does, besides scaling.
    """

    kind: Literal["inner_norm"] = "inner_norm"
    width: Size
    name: Name
    bias: Flag = False

    def tensors(self) -> tuple[Tensor, ...]:
        """Return scale and, if there is one, shift.

        Returns
        -------
        tuple of Tensor
            A copy on every rank.

        Examples
        --------
        >>> InnerNorm(width=3584, name="routed_expert_norm").tensors()[0].elements
        3584
        """
        names = ("weight", "bias") if self.bias else ("weight",)
        return tuple(Tensor(f"{self.name}.{name}", (self.width,), "norm") for name in names)

    def operations(self, step: Step, execution: Execution) -> tuple[Operation, ...]:
        """Return one pass over the vector of every token.

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
        >>> norm = InnerNorm(width=3584, name="routed_expert_norm")
        >>> norm.operations(Step.decode(1, 1), half())[0].read_bytes
        7168
        """
        return (elementwise(self.name, step.tokens, self.width, self.width, execution),)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionResidual(Stateless):
    """A residual connection that weighs sums of earlier layers instead of adding the last one.

    Each learned vector scores the kept sums; their softmax weighs them into one input.

    Parameters
    ----------
    hidden : int
        Width of the residual stream. [elements]
    entries : int
        Sums it weighs. [1]
    name : str
        Module name.
    inputs : int
        Weighted sums it makes, each with a vector of its own. [1]
    norm : bool
        Whether the norm before the scores has a learned scale.
    """

    kind: Literal["attention_residual"] = "attention_residual"
    hidden: Size
    entries: Size
    name: Name
    inputs: Size = 1
    norm: Flag = True

    def tensors(self) -> tuple[Tensor, ...]:
        """Return the scoring vectors and the norm before them.

        Returns
        -------
        tuple of Tensor
            A copy on every rank.

        References
        ----------
        attention-residuals-2026

        Examples
        --------
        >>> residual = AttentionResidual(hidden=7168, entries=2, name="mlp_res")
        >>> sum(t.elements for t in residual.tensors())
        14336
        """
        scores = linear(f"{self.name}_proj", self.inputs, self.hidden, role="router")
        norm = Tensor(f"{self.name}_norm.weight", (self.hidden,), "norm")
        return (*scores, norm) if self.norm else scores

    def operations(self, step: Step, execution: Execution) -> tuple[Operation, ...]:
        """Return scores and the weighted sums.

        Parameters
        ----------
        step : Step
            The forward pass.
        execution : Execution
            Formats and layout.

        Returns
        -------
        tuple of Operation
            Two multiply-adds per element of every sum and for every input made.

        References
        ----------
        attention-residuals-2026

        Examples
        --------
        >>> from planner.model.execution import half
        >>> residual = AttentionResidual(hidden=7168, entries=2, name="mlp_res")
        >>> residual.operations(Step.decode(1, 1), half())[0].flop
        57344
        """
        width = self.entries * self.hidden
        made = self.inputs * self.hidden
        moved = elementwise(self.name, step.tokens, width, made, execution)
        return (
            Operation(
                name=self.name,
                kind="elementwise",
                precision=moved.precision,
                flop=4 * step.tokens * width * self.inputs,
                weight_bytes=sum(execution.weights.tensor_bytes(t) for t in self.tensors()),
                input_bytes=moved.input_bytes,
                output_bytes=moved.output_bytes,
                shape=moved.shape,
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnedScale(Stateless):
    """Learned vectors that scale or shift, element by element, what passes.

    Parameters
    ----------
    width : int
        Length of a vector. [elements]
    name : str
        Module name.
    vectors : int
        Vectors: a scale, a shift, and the same for the residual stream. [1]
    """

    kind: Literal["learned_scale"] = "learned_scale"
    width: Size
    name: Name
    vectors: Size = 1

    def tensors(self) -> tuple[Tensor, ...]:
        """Return the vectors.

        Returns
        -------
        tuple of Tensor
            A copy on every rank.

        Examples
        --------
        >>> LearnedScale(width=2048, name="residual_scale", vectors=4).tensors()[0].elements
        8192
        """
        return (Tensor(self.name, (self.vectors, self.width), "norm"),)

    def operations(self, step: Step, execution: Execution) -> tuple[Operation, ...]:
        """Return one pass over the vector of every token.

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
        >>> scale = LearnedScale(width=2048, name="residual_scale", vectors=4)
        >>> scale.operations(Step.decode(1, 1), half())[0].read_bytes
        4096
        """
        return (elementwise(self.name, step.tokens, self.width, self.width, execution),)
