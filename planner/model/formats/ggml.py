"""The types of tensors in GGUF files: blocks along a row, scales inside the block."""

from __future__ import annotations

from dataclasses import dataclass

from planner.model.formats.number_format import WIDENED, Format

# name, number in files, elements and bytes of a block
_TYPES = """
    f32 0 1 4 | f16 1 1 2 | q4_0 2 32 18 | q4_1 3 32 20 | q5_0 6 32 22 | q5_1 7 32 24
    q8_0 8 32 34 | q2_k 10 256 84 | q3_k 11 256 110 | q4_k 12 256 144 | q5_k 13 256 176
    q6_k 14 256 210 | q8_k 15 256 292 | iq2_xxs 16 256 66 | iq2_xs 17 256 74 | iq3_xxs 18 256 98
    iq1_s 19 256 50 | iq4_nl 20 32 18 | iq3_s 21 256 110 | iq2_s 22 256 82 | iq4_xs 23 256 136
    i8 24 1 1 | i16 25 1 2 | i32 26 1 4 | i64 27 1 8 | f64 28 1 8 | iq1_m 29 256 56
    bf16 30 1 2 | tq1_0 34 256 54 | tq2_0 35 256 66 | mxfp4 39 32 17 | nvfp4 40 64 36
    q1_0 41 128 18 | q2_0 42 64 18
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class GgmlType:
    """A type of tensor.

    Parameters
    ----------
    name : str
        Its name, in small letters.
    number : int
        How files call it. [1]
    block_elements, block_bytes : int
        One block. [elements], [bytes]
    """

    name: str
    number: int
    block_elements: int
    block_bytes: int

    @property
    def format_name(self) -> str:
        """Name of the format in a checkpoint."""
        scalar = {"f32": "fp32", "f16": "fp16", "bf16": "bf16"}
        return scalar.get(self.name, f"ggml_{self.name}")

    @property
    def format(self) -> Format:
        """The format: whole bits per element, the rest of the block as its scales."""
        if self.block_elements == 1:
            return Format(name=self.format_name, precision=WIDENED, bits=8 * self.block_bytes)
        bits = 8 * self.block_bytes // self.block_elements
        return Format(
            name=self.format_name,
            precision=WIDENED,
            bits=bits,
            block_columns=self.block_elements,
            scale_bytes=self.block_bytes - bits * self.block_elements // 8,
            padded=True,
        )


def _parsed() -> dict[str, GgmlType]:
    rows = (entry.split() for line in _TYPES.strip().splitlines() for entry in line.split("|"))
    return {
        name: GgmlType(
            name=name, number=int(number), block_elements=int(elements), block_bytes=int(size)
        )
        for name, number, elements, size in rows
    }


GGML_TYPES = _parsed()
"""Every type by name."""

GGML_TYPES_BY_NUMBER = {entry.number: entry for entry in GGML_TYPES.values()}
"""Every type by its number in files."""

_NARROW = {
    **dict.fromkeys(
        (
            "iq1_s", "iq1_m", "iq2_xxs", "iq2_xs", "iq2_s", "iq3_xxs", "iq3_s", "iq4_xs",
        ), "iq4_nl",
    ),
    **dict.fromkeys(("q2_k", "q3_k", "tq1_0", "tq2_0", "q2_0"), "q4_0"),
    "q4_k": "q5_0", "q5_k": "q5_1", "q6_k": "q8_0",
}  # fmt: skip
"""What a type becomes where a row is no multiple of its block."""


def fitting_type(name: str, columns: int) -> str:
    """Return the type that a row length admits in place of the one that was meant.

    Parameters
    ----------
    name : str
        The type that was meant.
    columns : int
        Row length. [elements]

    Returns
    -------
    str
        The type itself, its substitute of blocks of 32, or f16.

    Examples
    --------
    >>> fitting_type("q4_k", 4096), fitting_type("q4_k", 896), fitting_type("q4_k", 40)
    ('q4_k', 'q5_0', 'f16')
    """
    for candidate in (name, _NARROW.get(name, "f16")):
        if columns % GGML_TYPES[candidate].block_elements == 0:
            return candidate
    return "f16"
