"""Single matrices and learned values that stand between the large parts of a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from planner.model.bounds import Flag, Name, Size
from planner.model.execution import Execution
from planner.model.operation import Operation, gemm
from planner.model.part import Stateless
from planner.model.step import Step
from planner.model.tensor import Role, Tensor, linear


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection(Stateless):
    """One matrix: a projector, a patch embedding, a convolution whose kernels do not overlap.

    Parameters
    ----------
    name : str
        Module name.
    inputs, outputs : int
        Width of a row going in and coming out. [elements]
    bias : bool
        Whether there is one.
    rows : int
        Rows that each token gives. [1]
    merged : int
        Tokens that are joined into one row. [tokens]
    """

    kind: Literal["projection"] = "projection"
    name: Name
    inputs: Size
    outputs: Size
    bias: Flag = False
    rows: Size = 1
    merged: Size = 1

    def tensors(self) -> tuple[Tensor, ...]:
        """Return the matrix and, if there is one, its bias.

        Returns
        -------
        tuple of Tensor
            A copy on every rank.

        Examples
        --------
        >>> patches = Projection(name="patch_embedding", inputs=3 * 14 * 14, outputs=1024)
        >>> [t.elements for t in patches.tensors()]
        [602112]
        """
        return linear(self.name, self.outputs, self.inputs, bias=self.bias)

    def operations(self, step: Step, execution: Execution) -> tuple[Operation, ...]:
        """Return the product.

        Parameters
        ----------
        step : Step
            The forward pass.
        execution : Execution
            Formats and layout.

        Returns
        -------
        tuple of Operation
            One product over ``tokens · rows / merged`` rows.

        Examples
        --------
        >>> from planner.model.execution import half
        >>> merger = Projection(name="merger", inputs=5120, outputs=2048, merged=4)
        >>> merger.operations(Step.prefill(1, 1024), half())[0].flop
        5368709120
        """
        rows = step.tokens * self.rows // self.merged
        return (gemm(self.name, self.tensors(), rows, execution),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table(Stateless):
    """Learned values that are added or multiplied: positions, class tokens, scales, biases.

    Parameters
    ----------
    name : str
        Tensor name.
    shape : tuple of int
        As in the checkpoint. [elements]
    role : str
        What it is for.
    """

    kind: Literal["table"] = "table"
    name: Name
    shape: Annotated[tuple[Size, ...], Field(min_length=1, max_length=6)]
    role: Role = "position"

    def tensors(self) -> tuple[Tensor, ...]:
        """Return the tensor.

        Returns
        -------
        tuple of Tensor
            A copy on every rank.

        Examples
        --------
        >>> Table(name="class_embedding", shape=(1024,)).tensors()[0].elements
        1024
        """
        return (Tensor(self.name, self.shape, self.role),)

    def operations(self, step: Step, execution: Execution) -> tuple[Operation, ...]:
        """Return one reading of the values; what they are added to is read by its neighbours.

        Parameters
        ----------
        step : Step
            Not used.
        execution : Execution
            Gives the storage scheme.

        Returns
        -------
        tuple of Operation
            One elementwise operation.

        Examples
        --------
        >>> from planner.model.execution import half
        >>> table = Table(name="relative_attention_bias", shape=(32, 12))
        >>> table.operations(Step.decode(1, 1), half())[0].read_bytes
        768
        """
        del step
        (tensor,) = self.tensors()
        size = execution.weights.tensor_bytes(tensor)
        return (
            Operation(
                name=self.name,
                kind="elementwise",
                precision=execution.stream.precision,
                weight_bytes=size,
                shape={"tokens": 1, "width": tensor.elements, "total_bytes": size},
            ),
        )
