"""Columns of text in which every distinct text is kept once, and tables made of them.

A million rows name a handful of devices and a few thousand sizes: what is done per text, such as
reading it as a number, is done once for all rows that hold it.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice

import numpy as np

_CHUNK_LINES = 8192
_QUOTED = frozenset(',"\r\n')


class LineError(ValueError):
    """A line has too few or too many cells."""

    def __init__(self, line: int, cells: int, expected: int) -> None:
        super().__init__(f"{cells} cells, the header has {expected}")
        self.line = line


@dataclass(frozen=True, slots=True, eq=False)
class CodedColumn:
    """A column of text.

    Parameters
    ----------
    texts : numpy.ndarray
        Distinct texts, in order of first occurrence.
    codes : numpy.ndarray
        Which of them each row holds. [1]
    """

    texts: np.ndarray
    codes: np.ndarray

    @classmethod
    def of(cls, texts: Sequence[str], codes: np.ndarray) -> CodedColumn:
        """Return a column of so many texts.

        Parameters
        ----------
        texts : sequence of str
            Distinct texts.
        codes : numpy.ndarray
            Which of them each row holds. [1]

        Returns
        -------
        CodedColumn
            The column.

        Examples
        --------
        >>> CodedColumn.of(["bf16", "fp8"], np.array([0, 1, 0])).cells().tolist()
        ['bf16', 'fp8', 'bf16']
        """
        column = np.empty(len(texts), object)
        column[:] = texts
        return cls(column, codes)

    @classmethod
    def of_cells(cls, cells: Sequence[str]) -> CodedColumn:
        """Return a column as it is written.

        Parameters
        ----------
        cells : sequence of str
            Its cells, row by row.

        Returns
        -------
        CodedColumn
            The column.

        Examples
        --------
        >>> CodedColumn.of_cells(["bf16", "fp8", "bf16"]).codes.tolist()
        [0, 1, 0]
        """
        place = {text: code for code, text in enumerate(dict.fromkeys(cells))}
        return cls.of(list(place), np.array([place[cell] for cell in cells], dtype=np.int64))

    def cells(self, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Return the cells as they are written.

        Parameters
        ----------
        rows : numpy.ndarray or slice
            Which rows; all of them without it. [1]

        Returns
        -------
        numpy.ndarray
            Text.
        """
        return np.asarray(self.texts[self.codes[rows]])

    def numbers(self, rows: np.ndarray) -> np.ndarray:
        """Return cells as numbers.

        Parameters
        ----------
        rows : numpy.ndarray
            Which rows. [1]

        Returns
        -------
        numpy.ndarray
            NaN for an empty cell.

        Raises
        ------
        ValueError
            A cell holds neither a number nor nothing.

        Examples
        --------
        >>> CodedColumn.of(["16", ""], np.array([0, 1, 0])).numbers(np.array([1, 2])).tolist()
        [nan, 16.0]
        """
        used, codes = np.unique(self.codes[rows], return_inverse=True)
        values = [float(text or "nan") for text in self.texts[used]]
        return np.asarray(np.array(values, dtype=float)[codes])

    def quoted(self) -> list[str]:
        """The cells as a CSV file has them."""
        texts = [_quoted(text) for text in self.texts]
        return [texts[code] for code in self.codes.tolist()]


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if _QUOTED.intersection(text) else text


def read_lines(lines: Iterable[str]) -> tuple[tuple[str, ...], tuple[CodedColumn, ...]]:
    r"""Read a CSV file.

    Parameters
    ----------
    lines : iterable of str
        Its lines, the header first; empty ones do not count.

    Returns
    -------
    tuple
        Names of the columns, and the columns.

    Raises
    ------
    LineError
        A line has too few or too many cells.

    Examples
    --------
    >>> names, (kind, rows) = read_lines(["kind,m\n", "gemm,8\n", "gemm,16\n"])
    >>> names, kind.texts.tolist(), rows.cells().tolist()
    (('kind', 'm'), ['gemm'], ['8', '16'])
    """
    body = filter(None, csv.reader(lines))
    header = tuple(next(body, ()))
    seen: list[dict[str, int]] = [defaultdict(count().__next__) for _ in header]
    codes: list[list[np.ndarray]] = [[np.zeros(0, np.int32)] for _ in header]
    for start, chunk in _chunks(body):
        if set(map(len, chunk)) != {len(header)}:
            at = next(at for at, line in enumerate(chunk) if len(line) != len(header))
            raise LineError(start + at + 2, len(chunk[at]), len(header))
        for known, parts, cells in zip(seen, codes, zip(*chunk, strict=True), strict=True):
            parts.append(np.fromiter(map(known.__getitem__, cells), np.int32, len(chunk)))
    return header, tuple(
        CodedColumn.of(list(known), np.concatenate(parts))
        for known, parts in zip(seen, codes, strict=True)
    )


def _chunks(body: Iterator[list[str]]) -> Iterator[tuple[int, list[list[str]]]]:
    """Lines by the thousand, with how many stand before them."""
    start = 0
    while chunk := list(islice(body, _CHUNK_LINES)):
        yield start, chunk
        start += len(chunk)


def written(header: Sequence[str], columns: Sequence[Iterable[str]]) -> str:
    r"""Return columns as the text of a CSV file.

    Parameters
    ----------
    header : sequence of str
        Names of the columns.
    columns : sequence of iterable of str
        Cells, quoted where they need it.

    Returns
    -------
    str
        Lines.

    Examples
    --------
    >>> written(["a", "b,c"], [["1", "2"], ["x", "y"]])
    'a,"b,c"\n1,x\n2,y\n'
    """
    lines = [",".join(map(_quoted, header)), *map(",".join, zip(*columns, strict=True))]
    return "\n".join(lines) + "\n"


__all__ = ["CodedColumn", "LineError", "read_lines", "written"]
