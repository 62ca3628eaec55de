"""Storage formats of weights and caches: exact bytes, scales included.

A matrix of ``n`` rows and ``k`` columns in a format of ``b`` bits with one scale per
``block_rows × block_columns`` takes ``n·k·b/8 + ⌈n/block_rows⌉·⌈k/block_columns⌉·scale_bytes +
matrix_bytes``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from planner.errors import PrecisionError
from planner.model.tensor import Role, Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A number format with its scales.

    Parameters
    ----------
    name : str
        Its name on the command line.
    precision : str
        The arithmetic it can feed: a key of a device's rates.
    bits : int
        Bits of one element. [1]
    block_rows, block_columns : int, optional
        The block that shares one scale; None means the whole axis. [elements]
    scale_bytes : int
        Scale and zero point of one block; 0 without blocks. [bytes]
    matrix_bytes : int
        Scales of a whole matrix. [bytes]
    """

    name: str
    precision: str
    bits: int
    block_rows: int | None = 1
    block_columns: int | None = None
    scale_bytes: int = 0
    matrix_bytes: int = 0

    @property
    def is_scalar(self) -> bool:
        """Whether elements stand alone, without scales."""
        return not (self.scale_bytes or self.matrix_bytes)

    def matrix_size_bytes(self, rows: int, columns: int, matrices: int = 1) -> int:
        """Return the stored size of matrices of one shape.

        Parameters
        ----------
        rows, columns : int
            Shape of one matrix, outputs by inputs. [elements]
        matrices : int
            How many there are, as in a stack of experts. [1]

        Returns
        -------
        int
            Exact size, packed elements and scales. [bytes]

        Examples
        --------
        >>> WEIGHT_FORMATS["fp8_block"].matrix_size_bytes(4096, 4096)
        16781312
        """
        packed = -(-rows * columns * self.bits // 8)
        if self.is_scalar:
            return packed * matrices
        blocks = math.ceil(rows / (self.block_rows or rows)) * math.ceil(
            columns / (self.block_columns or columns)
        )
        return (packed + blocks * self.scale_bytes + self.matrix_bytes) * matrices

    def vector_bytes(self, width: int) -> float | int:
        """Return the stored size of one vector, such as one head's key.

        Parameters
        ----------
        width : int
            Elements. [elements]

        Returns
        -------
        int
            Exact size. [bytes]

        Examples
        --------
        >>> CACHE_FORMATS["bf16"].vector_bytes(128), CACHE_FORMATS["nvfp4"].vector_bytes(128)
        (256, 72)
        """
        return self.matrix_size_bytes(1, width)


def _formats(*formats: Format) -> dict[str, Format]:
    return {fmt.name: fmt for fmt in formats}


FP32 = Format(name="fp32", precision="fp32", bits=32)
BF16 = Format(name="bf16", precision="bf16", bits=16)
FP16 = Format(name="fp16", precision="fp16", bits=16)

WEIGHT_FORMATS = _formats(
    FP32,
    BF16,
    FP16,
    Format(name="fp8", precision="fp8", bits=8, scale_bytes=4),
    Format(name="fp8_tensor", precision="fp8", bits=8, matrix_bytes=8),
    Format(
        name="fp8_block", precision="fp8", bits=8, block_rows=128, block_columns=128, scale_bytes=4
    ),
    Format(name="mxfp8", precision="fp8", bits=8, block_columns=32, scale_bytes=1),
    Format(name="int8", precision="int8", bits=8, scale_bytes=4),
    Format(name="int4", precision="int4", bits=4, block_columns=128, scale_bytes=2),
    Format(name="mxfp4", precision="fp4", bits=4, block_columns=32, scale_bytes=1),
    Format(name="nvfp4", precision="fp4", bits=4, block_columns=16, scale_bytes=1, matrix_bytes=8),
)
"""Formats of weights. Scales: fp8 fp32 per output channel; fp8_tensor one fp32 for the weight and
one for its input; fp8_block fp32 per 128×128; MX formats one byte per 32; nvfp4 one byte per 16 and
two fp32; int8 fp32 per output channel; int4 fp16 per group of 128."""

CACHE_FORMATS = _formats(
    FP32,
    BF16,
    FP16,
    Format(name="fp8", precision="fp8", bits=8),
    Format(name="int8", precision="int8", bits=8, scale_bytes=4),
    Format(name="int4", precision="int4", bits=4, scale_bytes=4),
    Format(name="nvfp4", precision="fp4", bits=4, block_columns=16, scale_bytes=1),
)
"""Formats of caches. fp8 has one scale per tensor, kept with the weights; int8 and int4 an fp32
scale (int4: with zero point) per token and head; nvfp4 one byte per 16 elements."""

COMPUTE_FORMATS = _formats(
    FP32,
    BF16,
    FP16,
    Format(name="fp8", precision="fp8", bits=8),
    Format(name="int8", precision="int8", bits=8),
    Format(name="int4", precision="int4", bits=4),
)
"""Formats in which operands enter a matrix product."""


def find_format(kind: str, name: str, known: dict[str, Format]) -> Format:
    """Return a format by name.

    Parameters
    ----------
    kind : str
        What it is for, such as ``"weights"``; named in the error.
    name : str
        Its name.
    known : dict
        The formats to choose from.

    Returns
    -------
    Format
        The format.

    Raises
    ------
    PrecisionError
        No such format.

    Examples
    --------
    >>> find_format("weights", "mxfp4", WEIGHT_FORMATS).bits
    4
    """
    found = known.get(str(name))
    if found is None:
        raise PrecisionError(f"unknown format of {kind}", got=name, allowed=", ".join(known))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightScheme:
    """Which format each weight tensor is stored in.

    Parameters
    ----------
    base : Format
        Format of everything that is not quantised.
    quantised : Format
        Format of the matrices that are; the base itself if none are.
    roles : frozenset of str
        Roles of the quantised tensors.
    """

    base: Format
    quantised: Format
    roles: frozenset[Role] = frozenset({"linear", "expert"})

    @property
    def name(self) -> str:
        """Name of the quantised format."""
        return self.quantised.name

    def format_of(self, tensor: Tensor) -> Format:
        """Return the format a tensor is stored in.

        Parameters
        ----------
        tensor : Tensor
            A weight tensor.

        Returns
        -------
        Format
            Quantised for matrices of the scheme's roles, fp32 for buffers, the base otherwise.

        Examples
        --------
        >>> scheme = WeightScheme(base=BF16, quantised=WEIGHT_FORMATS["fp8"])
        >>> scheme.format_of(Tensor("norm.weight", (4096,), "norm")).name
        'bf16'
        """
        if tensor.role == "buffer":
            return FP32
        if tensor.role in self.roles and len(tensor.shape) >= 2:
            return self.quantised
        return self.base

    def tensor_bytes(self, tensor: Tensor) -> int:
        """Return the stored size of a tensor.

        Parameters
        ----------
        tensor : Tensor
            A weight tensor, or a rank's part of one.

        Returns
        -------
        int
            Exact size. [bytes]

        Examples
        --------
        >>> WeightScheme(base=BF16, quantised=BF16).tensor_bytes(Tensor("w", (2, 3), "linear"))
        12
        """
        fmt = self.format_of(tensor)
        if len(tensor.shape) < 2 or fmt.is_scalar:
            return -(-tensor.elements * fmt.bits // 8)
        *stack, rows, columns = tensor.shape
        return fmt.matrix_size_bytes(rows, columns, math.prod(stack))
