"""What a step streams between the device and where the rest of weights and caches lives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from planner.arrays import Numeric
from planner.model.execution import Execution
from planner.model.operation import Operation
from planner.model.step import Step
from planner.model.token_ranks import part_operations

if TYPE_CHECKING:
    from planner.model.model import Model


def layers_bytes(model: Model, execution: Execution) -> tuple[int, int]:
    """Return the weights of the layers on one rank, and those of the largest layer.

    Parameters
    ----------
    model : Model
        The model, or a pipeline stage of it.
    execution : Execution
        Gives the storage scheme and the layout.

    Returns
    -------
    int
        All layers. [bytes]
    int
        The largest. [bytes]

    Raises
    ------
    LayoutError
        The ranks do not divide the model.

    Examples
    --------
    >>> from planner import load_model
    >>> from planner.model.execution import half
    >>> layers_bytes(load_model("llama-3.1-8b"), half())
    (13959168000, 436224000)
    """
    found = [
        sum(
            scheme.tensor_bytes(tensor.on_rank(execution.layout))
            for part in layer.parts
            for tensor in part.tensors()
        )
        for index, layer in enumerate(model.layers, model.first_layer)
        for scheme in [execution.weights.in_layer(index)]
    ]
    return sum(found), max(found, default=0)


def streamed(
    model: Model, step: Step, execution: Execution
) -> Iterator[tuple[str, Operation, int]]:
    """Yield what a step streams, with the number of times it does.

    Parameters
    ----------
    model : Model
        The model.
    step : Step
        The forward pass.
    execution : Execution
        Formats, layout and what lives elsewhere.

    Yields
    ------
    tuple
        Layer name, operation, occurrences; nothing where everything is on the device.

    Raises
    ------
    LayoutError
        The ranks do not divide the model.

    References
    ----------
    zero-inference-2022

    Examples
    --------
    >>> from dataclasses import replace
    >>> from planner import load_model
    >>> from planner.model.execution import half
    >>> from planner.model.offload import Offload
    >>> half_away = replace(half(), offload=Offload(weights_fraction=0.5))
    >>> ((_, copy, _),) = streamed(load_model("llama-3.1-8b"), Step.decode(1, 99), half_away)
    >>> copy.message_bytes
    6979584000
    """
    offload = execution.offload
    if offload.weights_fraction:
        size = offload.absent_weights_bytes(layers_bytes(model, execution)[0])
        yield _copy(f"weights from {offload.to}", size, execution, inward=True)
    if offload.cache_fraction:
        read, written = _cache_traffic(model, step, execution)
        share = offload.cache_fraction
        yield _copy(f"caches from {offload.to}", read * share, execution, inward=True)
        yield _copy(f"caches to {offload.to}", written * share, execution, inward=False)


def _cache_traffic(model: Model, step: Step, execution: Execution) -> tuple[Numeric, Numeric]:
    read: Numeric = 0
    written: Numeric = 0
    for _, part, count, scheme in model.stored_parts(execution.weights):
        for operation in part_operations(part, step, replace(execution, weights=scheme)):
            read = read + operation.cache_read_bytes * count
            written = written + operation.cache_write_bytes * count
    return read, written


def _copy(
    name: str, size: Numeric, execution: Execution, *, inward: bool
) -> tuple[str, Operation, int]:
    copy = Operation(
        name=name,
        kind="host_copy",
        precision=execution.stream.precision,
        input_bytes=0 if inward else size,
        output_bytes=size if inward else 0,
        message_bytes=size,
        shape={"total_bytes": size},
    )
    return "offload", copy, 1
