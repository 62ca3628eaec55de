"""The most that activations take at once, from the model's own operations."""

from __future__ import annotations

from dataclasses import dataclass

from planner.arrays import Numeric, maximum
from planner.model import Execution, Model, Step


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivationPeak:
    """The most that activations take at once in a step, from the model's own operations.

    Parameters
    ----------
    residual_bytes : int
        Residual stream, per token. [bytes]
    widest_bytes : float
        Inputs, outputs and workspace of the widest operation, per token. [bytes]
    widest : str
        That operation.
    logits_bytes : float
        Hidden state, logits and their fp32 copy, per sampled row. [bytes]
    """

    residual_bytes: int
    widest_bytes: float
    widest: str
    logits_bytes: float

    def bytes(self, tokens: Numeric, rows: Numeric) -> Numeric:
        """Return the peak of a step.

        Parameters
        ----------
        tokens : numeric
            Tokens in the step. [tokens]
        rows : numeric
            Rows of logits. [1]

        Returns
        -------
        numeric
            Residual stream plus the larger of the widest operation and the logits. [bytes]

        Examples
        --------
        >>> ActivationPeak(
        ...     residual_bytes=8192, widest_bytes=86016, widest="mlp", logits_bytes=769536
        ... ).bytes(8192, 16)
        771751936
        """
        return self.residual_bytes * tokens + maximum(
            self.widest_bytes * tokens, self.logits_bytes * rows
        )


def activation_peak(model: Model, execution: Execution) -> ActivationPeak:
    """Return what bounds the activations of a model, per token and per row of logits.

    Parameters
    ----------
    model : Model
        The model.
    execution : Execution
        Formats and layout.

    Returns
    -------
    ActivationPeak
        Linear in tokens and rows, as every operation's inputs and outputs are.

    Raises
    ------
    LayoutError
        The ranks do not divide the model.
    """
    one = Step.prefill(1, 1)
    widest, name = 0, ""
    for _, part, _ in model.parts:
        if part is model.head:
            continue
        for operation in part.operations(one, execution):
            if operation.live_bytes > widest:
                widest, name = operation.live_bytes, operation.name
    logits = model.head.operations(one, execution)[-2]
    fp32_copy = 4 * int(logits.shape["n"])
    return ActivationPeak(
        residual_bytes=model.hidden * execution.stream_bytes,
        widest_bytes=widest,
        widest=name,
        logits_bytes=logits.live_bytes + fp32_copy,
    )
