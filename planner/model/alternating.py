"""AltUp: several copies of the residual stream, of which a layer works on one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from planner.model.bounds import Size
from planner.model.execution import Execution
from planner.model.operation import Operation, elementwise, gemm
from planner.model.part import Stateless
from planner.model.step import Step
from planner.model.tensor import Tensor, linear


@dataclass(frozen=True, slots=True, kw_only=True)
class AltUp(Stateless):
    """Predicts every copy of the stream before a layer, and corrects all by what the layer made.

    Parameters
    ----------
    hidden : int
        Width of one copy. [elements]
    copies : int
        Copies of the stream. [1]
    """

    kind: Literal["altup"] = "altup"
    hidden: Size
    copies: Size

    def _router(self) -> tuple[Tensor, ...]:
        return linear("altup.modality_router", self.copies, self.hidden, role="router")

    def tensors(self) -> tuple[Tensor, ...]:
        """Return the router with its norm, the two matrices of coefficients, and the scale.

        Returns
        -------
        tuple of Tensor
            A copy on every rank.

        References
        ----------
        baykal-2023

        Examples
        --------
        >>> sum(t.elements for t in AltUp(hidden=2048, copies=4).tensors())
        12368
        """
        return (
            *self._router(),
            *linear("altup.prediction_coefs", self.copies**2, self.copies, role="router"),
            *linear("altup.correction_coefs", self.copies, self.copies, role="router"),
            Tensor("altup.router_norm.weight", (self.hidden,), "norm"),
            Tensor("altup.correct_output_scale", (self.hidden,), "norm"),
        )

    def operations(self, step: Step, execution: Execution) -> tuple[Operation, ...]:
        """Return routing, prediction and correction.

        Parameters
        ----------
        step : Step
            The forward pass.
        execution : Execution
            Formats and layout.

        Returns
        -------
        tuple of Operation
            The router runs twice; the prediction multiplies the copies by ``copies²`` coefficients.

        Examples
        --------
        >>> from planner.model.execution import half
        >>> ops = AltUp(hidden=2048, copies=4).operations(Step.prefill(1, 1), half())
        >>> sum(op.flop for op in ops)
        98464
        """
        tokens, n = step.tokens, self.copies
        streams = n * self.hidden
        mixing = elementwise("altup.predict", tokens, streams, streams, execution)
        return (
            gemm("altup.modality_router", self._router(), 2 * tokens, execution),
            gemm("altup.prediction_coefs", self.tensors()[1:2], tokens, execution),
            gemm("altup.correction_coefs", self.tensors()[2:3], tokens, execution),
            Operation(
                name=mixing.name,
                kind="elementwise",
                precision=mixing.precision,
                flop=2 * tokens * n * streams,
                input_bytes=mixing.input_bytes,
                output_bytes=mixing.output_bytes,
                shape=mixing.shape,
            ),
            elementwise("altup.correct", tokens, streams + self.hidden, streams, execution),
        )
