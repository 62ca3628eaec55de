"""What recurrent mixers share: short convolutions, and scans over a state of fixed size.

A scan in prefill works on chunks of tokens as small matrix products and passes a state from chunk
to chunk; in decode it updates the state once per token. Both read the state that an earlier step
left, and the first step of a sequence has none to read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from planner.arrays import Numeric
from planner.model.cache import StateCache
from planner.model.execution import Execution
from planner.model.layout import Section, Split
from planner.model.operation import Operation, all_reduce, gemm
from planner.model.step import Step
from planner.model.storage import COMPUTE_FORMATS, Format
from planner.model.tensor import Tensor

StateFormat = Literal["stream", "fp32", "bf16", "fp16"]
"""Format of a recurrent state; ``"stream"`` is the residual stream's."""


def state_format(name: StateFormat) -> Format | None:
    """Return the format a state has of its own.

    Parameters
    ----------
    name : {"stream", "fp32", "bf16", "fp16"}
        As parts name it.

    Returns
    -------
    Format or None
        None where the state is kept as the residual stream is.

    Examples
    --------
    >>> state_format("stream"), state_format("fp32").bits
    (None, 32)
    """
    return None if name == "stream" else COMPUTE_FORMATS[name]


def width(sections: Sequence[Section]) -> int:
    """Return the length of an axis made of sections.

    Parameters
    ----------
    sections : sequence of Section
        What the axis is made of.

    Returns
    -------
    int
        The whole axis. [elements]

    Examples
    --------
    >>> width((Section(80, 64, "heads"), Section(1, 256, "groups")))
    5376
    """
    return sum(section.units * section.width for section in sections)


def vector(name: str, sections: tuple[Section, ...], role: Literal["state", "norm"]) -> Tensor:
    """Return a learned vector that ranks cut as they cut what it is applied to.

    Parameters
    ----------
    name : str
        Name within its layer.
    sections : tuple of Section
        What its axis is made of.
    role : {"state", "norm"}
        What it is for.

    Returns
    -------
    Tensor
        One axis.

    Examples
    --------
    >>> vector("mixer.D", (Section(80, 1, "heads"),), "state").shape
    (80,)
    """
    return Tensor(name, (width(sections),), role, Split(0, sections))


def depthwise(
    name: str, sections: tuple[Section, ...], taps: int, *, bias: bool = False
) -> tuple[Tensor, ...]:
    """Return the weights of a convolution that keeps channels apart.

    Parameters
    ----------
    name : str
        Module name.
    sections : tuple of Section
        Its channels.
    taps : int
        Tokens that one output sees. [tokens]
    bias : bool
        Whether there is one.

    Returns
    -------
    tuple of Tensor
        ``(channels, 1, taps)`` and, if there is one, the bias.

    Examples
    --------
    >>> [t.elements for t in depthwise("conv1d", (Section(8, 4, "heads"),), 4, bias=True)]
    [128, 32]
    """
    channels = width(sections)
    split = Split(0, sections)
    weight = Tensor(f"{name}.weight", (channels, 1, taps), "convolution", split)
    return (weight, Tensor(f"{name}.bias", (channels,), "bias", split)) if bias else (weight,)


def columns(sections: tuple[Section, ...], taps: int) -> StateCache:
    """Return what a short convolution remembers: the inputs that the next token still sees.

    Parameters
    ----------
    sections : tuple of Section
        Its channels.
    taps : int
        Tokens that one output sees. [tokens]

    Returns
    -------
    StateCache
        ``taps - 1`` columns in the residual stream's format.

    Examples
    --------
    >>> from planner.model.execution import half
    >>> columns((Section(80, 64, "heads"),), 4).sequence_bytes(0, half(), tp=1)
    30720
    """
    return StateCache(kind="convolution", sections=sections, shape=(taps - 1,))


def carried(states: Sequence[StateCache], step: Step, execution: Execution) -> Numeric:
    """Return the bytes of the states of all sequences on the fullest rank.

    Parameters
    ----------
    states : sequence of StateCache
        What one layer keeps of a sequence.
    step : Step
        The forward pass.
    execution : Execution
        Formats and layout.

    Returns
    -------
    numeric
        What a step writes; what it reads too, unless nothing came before. [bytes]

    Examples
    --------
    >>> from planner.model.execution import half
    >>> state = StateCache(kind="state", sections=(Section(8, 64, "heads"),), shape=(64,))
    >>> carried((state,), Step.decode(16, 1024), half())
    1048576
    """
    tp = execution.layout.tp
    return step.batch * sum(state.sequence_bytes(0, execution, tp=tp) for state in states)


def scan_shape(
    step: Step,
    variant: str,
    *,
    hidden: int,
    heads: int,
    head_dim: int,
    state_dim: int,
    groups: int = 1,
    conv_kernel: int = 0,
) -> dict[str, Any]:
    """Return the shape columns of a scan or a short convolution on one rank.

    Parameters
    ----------
    step : Step
        The forward pass.
    variant : str
        Name of the recurrence, such as ``"mamba2"``.
    hidden, heads, head_dim, state_dim, groups : int
        Widths and counts, heads and groups those of one rank. [elements], [1]
    conv_kernel : int
        Taps of the short convolution; 0 without one. [1]

    Returns
    -------
    dict
        Columns of tables of operations.

    Examples
    --------
    >>> scan_shape(Step.decode(1, 1), "rwkv7", hidden=2048, heads=32, head_dim=64, state_dim=64)[
    ...     "heads"
    ... ]
    32
    """
    return {
        "variant": variant,
        "batch": step.batch,
        "new_tokens": step.new_tokens,
        "hidden": hidden,
        "heads": heads,
        "head_dim": head_dim,
        "groups": groups,
        "state_dim": state_dim,
        "conv_kernel": conv_kernel,
    }


