"""One number format: elements, the scales of their blocks, and what a whole matrix adds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from planner.arrays import Numeric, minimum

WIDENED = "none"
"""Precision of formats that feed no arithmetic of their own: they are widened before a product."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A number format with its scales.

    A matrix of ``n`` rows (outputs) and ``k`` columns (inputs) takes ``n·k·bits/8 +
    blocks·scale_bytes + ⌈blocks/outer_blocks⌉·outer_bytes + n·row_bytes + k·column_bytes +
    matrix_bytes``, where ``blocks = ⌈n/block_rows⌉·⌈k/block_columns⌉``.

    Parameters
    ----------
    name : str
        Its name on the command line.
    precision : str
        The arithmetic it can feed: a key of a device's rates; ``"none"`` where it is widened first.
    bits : int or Fraction
        Bits of one element without its scales. [1]
    block_rows, block_columns : int, optional
        The block that shares one scale; None means the whole axis. [elements]
    scale_bytes : int or Fraction
        Scale and zero point of one block; 0 without blocks. [bytes]
    matrix_bytes : int
        What a whole matrix adds: scales, tables, descriptions. [bytes]
    row_bytes, column_bytes : int
        What each output and each input adds. [bytes]
    outer_blocks, outer_bytes : int
        How many blocks share a second scale, and its size; 0 without. [1], [bytes]
    flat : bool
        Blocks run on over the ends of rows.
    padded : bool
        A last block that is not full is stored full.
    value_format : Format, optional
        Of a cache: the format of values where it is not the keys'.
    recent_tokens : int
        Of a cache: the newest tokens, kept in 16 bits. [tokens]
    """

    name: str
    precision: str
    bits: int | Fraction
    block_rows: int | None = 1
    block_columns: int | None = None
    scale_bytes: int | Fraction = 0
    matrix_bytes: int = 0
    row_bytes: int = 0
    column_bytes: int = 0
    outer_blocks: int = 0
    outer_bytes: int = 0
    flat: bool = False
    padded: bool = False
    value_format: Format | None = None
    recent_tokens: int = 0

    @property
    def is_scalar(self) -> bool:
        """Whether elements stand alone, without scales."""
        return not (self.scale_bytes or self.matrix_bytes or self.row_bytes or self.column_bytes)

    @property
    def exception(self) -> str:
        """What of a cache is kept otherwise, in words; empty where nothing is."""
        return f", the newest {self.recent_tokens} in 16 bits" if self.recent_tokens else ""

    def _blocks(self, rows: int, columns: int) -> int:
        if self.flat:
            return -(-rows * columns // (self.block_columns or rows * columns))
        down = -(-rows // (self.block_rows or rows))
        return down * -(-columns // (self.block_columns or columns))

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
        >>> block = Format(
        ...     name="q4", precision="none", bits=4, block_columns=32, scale_bytes=2, padded=True
        ... )
        >>> block.matrix_size_bytes(1, 33)
        36
        """
        if self.is_scalar:
            return int(-(-rows * columns * self.bits // 8)) * matrices
        blocks = self._blocks(rows, columns)
        stored = rows * columns
        if self.padded:
            stored = blocks * (self.block_rows or rows) * (self.block_columns or columns)
        outer = -(-blocks // self.outer_blocks) if self.outer_blocks else 0
        scales = (
            blocks * self.scale_bytes
            + outer * self.outer_bytes
            + rows * self.row_bytes
            + columns * self.column_bytes
            + self.matrix_bytes
        )
        return (int(-(-stored * self.bits // 8)) + math.ceil(scales)) * matrices

    def vector_bytes(self, width: int) -> int:
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
        >>> BF16.vector_bytes(128)
        256
        """
        return self.matrix_size_bytes(1, width)

    def pair_bytes(self, key_width: int, value_width: int) -> int:
        """Return the stored size of one head's key and value.

        Parameters
        ----------
        key_width, value_width : int
            Elements. [elements]

        Returns
        -------
        int
            Exact size. [bytes]

        Examples
        --------
        >>> BF16.pair_bytes(192, 128)
        640
        """
        value = self.value_format or self
        return self.vector_bytes(key_width) + value.vector_bytes(value_width)

    def kept_bytes(self, count: Numeric, each_bytes: int, wide_bytes: int) -> Numeric:
        """Return the size of what is kept of a sequence: the newest in 16 bits where it says so.

        Parameters
        ----------
        count : numeric
            Vectors kept. [1]
        each_bytes, wide_bytes : int
            One of them in the format, and in 16 bits. [bytes]

        Returns
        -------
        numeric
            Exact size. [bytes]

        References
        ----------
        liu-2024-kivi

        Examples
        --------
        >>> BF16.kept_bytes(1000, 512, 512)
        512000
        """
        if not self.recent_tokens:
            return count * each_bytes
        return count * each_bytes + minimum(count, self.recent_tokens) * (wide_bytes - each_bytes)


def by_name(*formats: Format) -> dict[str, Format]:
    """Return formats by their names.

    Parameters
    ----------
    *formats : Format
        The formats.

    Returns
    -------
    dict
        In the same order.

    Examples
    --------
    >>> list(by_name(BF16))
    ['bf16']
    """
    return {fmt.name: fmt for fmt in formats}


FP32 = Format(name="fp32", precision="fp32", bits=32)
BF16 = Format(name="bf16", precision="bf16", bits=16)
FP16 = Format(name="fp16", precision="fp16", bits=16)
