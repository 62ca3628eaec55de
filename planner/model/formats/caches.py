"""Formats of keys and values."""

from __future__ import annotations

from dataclasses import replace

from planner.errors import PrecisionError
from planner.model.formats.ggml import GGML_TYPES
from planner.model.formats.names import cache_name
from planner.model.formats.number_format import BF16, FP16, FP32, WIDENED, Format, by_name

_KIVI_GROUP = 32
_KIVI_RECENT_TOKENS = 128


def _ggml(name: str) -> Format:
    block = GGML_TYPES[name].format
    return Format(
        name=name,
        precision=WIDENED,
        bits=block.bits,
        block_columns=block.block_columns,
        scale_bytes=block.scale_bytes,
        padded=True,
    )


def _kivi(bits: int) -> Format:
    """Groups of 32 with an fp16 scale and zero point; the newest tokens stay in 16 bits."""
    return Format(
        name=f"kivi{bits}",
        precision=WIDENED,
        bits=bits,
        block_columns=_KIVI_GROUP,
        scale_bytes=4,
        recent_tokens=_KIVI_RECENT_TOKENS,
    )


def _turboquant(name: str, key_bits: int, value_bits: int) -> Format:
    """A norm of 2 bytes per rotated key, a scale and zero point of 4 per value."""
    value = Format(name=name, precision=WIDENED, bits=value_bits, row_bytes=4)
    return Format(
        name=name,
        precision=WIDENED,
        bits=key_bits,
        row_bytes=0 if key_bits == 8 else 2,
        value_format=value,
    )


CACHE_FORMATS = by_name(
    FP32,
    BF16,
    FP16,
    Format(name="fp8", precision="fp8", bits=8),
    Format(name="fp8_per_token_head", precision="fp8", bits=8, scale_bytes=4),
    Format(name="mxfp8", precision="fp8", bits=8, block_columns=32, scale_bytes=1),
    Format(name="int8", precision="int8", bits=8, scale_bytes=4),
    Format(name="int4", precision="int4", bits=4, scale_bytes=4),
    Format(name="nvfp4", precision="fp4", bits=4, block_columns=16, scale_bytes=1),
    *(_ggml(name) for name in ("q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl")),
    _kivi(4),
    _kivi(2),
    _turboquant("turboquant_k8v4", 8, 4),
    _turboquant("turboquant_4bit_nc", 4, 4),
    _turboquant("turboquant_k3v4_nc", 3, 4),
    _turboquant("turboquant_3bit_nc", 3, 3),
)
"""Formats of caches. fp8 has one scale per tensor, kept with the weights; int8 and int4 an fp32
scale (int4: with zero point) per token and head; mxfp8 one byte per 32 elements, nvfp4 per 16; q8_0
to q4_0 are llama.cpp's blocks of 32; kivi groups of 32 with an fp16 scale and zero point, its
newest 128 tokens in 16 bits; turboquant counts the layers that engines may exempt as quantised."""


def cache_format(name: str) -> Format:
    """Return a format of keys and values by name.

    Parameters
    ----------
    name : str
        One format, or two with a slash between them: of keys, then of values.

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
    liu-2024-kivi

    Examples
    --------
    >>> cache_format("q8_0").pair_bytes(128, 128), cache_format("q8_0/q4_0").pair_bytes(128, 128)
    (272, 208)
    """
    parts = [cache_name(part) for part in str(name).split("/")]
    known = [CACHE_FORMATS[part] for part in parts if part in CACHE_FORMATS]
    plain = not any(fmt.value_format or fmt.recent_tokens for fmt in known)
    if len(known) != len(parts) or len(parts) > 2 or (len(parts) == 2 and not plain):
        raise PrecisionError(
            "unknown format of the KV cache",
            got=name,
            allowed=", ".join(CACHE_FORMATS) + ", or two of them as keys/values",
        )
    if len(known) == 1:
        return known[0]
    return replace(known[0], name="/".join(parts), value_format=known[1])
