"""The most that activations take at once, from the model's own operations."""

from __future__ import annotations

from dataclasses import dataclass

from planner.arrays import Numeric, maximum
from planner.model import Execution, Model, Step

_TOKENS = 64
"""Tokens of the steps compared; a multiple of what any part joins into one row."""


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
    sequence_bytes : float
        What work on another sequence takes, an encoder's input or an image, per row. [bytes]
    """

    residual_bytes: int
    widest_bytes: float
    widest: str
    logits_bytes: float
    sequence_bytes: float = 0

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
            Residual stream plus the largest of the widest operation, the logits and the work on
            another sequence. [bytes]

        Examples
        --------
        >>> ActivationPeak(
        ...     residual_bytes=8192, widest_bytes=86016, widest="mlp", logits_bytes=769536
        ... ).bytes(8192, 16)
        771751936
        """
        by_row = maximum(self.logits_bytes, self.sequence_bytes) * rows
        return self.residual_bytes * tokens + maximum(self.widest_bytes * tokens, by_row)


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
        Linear in tokens and rows, as every operation's inputs and outputs are: what grows with the
        tokens of a step, and what stays for each sequence.

    Raises
    ------
    LayoutError
        The ranks do not divide the model.
    """
    some, twice = Step.prefill(1, _TOKENS), Step.prefill(1, 2 * _TOKENS)
    widest, name, beside = 0.0, "", 0.0
    for part in model.distinct_parts:
        pairs = zip(
            part.operations(some, execution), part.operations(twice, execution), strict=True
        )
        for few, many in pairs:
            per_token = (many.live_bytes - few.live_bytes) / _TOKENS
            beside = max(beside, few.live_bytes - _TOKENS * per_token)
            if per_token > widest:
                widest, name = per_token, few.name
    return ActivationPeak(
        residual_bytes=model.hidden * execution.stream_bytes,
        widest_bytes=widest,
        widest=name,
        logits_bytes=_logits_bytes(model, execution) if model.last else 0,
        sequence_bytes=max(beside, _towers_bytes(model, execution)),
    )


def _logits_bytes(model: Model, execution: Execution) -> float:
    """Return the size of a row of logits, what it is made of and its copy in fp32."""
    logits = model.head.operations(Step.prefill(1, 1), execution)[-2]
    return float(logits.live_bytes + 4 * int(logits.shape["n"]))


def _towers_bytes(model: Model, execution: Execution) -> float:
    """Return the most that a tower at work takes for one sequence, its stream included."""
    step = Step.prefill(1, 1)
    most = 0.0
    for tower in model.towers:
        stream = max((getattr(part, "hidden", 0) for _, part, _ in tower.parts), default=0)
        widest = max((op.live_bytes for _, op, _ in tower.operations(step, execution)), default=0)
        most = max(most, widest + tower.tokens * tower.times * stream * execution.stream_bytes)
    return most
