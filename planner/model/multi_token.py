"""Multi-token prediction: a further layer that drafts the token after the next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from planner.model.bounds import Count, Size
from planner.model.execution import Execution
from planner.model.operation import Operation, elementwise, gemm
from planner.model.part import Stateless
from planner.model.step import Step
from planner.model.tensor import Tensor, linear


@dataclass(frozen=True, slots=True, kw_only=True)
class MultiTokenProjection(Stateless):
    """What leads into a layer for multi-token prediction (MTP).

    The stack's last hidden state and the embedding of the token it led to are normalised and
    projected together to one input. Embedding and head are the model's own; checkpoints may
    hold a copy of both all the same.

    Parameters
    ----------
    hidden : int
        Width of the residual stream. [elements]
    copied_vocabulary : int
        Rows of the copies of token table and head in the checkpoint; 0 without. [1]
    """

    kind: Literal["multi_token_projection"] = "multi_token_projection"
    hidden: Size
    copied_vocabulary: Count = 0

    @property
    def copied_elements(self) -> int:
        """Elements of the copies, which nothing loads. [1]."""
        return 2 * self.copied_vocabulary * self.hidden

    def _projection(self) -> tuple[Tensor, ...]:
        return linear("eh_proj", self.hidden, 2 * self.hidden)

    def tensors(self) -> tuple[Tensor, ...]:
        """Return the two norms and the projection.

        Returns
        -------
        tuple of Tensor
            A copy on every rank.

        References
        ----------
        deepseek-v3-2024

        Examples
        --------
        >>> sum(t.elements for t in MultiTokenProjection(hidden=7168).tensors())
        102774784
        """
        norms = (Tensor(f"{name}.weight", (self.hidden,), "norm") for name in ("enorm", "hnorm"))
        return (*norms, *self._projection())

    def operations(self, step: Step, execution: Execution) -> tuple[Operation, ...]:
        """Return the norms and the projection.

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
        deepseek-v3-2024

        Examples
        --------
        >>> from planner.model.execution import half
        >>> MultiTokenProjection(hidden=7168).operations(Step.decode(1, 1), half())[1].flop
        205520896
        """
        width = 2 * self.hidden
        return (
            elementwise("mtp.norm", step.tokens, width, width, execution),
            gemm("mtp.eh_proj", self._projection(), step.tokens, execution),
        )
