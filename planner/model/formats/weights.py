"""Formats of weights: fixed ones by name, families of them by name and figures.

``gptq_3_g64`` is GPTQ of 3 bits in groups of 64, ``aqlm_2x8`` AQLM of two codebooks of 8 bits.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from fractions import Fraction

from planner.errors import PrecisionError
from planner.model.formats.ggml import GGML_TYPES
from planner.model.formats.number_format import BF16, FP16, FP32, WIDENED, Format, by_name

_QUANT_MAP_BYTES = 16 * 4
_NESTED_MAP_BYTES = 256 * 4
_QUANT_STATE_BYTES = 90
_AQLM_GROUP = 8
_EXL_TILE = 16

WEIGHT_FORMATS = by_name(
    FP32,
    BF16,
    FP16,
    Format(name="fp8", precision="fp8", bits=8, scale_bytes=4),
    Format(name="fp8_channel_bf16", precision="fp8", bits=8, scale_bytes=2),
    Format(name="fp8_tensor", precision="fp8", bits=8, matrix_bytes=8),
    Format(name="fp8_tensor_dynamic", precision="fp8", bits=8, matrix_bytes=4),
    Format(name="fp8_tensor_bf16", precision="fp8", bits=8, matrix_bytes=4),
    Format(name="fp8_tensor_bf16_dynamic", precision="fp8", bits=8, matrix_bytes=2),
    Format(
        name="fp8_block", precision="fp8", bits=8, block_rows=128, block_columns=128, scale_bytes=4
    ),
    Format(
        name="fp8_block_e8m0",
        precision="fp8",
        bits=8,
        block_rows=128,
        block_columns=128,
        scale_bytes=1,
    ),
    Format(name="mxfp8", precision="fp8", bits=8, block_columns=32, scale_bytes=1),
    Format(name="int8", precision="int8", bits=8, scale_bytes=4),
    Format(name="int8_channel_bf16", precision="int8", bits=8, scale_bytes=2),
    Format(name="bnb_int8", precision="int8", bits=8, scale_bytes=4),
    Format(name="int4", precision="int4", bits=4, block_columns=128, scale_bytes=2),
    Format(name="mxfp4", precision="fp4", bits=4, block_columns=32, scale_bytes=1),
    Format(name="nvfp4", precision="fp4", bits=4, block_columns=16, scale_bytes=1, matrix_bytes=8),
    Format(
        name="nvfp4_w4a16",
        precision=WIDENED,
        bits=4,
        block_columns=16,
        scale_bytes=1,
        matrix_bytes=4,
    ),
    Format(
        name="nf4",
        precision=WIDENED,
        bits=4,
        block_columns=64,
        scale_bytes=4,
        flat=True,
        matrix_bytes=_QUANT_MAP_BYTES + _QUANT_STATE_BYTES,
    ),
    Format(
        name="nf4_double",
        precision=WIDENED,
        bits=4,
        block_columns=64,
        scale_bytes=1,
        flat=True,
        outer_blocks=256,
        outer_bytes=4,
        matrix_bytes=_QUANT_MAP_BYTES + _NESTED_MAP_BYTES + _QUANT_STATE_BYTES,
    ),
)
"""Formats of weights. Scales: fp8 fp32 per output channel; fp8_tensor one fp32 for the weight and
one for its input; fp8_block fp32 per 128×128; MX formats one byte per 32; nvfp4 one byte per 16 and
two fp32; int8 fp32 per output channel; int4 fp16 per group of 128; nf4 fp32 per 64 and its table,
nf4_double a byte per 64, fp32 per 256 of these and both tables."""


def _gptq(bits: str, group: str) -> Format:
    """Two-dimensional groups of zeros and fp16 scales, and an index of 4 bytes per input."""
    return Format(
        name=f"gptq_{bits}_g{group}",
        precision=WIDENED,
        bits=int(bits),
        block_columns=_group(group),
        scale_bytes=2 + Fraction(int(bits), 8),
        column_bytes=4,
    )


def _awq(group: str) -> Format:
    return Format(
        name=f"awq_g{group}",
        precision=WIDENED,
        bits=4,
        block_columns=_group(group),
        scale_bytes=2 + Fraction(4, 8),
    )


def _hqq(bits: str, group: str) -> Format:
    """Three bits are packed ten to an int32; scale and zero point are fp16."""
    return Format(
        name=f"hqq{bits}_g{group}",
        precision=WIDENED,
        bits=Fraction(32, 10) if bits == "3" else int(bits),
        block_columns=_group(group),
        scale_bytes=4,
        flat=True,
    )


def _aqlm(codebooks: str, code_bits: str) -> Format:
    """Codes of groups of 8, their fp16 codebooks and an fp16 scale per output."""
    count, bits = int(codebooks), int(code_bits)
    return Format(
        name=f"aqlm_{codebooks}x{code_bits}",
        precision=WIDENED,
        bits=Fraction(count * bits, _AQLM_GROUP),
        row_bytes=2,
        matrix_bytes=count * 2**bits * _AQLM_GROUP * 2,
    )


def _exl2(bits: str) -> Format:
    """Its average counts everything that a quantised matrix stores."""
    return Format(name=f"exl2_{bits}", precision=WIDENED, bits=Fraction(bits))


def _exl3(bits: str) -> Format:
    """Tiles of 16×16 and an fp16 factor per input and output."""
    return Format(
        name=f"exl3_{bits}",
        precision=WIDENED,
        bits=Fraction(bits),
        row_bytes=2,
        column_bytes=2,
    )


def _packed(bits: str, group: str, zeros: str | None, index: str | None) -> Format:
    """Packed integers of compressed-tensors: 16-bit scales, the shape as two int64."""
    return Format(
        name=f"packed{bits}_g{group}{zeros or ''}{index or ''}",
        precision=WIDENED,
        bits=int(bits),
        block_columns=_group(group),
        scale_bytes=2 + (Fraction(int(bits), 8) if zeros else 0),
        column_bytes=4 if index else 0,
        matrix_bytes=16,
    )


def _fp8_block(rows: str, columns: str, scales: str | None) -> Format:
    size = {None: 4, "_bf16": 2, "_e8m0": 1}[scales]
    return Format(
        name=f"fp8_block_{rows}x{columns}{scales or ''}",
        precision="fp8",
        bits=8,
        block_rows=int(rows),
        block_columns=int(columns),
        scale_bytes=size,
    )


def _group(text: str) -> int | None:
    return None if text == "all" else int(text)


_GROUP = r"(all|[1-9]\d{0,4})"
_BPW = r"([1-8](?:\.\d{1,3})?)"
_FAMILIES: tuple[tuple[str, Callable[..., Format]], ...] = (
    (rf"gptq_([2348])_g{_GROUP}", _gptq),
    (rf"awq_g{_GROUP}", _awq),
    (rf"hqq([12348])_g{_GROUP}", _hqq),
    (r"aqlm_([1-9])x([1-9]|1[0-6])", _aqlm),
    (rf"exl2_{_BPW}", _exl2),
    (rf"exl3_{_BPW}", _exl3),
    (r"fp8_block_([1-9]\d{0,4})x([1-9]\d{0,4})(_bf16|_e8m0)?", _fp8_block),
    (rf"packed([248])_g{_GROUP}(_zero)?(_index)?", _packed),
)
_SHORT = {
    "gptq": "gptq_4_g128", "gptq_2": "gptq_2_g128", "gptq_3": "gptq_3_g128",
    "gptq_4": "gptq_4_g128", "gptq_8": "gptq_8_g128", "awq": "awq_g128",
    "hqq": "hqq4_g64", "hqq2": "hqq2_g64", "hqq3": "hqq3_g64", "hqq4": "hqq4_g64",
    "hqq8": "hqq8_g64", "aqlm": "aqlm_1x16", "exl2": "exl2_4.0", "exl3": "exl3_4.0",
    "nf4_dq": "nf4_double", "fp4": "nf4",
}  # fmt: skip

SHOWN = (
    *WEIGHT_FORMATS,
    "gptq", "gptq_3_g64 (2, 3, 4 or 8 bits, any group, or gall)", "awq", "hqq4", "hqq2_g16",
    "aqlm_1x16", "aqlm_2x8", "exl2_4.65", "exl3_4.0",
)  # fmt: skip
"""What an error about an unknown format offers."""


@functools.lru_cache(maxsize=4096)
def weight_format(name: str) -> Format:
    """Return a format of weights by name.

    Parameters
    ----------
    name : str
        A fixed format, one of a family with its figures, or a type of tensor of GGUF files, with
        ``ggml_`` before it where another format has the same name.

    Returns
    -------
    Format
        The format.

    Raises
    ------
    PrecisionError
        No such format.

    References
    ----------
    frantar-2022, lin-2023, dettmers-2023, egiazarian-2024

    Examples
    --------
    >>> weight_format("gptq_4_g128").matrix_size_bytes(4096, 4096)
    8732672
    >>> weight_format("ggml_q4_k").matrix_size_bytes(4096, 4096)
    9437184
    """
    name = _SHORT.get(name, name)
    if name in WEIGHT_FORMATS:
        return WEIGHT_FORMATS[name]
    if name.removeprefix("ggml_") in GGML_TYPES:
        return GGML_TYPES[name.removeprefix("ggml_")].format
    for pattern, build in _FAMILIES:
        found = re.fullmatch(pattern, name)
        if found:
            return build(*found.groups())
    raise PrecisionError("unknown format of weights", got=name, allowed=", ".join(SHOWN))
