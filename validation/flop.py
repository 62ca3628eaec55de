"""The planner's FLOP against PyTorch's own counter, in the counter's convention.

The counter knows products and convolutions, and fused attention on a host counts as nothing.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from planner.cost.shapes import Shape, execution_of
from planner.model import Execution, Model, Operation, Step
from planner.model.mixers.attention import Attention
from planner.model.mixers.latent import LatentAttention
from planner.model.mixers.linear_delta import GatedDeltaNet
from planner.model.mixers.pairs import causal_pairs, chunked_pairs
from planner.model.mixers.state_space import Mamba2
from planner.model.part import Part
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


def in_counters_convention(operation: Operation, part: Part, step: Step) -> float:
    """Return the planner's FLOP of an operation as PyTorch's counter would see them.

    The counter does not halve causal attention. Of scans it sees the products alone: neither the
    recurrence between the chunks of one, nor the triangular systems of another.

    Parameters
    ----------
    operation : Operation
        The operation.
    part : Part
        What does it.
    step : Step
        A prefill without cached tokens.

    Returns
    -------
    float
        The FLOP. [FLOP]
    """
    flop = float(operation.flop)
    if operation.kind in ("attention_prefill", "mla_prefill", "index_prefill"):
        most = part.index_topk if isinstance(part, LatentAttention) else None
        keys = min(int(step.new_tokens), most or int(step.new_tokens))
        return float(flop / _pairs(part, step) * step.new_tokens * keys)
    if operation.kind != "state_space_prefill":
        return flop
    if isinstance(part, Mamba2):
        return flop - _recurrence_flop(part, step)
    return flop - _system_flop(part, step) if isinstance(part, GatedDeltaNet) else flop


def _pairs(part: Part, step: Step) -> float:
    """Pairs of queries and keys that a causal part looks at."""
    if isinstance(part, Attention) and part.chunk is not None:
        return float(chunked_pairs(step.new_tokens, 0, part.chunk))
    window = part.window if isinstance(part, Attention) else None
    window = part.index_topk if isinstance(part, LatentAttention) else window
    return float(causal_pairs(step.new_tokens, 0, window))


def _recurrence_flop(part: Mamba2, step: Step) -> float:
    """A multiply-add per element of the state and chunk, which no matrix product does."""
    elements = part.heads * part.head_dim * part.state_dim
    return 2.0 * elements * step.tokens / min(int(step.new_tokens), part.chunk)


def _system_flop(part: GatedDeltaNet, step: Step) -> float:
    """A triangular system per head and chunk, solved for a key and a value of each token."""
    size = min(int(step.new_tokens), part.chunk)
    per_token = 2 * size * (part.key_dim + part.value_dim) + size**2 / 3
    return float(step.tokens * part.value_heads * per_token)


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
    return sum(
        in_counters_convention(operation, part, step) * count
        for _, part, count in model.parts
        for operation in part.operations(step, execution)
    )


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
    execution = execution_of(dtype)
    batch, new_tokens = int(shape["batch"]), int(shape["new_tokens"])
    decoder = Decoder(model_of(shape), execution, device).randomised()
    model = decoder.model
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
