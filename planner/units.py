"""The only parsing and formatting of quantities.

SI base units inside (bytes, seconds, FLOP, tokens, watts); GB = 10⁹ and GiB = 2³⁰, always labelled.
"""

from __future__ import annotations

import math
import re

from planner.errors import ScenarioError, SpecError

KIB, MIB, GIB, TIB = 2**10, 2**20, 2**30, 2**40
KB, MB, GB, TB = 10**3, 10**6, 10**9, 10**12

FACTORS: dict[str, tuple[str, float]] = {
    "B": ("bytes", 1),
    "kB": ("bytes", KB),
    "MB": ("bytes", MB),
    "GB": ("bytes", GB),
    "TB": ("bytes", TB),
    "KiB": ("bytes", KIB),
    "MiB": ("bytes", MIB),
    "GiB": ("bytes", GIB),
    "TiB": ("bytes", TIB),
    "MB/s": ("bytes_per_s", 1e6),
    "GB/s": ("bytes_per_s", 1e9),
    "TB/s": ("bytes_per_s", 1e12),
    "Gbit/s": ("bytes_per_s", 1e9 / 8),
    "GFLOP/s": ("flops_per_s", 1e9),
    "TFLOP/s": ("flops_per_s", 1e12),
    "PFLOP/s": ("flops_per_s", 1e15),
    "TOP/s": ("flops_per_s", 1e12),
    "s": ("s", 1),
    "ms": ("s", 1e-3),
    "us": ("s", 1e-6),
    "MHz": ("hz", 1e6),
    "GHz": ("hz", 1e9),
    "W": ("w", 1),
    "kW": ("w", 1e3),
    "USD": ("usd", 1),
    "USD/h": ("usd_per_h", 1),
    "1": ("1", 1),
}
"""Unit as printed in a source → (dimension, factor to the SI base)."""


def to_base(value: int | float, unit: str, dimension: str) -> int | float:
    """Convert a figure as printed to its SI base unit.

    Parameters
    ----------
    value : int or float
        The printed figure. [in ``unit``]
    unit : str
        One of :data:`FACTORS`.
    dimension : str
        The dimension it must have, such as ``"bytes_per_s"``.

    Returns
    -------
    int or float
        The figure in base units; an int where it is whole. [base unit of ``dimension``]

    Raises
    ------
    SpecError
        The unit is unknown or of another dimension.

    Examples
    --------
    >>> to_base(3.35, "TB/s", "bytes_per_s")
    3350000000000
    """
    known = [name for name, (dim, _) in FACTORS.items() if dim == dimension]
    if unit not in known:
        raise SpecError(f"not a unit of {dimension}", got=unit, allowed=", ".join(known))
    base = value * FACTORS[unit][1]
    rounded = round(base)
    return rounded if math.isclose(base, rounded, rel_tol=1e-12) and abs(base) >= 1 else base


_COUNT = re.compile(r"(?P<number>[0-9]+(?:\.[0-9]+)?)(?P<suffix>[kKmMgG]?)")
_COUNT_SUFFIX = {"": 1, "k": 10**3, "K": 2**10, "m": 10**6, "M": 2**20, "g": 10**9, "G": 2**30}


def parse_count(text: str | int, *, where: str, least: int = 1, most: int = 2**31) -> int:
    """Read a whole number as engines do: ``32K`` is 32,768 and ``32k`` is 32,000.

    Parameters
    ----------
    text : str or int
        What the person wrote.
    where : str
        The flag or field, for the error.
    least, most : int
        The range allowed, both ends included. [1]

    Returns
    -------
    int
        The count. [1]

    Raises
    ------
    ScenarioError
        Not a number, not whole, or out of range.

    Examples
    --------
    >>> parse_count("32K", where="--context"), parse_count("32k", where="--context")
    (32768, 32000)
    """
    allowed = f"a whole number from {least:,} to {most:,}; 32K = 32,768 and 32k = 32,000"
    match = _COUNT.fullmatch(str(text).strip().replace("_", "").replace(",", "")[:40])
    if isinstance(text, bool) or match is None:
        raise ScenarioError("not a whole number", where=where, got=text, allowed=allowed)
    scale = _COUNT_SUFFIX[match["suffix"]]
    number = match["number"]
    count = int(number) * scale if "." not in number else float(number) * scale
    if count != int(count):
        raise ScenarioError("not a whole number", where=where, got=text, allowed=allowed)
    if not least <= count <= most:
        raise ScenarioError("out of range", where=where, got=text, allowed=allowed)
    return int(count)