def short_convolution(
    name: str,
    weights: tuple[Tensor, ...],
    state: StateCache,
    step: Step,
    execution: Execution,
    shape: dict[str, Any],
) -> Operation:
    """Return a convolution over a few tokens, channel by channel or group by group.

    Parameters
    ----------
    name : str
        Name of the operation.
    weights : tuple of Tensor
        Kernel and, if there is one, bias; whole.
    state : StateCache
        The columns it remembers.
    step : Step
        The forward pass.
    execution : Execution
        Formats and layout.
    shape : dict
        Shape columns.

    Returns
    -------
    Operation
        ``2·tokens·channels·inputs·taps`` FLOP, a channel having one input unless grouped.

    Raises
    ------
    LayoutError
        The ranks do not divide the channels.

    Examples
    --------
    >>> from planner.model.execution import half
    >>> channels = (Section(80, 64, "heads"),)
    >>> weights, state = depthwise("conv1d", channels, 4), columns(channels, 4)
    >>> short_convolution("conv1d", weights, state, Step.decode(1, 9), half(), {}).flop
    40960
    """
    parts = [tensor.on_rank(execution.layout) for tensor in weights]
    channels, inputs, taps = parts[0].shape
    moved = step.tokens * channels * execution.stream_bytes
    kept = carried((state,), step, execution)
    return Operation(
        name=name,
        kind=(
            "short_convolution_prefill" if step.phase == "prefill" else "short_convolution_decode"
        ),
        precision=execution.stream.precision,
        flop=2 * step.tokens * channels * inputs * taps,
        weight_bytes=sum(execution.weights.tensor_bytes(part) for part in parts),
        cache_read_bytes=kept * step.resumes,
        cache_write_bytes=kept,
        input_bytes=moved,
        output_bytes=moved,
        shape=shape,
    )


def scan(
    name: str,
    states: Sequence[StateCache],
    step: Step,
    execution: Execution,
    *,
    flop: Numeric,
    read_width: int,
    write_width: int,
    shape: dict[str, Any],
    weights: Sequence[Tensor] = (),
) -> Operation:
    """Return a recurrence over the new tokens of every sequence.

    Parameters
    ----------
    name : str
        Name of the operation.
    states : sequence of StateCache
        What it carries from step to step.
    step : Step
        The forward pass.
    execution : Execution
        Formats and layout.
    flop : numeric
        Its work on one rank. [FLOP]
    read_width, write_width : int
        Elements read and written per token on one rank. [elements]
    shape : dict
        Shape columns.
    weights : sequence of Tensor
        Learned vectors it reads; whole.

    Returns
    -------
    Operation
        States are read and written once.

    Raises
    ------
    LayoutError
        The ranks do not divide the heads.

    Examples
    --------
    >>> from planner.model.execution import half
    >>> state = StateCache(kind="state", sections=(Section(8, 64, "heads"),), shape=(64,))
    >>> op = scan(
    ...     "scan", (state,), Step.decode(1, 9), half(),
    ...     flop=1, read_width=1, write_width=1, shape={},
    ... )  # fmt: skip
    >>> op.cache_read_bytes, op.kind
    (65536, 'state_space_decode')
    """
    kept = carried(states, step, execution)
    parts = [tensor.on_rank(execution.layout) for tensor in weights]
    size = execution.stream_bytes
    return Operation(
        name=name,
        kind="state_space_prefill" if step.phase == "prefill" else "state_space_decode",
        precision=execution.stream.precision,
        flop=flop,
        weight_bytes=sum(execution.weights.tensor_bytes(part) for part in parts),
        cache_read_bytes=kept * step.resumes,
        cache_write_bytes=kept,
        input_bytes=step.tokens * read_width * size,
        output_bytes=step.tokens * write_width * size,
        shape=shape,
    )


def projected_out(
    name: str, weights: tuple[Tensor, ...], hidden: int, step: Step, execution: Execution
) -> list[Operation]:
    """Return the product back to the residual stream and the sum over ranks.

    Parameters
    ----------
    name : str
        Name of the product; the sum is named after its module.
    weights : tuple of Tensor
        The row-parallel matrix; whole.
    hidden : int
        Width of the residual stream. [elements]
    step : Step
        The forward pass.
    execution : Execution
        Formats and layout.

    Returns
    -------
    list of Operation
        The product, and a collective where there are several ranks.

    Examples
    --------
    >>> from planner.model.execution import half
    >>> from planner.model.tensor import linear
    >>> [op.kind for op in projected_out("o", linear("o", 8, 8), 8, Step.decode(1, 1), half())]
    ['gemm']
    """
    operations = [gemm(name, weights, step.tokens, execution)]
    if execution.layout.tp > 1:
        module = name.rpartition(".")[0]
        operations.append(all_reduce(f"{module}.all_reduce", step.tokens, hidden, execution))
    return operations
