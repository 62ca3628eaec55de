"""The planner's FLOP against PyTorch's own counter, in the counter's convention.

The counter knows products and convolutions. It does not halve causal attention, sees no product in
the recurrence between the chunks of a scan, and fused attention on a host counts as nothing.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from planner.cost.shapes import Shape, execution_of
from planner.model import Execution, Model, Operation, Step
from planner.model.cache import StateCache
from planner.model.mixers.attention import Attention, causal_pairs
from planner.model.mixers.state_space import Mamba2
from validation.decoder import Decoder
from validation.entries import Check
from validation.reduction import model_of


def counted_flop(call: Callable[[], object]) -> float:
    """Return the FLOP that PyTorch's counter sees; fused attention on a host counts as nothing.

    Parameters
    ----------
    call : callable
        What to count.

    Returns
    -------
    float
        Products and convolutions. [FLOP]
    """
    with (
        torch.no_grad(),
        sdpa_kernel(SDPBackend.MATH),
        FlopCounterMode(display=False) as counter,
    ):
        call()
    return float(counter.get_total_flops())


def in_counters_convention(operation: Operation, step: Step, window: int | None = None) -> float:
    """Return the planner's FLOP of an operation as PyTorch's counter would see them.

    The counter does not halve causal attention and sees no product in the recurrence between the
    chunks of a scan.

    Parameters
    ----------
    operation : Operation
        The operation.
    step : Step
        The forward pass.
    window : int, optional
        Keys a query sees. [tokens]

    Returns
    -------
    float
        The FLOP. [FLOP]
    """
    if operation.kind == "attention_prefill":
        pairs = causal_pairs(step.new_tokens, step.cached_tokens, window)
        square = step.new_tokens * (step.cached_tokens + step.new_tokens)
        return float(operation.flop / pairs * square)
    return float(operation.flop)


def model_flop(model: Model, execution: Execution, step: Step) -> float:
    """Return the planner's FLOP of a step in the convention of PyTorch's counter.

    Parameters
    ----------
    model : Model
        The model.
    execution : Execution
        Formats.
    step : Step
        A prefill without cached tokens.

    Returns
    -------
    float
        The FLOP. [FLOP]
    """
    total = 0.0
    for _, part, count in model.parts:
        for operation in part.operations(step, execution):
            window = part.window if isinstance(part, Attention) else None
            flop = in_counters_convention(operation, step, window)
            if isinstance(part, Mamba2) and operation.kind == "state_space_prefill":
                (state,) = [cache for cache in part.caches() if cache.kind == "state"]
                flop -= _recurrence_flop(part, state, step)
            total += flop * count
    return total


def _recurrence_flop(part: Mamba2, state: StateCache, step: Step) -> float:
    """A multiply-add per element of the state and chunk, which no matrix product does."""
    width = sum(section.units * section.width for section in state.sections)
    elements = width * int(state.shape[0])
    return 2.0 * elements * step.tokens / min(int(step.new_tokens), part.chunk)


def check_flop(shape: Shape, dtype: str, device: torch.device) -> tuple[Check, ...]:
    """Count a prefill of a decoder built from a model's description, and its parameters.

    Parameters
    ----------
    shape : mapping
        ``model``, cuts, ``batch`` and ``new_tokens``.
    dtype : str
        Of the decoder.
    device : torch.device
        Where it runs.

    Returns
    -------
    tuple of Check
        FLOP and parameters.
    """
    model, execution = model_of(shape), execution_of(dtype)
    batch, new_tokens = int(shape["batch"]), int(shape["new_tokens"])
    decoder = Decoder(model, execution, device).randomised()
    ids = torch.zeros((batch, new_tokens), dtype=torch.long, device=device)
    caches = decoder.caches(batch, new_tokens)
    return (
        Check(
            name="FLOP of a prefill, in the counter's convention",
            predicted=model_flop(model, execution, Step.prefill(batch, new_tokens)),
            measured=counted_flop(lambda: decoder(ids, caches)),
            unit="FLOP",
        ),
        Check(
            name="parameters",
            predicted=model.parameters,
            measured=sum(parameter.numel() for parameter in decoder.parameters()),
            unit="1",
        ),
    )