def format_bytes(value: float, digits: int = 2) -> str:
    """Write bytes in binary units, always labelled.

    Parameters
    ----------
    value : float
        A size. [bytes]
    digits : int
        Digits after the point. [1]

    Returns
    -------
    str
        Such as ``"15.08 GiB"``.

    Examples
    --------
    >>> format_bytes(81 * 2**30), format_bytes(131072), format_bytes(-(2**20))
    ('81.00 GiB', '128.00 KiB', '-1.00 MiB')
    """
    size = abs(value)
    for name, factor in (("TiB", TIB), ("GiB", GIB), ("MiB", MIB), ("KiB", KIB)):
        if size >= factor and not (name == "TiB" and size < 10 * TIB):
            return f"{value / factor:,.{digits}f} {name}"
    return f"{value:,.0f} B"


_SI = (("P", 1e15), ("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3))


def format_si(value: float, unit: str, digits: int = 4) -> str:
    """Write a number with a decimal prefix.

    Parameters
    ----------
    value : float
        The number. [``unit``]
    unit : str
        Its unit, such as ``"FLOP"`` or ``"B/s"``.
    digits : int
        Significant digits. [1]

    Returns
    -------
    str
        Such as ``"131.9 TFLOP"``.

    Examples
    --------
    >>> format_si(131.94e12, "FLOP"), format_si(3.35e12, "B/s")
    ('131.9 TFLOP', '3.35 TB/s')
    """
    for prefix, factor in _SI:
        if abs(value) >= factor:
            return f"{value / factor:.{digits}g} {prefix}{unit}"
    return f"{value:.{digits}g} {unit}"


def format_seconds(value: float, digits: int = 3) -> str:
    """Write a duration in the unit that suits its size.

    Parameters
    ----------
    value : float
        A duration. [s]
    digits : int
        Significant digits. [1]

    Returns
    -------
    str
        Such as ``"7.05 ms"``.

    Examples
    --------
    >>> format_seconds(0.00705), format_seconds(0.23), format_seconds(3.1e-6)
    ('7.05 ms', '230 ms', '3.1 µs')
    """
    size = abs(value)
    if size >= 120:
        return f"{value / 60:.{digits}g} min"
    for name, factor in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if size >= factor:
            return f"{value / factor:.{digits}g} {name}"
    return f"{value / 1e-9:.{digits}g} ns" if value else "0 s"


def format_quantity(value: float | str | None, unit: str) -> str:
    """Write any figure of a plan for people, its unit with it.

    Parameters
    ----------
    value : float, int, bool, str or None
        The figure. [``unit``]
    unit : str
        Base unit, such as ``"bytes"``, ``"s"``, ``"FLOP"`` or ``"tokens"``; ``"1"`` for none.

    Returns
    -------
    str
        Such as ``"15.08 GiB"``; ``"–"`` for None, ``"yes"`` or ``"no"`` for a truth value.

    Examples
    --------
    >>> format_quantity(131072, "bytes/token"), format_quantity(131072, "tokens")
    ('128.00 KiB/token', '131,072 tokens')
    >>> format_quantity(12345.67, "tokens/s"), format_quantity(1, "devices")
    ('12,346 tokens/s', '1 device')
    """
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    if unit == "bytes/s":
        return format_si(value, "B/s")
    if unit.startswith("bytes"):
        return format_bytes(value) + unit.removeprefix("bytes")
    if unit == "s":
        return format_seconds(value)
    if unit == "FLOP":
        return format_si(value, unit)
    number = f"{value:,.0f}" if value == int(value) or abs(value) >= 1000 else f"{value:.4g}"
    if unit == "1":
        return number
    return f"{number} {unit.removesuffix('s') if value == 1 else unit}"
