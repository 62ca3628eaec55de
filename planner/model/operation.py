"""What a layer does in one step: FLOP and bytes of each operation on one rank.

FLOP counts matrix products, convolutions and scans, a multiply-add as two. Norms, rotations and
activation functions count as bytes only: they never run on the matrix units a peak rate describes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from planner.arrays import Numeric, maximum
from planner.model.execution import Execution
from planner.model.tensor import Tensor

Kind = Literal[
    "gemm", "moe", "attention_prefill", "attention_decode", "mla_prefill", "mla_decode",
    "index_prefill", "index_decode", "compressed_attention_prefill",
    "compressed_attention_decode", "state_space_prefill", "state_space_decode",
    "short_convolution_prefill", "short_convolution_decode", "long_convolution_prefill",
    "long_convolution_decode", "elementwise", "embedding", "all_reduce",
    "all_to_all", "send_recv", "host_copy",
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One kernel's work on one rank.

    Parameters
    ----------
    name : str
        What it is within the layer.
    kind : str
        Family of kernels, as in tables of measurements.
    precision : str
        Arithmetic of its products: a key of a device's rates.
    flop : numeric
        Multiply-adds count two. [FLOP]
    weight_bytes, cache_read_bytes, input_bytes : numeric
        Compulsory reads from device memory. [bytes]
    cache_write_bytes, output_bytes : numeric
        Compulsory writes to device memory. [bytes]
    workspace_bytes : numeric
        What is written and read again in between. [bytes]
    message_bytes : numeric
        What a collective combines per rank, what one rank sends, or what crosses
        the link to the host. [bytes]
    shape : mapping
        The kind's shape columns; of messages also ``span``, the devices in a row among which the
        ranks stand.
    """

    name: str
    kind: Kind
    precision: str
    flop: Numeric = 0
    weight_bytes: Numeric = 0
    cache_read_bytes: Numeric = 0
    input_bytes: Numeric = 0
    cache_write_bytes: Numeric = 0
    output_bytes: Numeric = 0
    workspace_bytes: Numeric = 0
    message_bytes: Numeric = 0
    shape: Mapping[str, Any] = field(default_factory=dict)

    @property
    def read_bytes(self) -> Numeric:
        """Everything read. [bytes]."""
        return self.weight_bytes + self.cache_read_bytes + self.input_bytes + self.workspace_bytes

    @property
    def live_bytes(self) -> Numeric:
        """Activations that exist at once while it runs. [bytes]."""
        return self.input_bytes + self.output_bytes + self.workspace_bytes

    @property
    def write_bytes(self) -> Numeric:
        """Everything written. [bytes]."""
        return self.cache_write_bytes + self.output_bytes + self.workspace_bytes


def gemm(name: str, weights: tuple[Tensor, ...], rows: Numeric, execution: Execution) -> Operation:
    """Return the product of activations with one or several weights that share their input.

    Parameters
    ----------
    name : str
        Name of the operation.
    weights : tuple of Tensor
        Whole tensors (matrices and biases); the rank's part is taken here. Matrices that share
        an input are fused, as engines do.
    rows : numeric
        Rows of activations. [tokens]
    execution : Execution
        Formats and layout.

    Returns
    -------
    Operation
        ``2·m·n·k`` FLOP; reads weights and inputs once, writes outputs once.

    Raises
    ------
    LayoutError
        The ranks do not divide a weight.

    References
    ----------
    williams-2009

    Examples
    --------
    >>> from planner.model.execution import half
    >>> from planner.model.tensor import linear
    >>> gemm("fc", linear("fc", 3072, 768), 1024, half()).flop
    4831838208
    """
    parts = [tensor.on_rank(execution.layout) for tensor in weights]
    matrices = [part for part in parts if len(part.shape) == 2]
    columns = sum(part.shape[0] for part in matrices)
    inner = matrices[0].shape[1]
    operand = execution.operand(execution.weights.format_of(weights[0]))
    return Operation(
        name=name,
        kind="gemm",
        precision=operand.precision,
        flop=2 * rows * columns * inner,
        weight_bytes=sum(execution.weights.tensor_bytes(part) for part in parts),
        input_bytes=rows * inner * operand.bits // 8,
        output_bytes=rows * columns * execution.stream_bytes,
        shape={"m": rows, "n": columns, "k": inner},
    )


def elementwise(
    name: str, tokens: Numeric, read_width: int, write_width: int, execution: Execution
) -> Operation:
    """Return an operation that streams activations through the vector units.

    Parameters
    ----------
    name : str
        Name of the operation.
    tokens : numeric
        Rows. [tokens]
    read_width, write_width : int
        Elements read and written per row. [elements]
    execution : Execution
        Formats and layout.

    Returns
    -------
    Operation
        No FLOP on the matrix units, only bytes.

    Examples
    --------
    >>> from planner.model.execution import half
    >>> elementwise("norm", 16, 4096, 4096, half()).read_bytes
    131072
    """
    size = execution.stream_bytes
    return Operation(
        name=name,
        kind="elementwise",
        precision=execution.stream.precision,
        input_bytes=tokens * read_width * size,
        output_bytes=tokens * write_width * size,
        shape={
            "tokens": tokens,
            "width": maximum(read_width, write_width),
            "total_bytes": tokens * (read_width + write_width) * size,
        },
    )


def cache_update(
    name: str, tokens: Numeric, width: int, written_bytes: Numeric, execution: Execution
) -> Operation:
    """Return the pass that puts new keys and values into a cache.

    Parameters
    ----------
    name : str
        Name of the operation.
    tokens : numeric
        Rows that are read. [tokens]
    width : int
        Elements of a row. [elements]
    written_bytes : numeric
        What the cache takes of them. [bytes]
    execution : Execution
        Formats and layout.

    Returns
    -------
    Operation
        No FLOP, only bytes.

    Examples
    --------
    >>> from planner.model.execution import half
    >>> cache_update("cache_update", 16, 2048, 32768, half()).shape["total_bytes"]
    98304
    """
    read = tokens * width * execution.stream_bytes
    return Operation(
        name=name,
        kind="elementwise",
        precision=execution.stream.precision,
        input_bytes=read,
        cache_write_bytes=written_bytes,
        shape={"tokens": tokens, "width": width, "total_bytes": read + written_bytes},
    )


def all_reduce(
    name: str, tokens: Numeric, width: int, execution: Execution, *, ranks: int | None = None
) -> Operation:
    """Return the sum of partial results over ranks.

    Parameters
    ----------
    name : str
        Name of the operation.
    tokens : numeric
        Rows. [tokens]
    width : int
        Elements per row. [elements]
    execution : Execution
        Formats and layout.
    ranks : int, optional
        Neighbours that hold partial results; the tensor-parallel ranks without it. [1]

    Returns
    -------
    Operation
        A collective over these ranks.

    References
    ----------
    shoeybi-2019

    Examples
    --------
    >>> from planner.model.execution import half
    >>> all_reduce("o", 32, 8192, half()).message_bytes
    524288
    """
    message = tokens * width * execution.stream_bytes
    joined = ranks or execution.layout.tp
    return Operation(
        name=name,
        kind="all_reduce",
        precision=execution.stream.precision,
        message_bytes=message,
        shape={
            "ranks": joined,
            "message_bytes": message,
            "nodes": 1,
            "span": joined,
        },
    )
