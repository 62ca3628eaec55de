"""The form of hardware files: one YAML file per device or node, every figure with its source."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from planner.sources import Figure, Identifier, Source

OWN_CALIBRATION = "own_calibration"
"""``kind`` of a file of times that a user measured."""

Precision: TypeAlias = Literal[
    "fp64", "fp32", "tf32", "bf16", "fp16", "fp8", "int8", "int4", "fp6", "fp4"
]
Text: TypeAlias = Annotated[str, Field(min_length=1, max_length=200)]


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)


class LinkSpec(_File):
    """A link; bandwidths are one-way."""

    kind: Text
    per_direction: Figure
    per_peer: Figure | None = None
    devices: Figure | None = None


class MemorySpec(_File):
    """Device memory: three capacities that differ, and the peak bandwidth."""

    kind: Text
    vendor_capacity: Figure
    reported_capacity: Figure | None = None
    visible_capacity: Figure | None = None
    bandwidth: Figure


class ComputeSpec(_File):
    """The compute units."""

    multiprocessors: Figure | None = None
    boost_clock: Figure | None = None
    l2_cache: Figure | None = None
    shared_memory_per_multiprocessor: Figure | None = None
    registers_per_multiprocessor: Figure | None = None


class DeviceLinks(_File):
    """What joins a device to its peers and to its host."""

    scale_up: LinkSpec | None = None
    host: LinkSpec | None = None


class DeviceSpec(_File):
    """A device file."""

    schema_version: Literal[1]
    kind: Literal["device"]
    id: Identifier
    name: Text
    vendor: Text
    architecture: Text
    form_factor: Text
    compute_capability: Text | None = None
    launch_year: Annotated[int, Field(ge=2006, le=2100)]
    memory: MemorySpec
    rates: Annotated[dict[Precision, Figure], Field(min_length=1)]
    compute: ComputeSpec = Field(default_factory=ComputeSpec)
    links: DeviceLinks = Field(default_factory=DeviceLinks)
    power: Figure | None = None
    note: Annotated[str, Field(max_length=2000)] | None = None
    sources: Annotated[dict[Identifier, Source], Field(min_length=1)]


class NodeLinks(_File):
    """What joins the devices of a node, and each of them to other nodes."""

    scale_up: LinkSpec
    network: LinkSpec | None = None


class NodeSpec(_File):
    """A node file."""

    schema_version: Literal[1]
    kind: Literal["node"]
    id: Identifier
    name: Text
    device: Identifier
    devices: Figure
    links: NodeLinks
    host_memory: Figure | None = None
    note: Annotated[str, Field(max_length=2000)] | None = None
    sources: Annotated[dict[Identifier, Source], Field(min_length=1)]


def figures_of(spec: BaseModel, prefix: str = "") -> Iterator[tuple[str, Figure]]:
    """Yield every figure of a file with its dotted key.

    Parameters
    ----------
    spec : pydantic.BaseModel
        A file or a part of one.
    prefix : str
        Key of the part.

    Yields
    ------
    tuple of str and Figure
        Such as ``("memory.bandwidth", Figure(...))``, in the order of the file's model.

    Examples
    --------
    >>> link = LinkSpec(kind="PCIe", per_direction=Figure(value=63, unit="GB/s", source="x"))
    >>> [key for key, _ in figures_of(link, "links.host.")]
    ['links.host.per_direction']
    """
    for name in type(spec).model_fields:
        value = getattr(spec, name)
        if isinstance(value, Figure):
            yield prefix + name, value
        elif isinstance(value, BaseModel):
            yield from figures_of(value, f"{prefix}{name}.")
        elif isinstance(value, dict):
            for key, item in value.items():
                if isinstance(item, Figure):
                    yield f"{prefix}{name}.{key}", item
