"""Dense feed-forward blocks, gated or plain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from planner.model.bounds import Flag, Name, Size
from planner.model.execution import Execution
from planner.model.layout import Section
from planner.model.operation import Operation, all_reduce, elementwise, gemm
from planner.model.part import Stateless
from planner.model.step import Step
from planner.model.tensor import Tensor, linear


@dataclass(frozen=True, slots=True, kw_only=True)
class Dense(Stateless):
    """Two matrices and an activation function, or three where the first is gated.

    Parameters
    ----------
    hidden, intermediate : int
        Width of the residual stream and inside the block. [elements]
    gated : bool
        SwiGLU or GeGLU: two input projections whose product enters the third matrix.
    bias : bool
        Whether the matrices have biases.
    name : str
        Module name.
    """

    kind: Literal["dense"] = "dense"
    hidden: Size
    intermediate: Size
    gated: Flag = True
    bias: Flag = False
    name: Name = "mlp"

    def _inputs(self) -> tuple[Tensor, ...]:
        out = (Section(self.intermediate, 1, "feed-forward columns"),)
        names = ("gate_proj", "up_proj") if self.gated else ("up_proj",)
        return tuple(
            tensor
            for name in names
            for tensor in linear(
                f"{self.name}.{name}", self.intermediate, self.hidden, bias=self.bias, out=out
            )
        )

    def _output(self) -> tuple[Tensor, ...]:
        inner = (Section(self.intermediate, 1, "feed-forward columns"),)
        return linear(
            f"{self.name}.down_proj", self.hidden, self.intermediate, bias=self.bias, inner=inner
        )

    def tensors(self) -> tuple[Tensor, ...]:
        """Return the matrices and biases.

        Returns
        -------
        tuple of Tensor
            Column parallel going in, row parallel coming out.

        References
        ----------
        shoeybi-2019

        Examples
        --------
        >>> sum(t.elements for t in Dense(hidden=4096, intermediate=14336).tensors())
        176160768
        """
        return (*self._inputs(), *self._output())

    def operations(self, step: Step, execution: Execution) -> tuple[Operation, ...]:
        """Return the products, the activation function between them and the sum over ranks.

        Parameters
        ----------
        step : Step
            The forward pass.
        execution : Execution
            Formats and layout.

        Returns
        -------
        tuple of Operation
            ``2·tokens·parameters`` FLOP in all.

        Raises
        ------
        LayoutError
            The ranks do not divide the width.

        Examples
        --------
        >>> from planner.model.execution import half
        >>> ops = Dense(hidden=4096, intermediate=14336).operations(Step.decode(1, 1), half())
        >>> sum(op.flop for op in ops)
        352321536
        """
        tokens = step.tokens
        going_in = gemm(f"{self.name}.in", self._inputs(), tokens, execution)
        wide = int(going_in.shape["n"])
        narrow = wide // 2 if self.gated else wide
        operations = [
            going_in,
            elementwise(f"{self.name}.activation", tokens, wide, narrow, execution),
            gemm(f"{self.name}.out", self._output(), tokens, execution),
        ]
        if execution.layout.tp > 1:
            operations.append(all_reduce(f"{self.name}.all_reduce", tokens, self.hidden, execution))
        return tuple(operations)
