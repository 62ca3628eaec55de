"""What the figures of hardware files mean: dimension, physical bounds, conversion, explanation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from planner.errors import SpecError
from planner.explanation import Explanation, Term
from planner.sources import Figure, Source
from planner.units import FACTORS, to_base

BASE_UNITS = {
    "bytes": "bytes",
    "bytes_per_s": "bytes/s",
    "flops_per_s": "FLOP/s",
    "hz": "Hz",
    "w": "W",
    "1": "1",
}
"""Name of the SI base unit of each dimension."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """What one key of a hardware file holds.

    Parameters
    ----------
    dimension : str
        A dimension of :data:`planner.units.FACTORS`.
    least, most : float
        Values beyond these are slips, such as GB for TB. [base unit of ``dimension``]
    meaning : str
        One clause for people.
    """

    dimension: str
    least: float
    most: float
    meaning: str


_RATE = Quantity("flops_per_s", 1e9, 1e18, "Peak dense operations per second in this precision")
_LINK = {
    "per_direction": Quantity(
        "bytes_per_s", 1e6, 1e15, "Peak bandwidth that one device has on the link in one direction"
    ),
    "per_peer": Quantity(
        "bytes_per_s", 1e6, 1e15, "Peak bandwidth of the link to one peer in one direction"
    ),
    "devices": Quantity("1", 2, 1e5, "Devices that the link joins, all to all"),
}

_QUANTITIES: dict[str, Quantity] = {
    "memory.vendor_capacity": Quantity("bytes", 1e9, 1e13, "Device memory as the vendor prints it"),
    "memory.reported_capacity": Quantity(
        "bytes", 1e9, 1e13, "Device memory that the vendor's management tool reports"
    ),
    "memory.visible_capacity": Quantity(
        "bytes", 1e9, 1e13, "Device memory that a program sees as total"
    ),
    "memory.bandwidth": Quantity("bytes_per_s", 1e9, 1e15, "Peak bandwidth of device memory"),
    "compute.multiprocessors": Quantity("1", 1, 1e5, "Multiprocessors or compute units in use"),
    "compute.boost_clock": Quantity(
        "hz", 1e7, 1e11, "Boost clock; peak rates may be stated at a lower one"
    ),
    "compute.l2_cache": Quantity("bytes", 1e3, 1e11, "Level-2 cache"),
    "compute.shared_memory_per_multiprocessor": Quantity(
        "bytes", 1e3, 1e9, "Shared memory (local data share) of one multiprocessor"
    ),
    "compute.registers_per_multiprocessor": Quantity(
        "bytes", 1e3, 1e9, "Vector registers of one multiprocessor"
    ),
    "power": Quantity("w", 1, 1e5, "Power limit"),
    "devices": Quantity("1", 1, 1e5, "Devices in the node"),
    "host_memory": Quantity("bytes", 1e9, 1e15, "Memory of the host"),
}


def quantity(key: str) -> Quantity:
    """Return what a figure's key stands for.

    Parameters
    ----------
    key : str
        Dotted, such as ``"memory.bandwidth"`` or ``"rates.bf16"``.

    Returns
    -------
    Quantity
        Dimension, bounds and meaning.

    Examples
    --------
    >>> quantity("rates.fp8").dimension
    'flops_per_s'
    """
    if key.startswith("rates."):
        return _RATE
    if key.startswith("links."):
        return _LINK[key.rpartition(".")[2]]
    if key.startswith(("context.", "collectives.", "observations.")):
        return Quantity("bytes", 0, 1e11, "Device memory taken outside the model")
    return _QUANTITIES[key]


def convert(key: str, figure: Figure, where: str) -> int | float:
    """Convert a printed figure to its base unit.

    Parameters
    ----------
    key : str
        Dotted key of the figure.
    figure : Figure
        As printed.
    where : str
        The file, for errors.

    Returns
    -------
    int or float
        The value; bytes are rounded down. [base unit of its dimension]

    Raises
    ------
    SpecError
        Another dimension, a count that is not whole, or beyond physical bounds.

    Examples
    --------
    >>> convert("memory.bandwidth", Figure(value=3.35, unit="TB/s", source="x"), "h100.yaml")
    3350000000000
    """
    kind = quantity(key)
    place = f"{where}: {key}"
    if figure.unit not in FACTORS or FACTORS[figure.unit][0] != kind.dimension:
        allowed = ", ".join(unit for unit, (dim, _) in FACTORS.items() if dim == kind.dimension)
        raise SpecError("the wrong unit", where=place, got=figure.unit, allowed=allowed)
    factor = FACTORS[figure.unit][1]
    unit = "" if figure.unit == "1" else f" {figure.unit}"
    if not kind.least / factor <= figure.value <= kind.most / factor:
        raise SpecError(
            "beyond what hardware can be",
            where=place,
            got=f"{shown_number(figure.value)}{unit}",
            allowed=f"{kind.least / factor:g} to {kind.most / factor:g}{unit}",
        )
    value = to_base(figure.value, figure.unit, kind.dimension)
    if kind.dimension == "bytes":
        return int(value)
    if kind.dimension == "1" and value != int(value):
        raise SpecError("not a whole number", where=place, got=figure.value)
    return value


def shown_number(value: float) -> str:
    """Return a number as a person writes it, however large.

    Parameters
    ----------
    value : float
        Any number. [-]

    Returns
    -------
    str
        At most a dozen digits.

    Examples
    --------
    >>> shown_number(989.4), shown_number(10**400)
    ('989.4', 'a number above 1e308')
    """
    try:
        return f"{value:.12g}"
    except OverflowError:
        return "a number above 1e308"


def explain_figure(
    owner: str, key: str, figures: Mapping[str, Figure], sources: Mapping[str, Source]
) -> Explanation:
    """Return how a spec figure follows from what its source prints.

    Parameters
    ----------
    owner : str
        Id of the device, node or runtime.
    key : str
        Dotted key of the figure.
    figures : Mapping
        The owner's printed figures by key.
    sources : Mapping
        The owner's sources by id.

    Returns
    -------
    Explanation
        With the printed figure, its conversion and its source.

    Raises
    ------
    SpecError
        The owner has no such figure.
    """
    if key not in figures:
        raise SpecError("no such figure", where=owner, got=key, allowed=", ".join(figures))
    figure = figures[key]
    kind = quantity(key)
    factor = FACTORS[figure.unit][1]
    printed = shown_number(figure.value) + ("" if figure.unit == "1" else f" {figure.unit}")
    unit = BASE_UNITS[kind.dimension]
    value = convert(key, figure, owner)
    return Explanation(
        figure=f"{owner}.{key}",
        meaning=_meaning(kind, figure),
        formula="printed figure · its unit in base units",
        substituted=printed if factor == 1 else f"{printed} · {_factor(factor)} {unit}",
        value=value,
        unit=unit,
        terms=(Term(label="printed", value=value, detail=f"{printed} — {cite(figure, sources)}"),),
        sources=(figure.source,),
    )


def _factor(factor: float) -> str:
    return f"{factor:,.0f}" if 1 < factor < 1e12 else f"{factor:g}"


def _meaning(kind: Quantity, figure: Figure) -> str:
    parts = [f"{kind.meaning}."]
    if figure.note:
        parts.append(figure.note)
    if not figure.verified:
        parts.append("Not yet re-read in its source.")
    return " ".join(parts)


def cite(figure: Figure, sources: Mapping[str, Source]) -> str:
    """Return a figure's source in one line.

    Parameters
    ----------
    figure : Figure
        A printed figure.
    sources : Mapping
        Sources by id.

    Returns
    -------
    str
        Title, publisher, date and locator.

    Examples
    --------
    >>> source = Source(kind="datasheet", title="H100", publisher="NVIDIA", date="2023")
    >>> cite(Figure(value=1, unit="W", source="h"), {"h": source})
    'H100, NVIDIA, 2023'
    """
    source = sources[figure.source]
    parts = (source.title, source.publisher, source.date, source.locator)
    return ", ".join(part for part in parts if part)
