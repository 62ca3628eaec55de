"""From checked files to devices and nodes: units to base units, bounds and cross-checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from planner.errors import SpecError
from planner.hardware.device import Device, Link
from planner.hardware.node import Node
from planner.hardware.quantity import convert
from planner.hardware.spec import DeviceSpec, LinkSpec, NodeSpec, figures_of
from planner.sources import Figure, Source
from planner.units import GB, GIB

ROUNDING = 1.002
"""Logs print GiB to two digits."""


class _Values:
    """Base-unit values of one file's figures."""

    def __init__(self, spec: DeviceSpec | NodeSpec, where: str) -> None:
        self.figures = dict(figures_of(spec))
        self.where = where
        _check_citations(self.figures, spec.sources, where)
        self._values = {key: convert(key, fig, where) for key, fig in self.figures.items()}

    def __getitem__(self, key: str) -> int | float:
        return self._values[key]

    def number(self, key: str) -> float | None:
        value = self._values.get(key)
        return None if value is None else float(value)

    def whole(self, key: str) -> int | None:
        value = self._values.get(key)
        return None if value is None else int(value)

    def link(self, spec: LinkSpec, name: str) -> Link:
        return Link(
            kind=spec.kind,
            per_direction_bytes_per_s=float(self[f"links.{name}.per_direction"]),
            per_peer_bytes_per_s=self.number(f"links.{name}.per_peer"),
            devices=self.whole(f"links.{name}.devices"),
        )


def _check_citations(
    figures: Mapping[str, Figure], sources: Mapping[str, Source], where: str
) -> None:
    for key, figure in figures.items():
        if figure.source not in sources:
            raise SpecError(
                "the source is not in the file's list of sources",
                where=f"{where}: {key}.source",
                got=figure.source,
                allowed=", ".join(sources),
            )


def build_device(spec: DeviceSpec, where: str) -> Device:
    """Return the device that a file describes.

    Parameters
    ----------
    spec : DeviceSpec
        The checked file.
    where : str
        The file, for errors.

    Returns
    -------
    Device
        In base units.

    Raises
    ------
    SpecError
        A figure is out of bounds, cites no source of the file, or contradicts another.
    """
    values = _Values(spec, where)
    _check_capacities(values)
    links = spec.links
    return Device(
        id=spec.id,
        name=spec.name,
        vendor=spec.vendor,
        architecture=spec.architecture,
        form_factor=spec.form_factor,
        compute_capability=spec.compute_capability,
        launch_year=spec.launch_year,
        memory_kind=spec.memory.kind,
        vendor_capacity_bytes=int(values["memory.vendor_capacity"]),
        reported_capacity_bytes=values.whole("memory.reported_capacity"),
        visible_capacity_bytes=values.whole("memory.visible_capacity"),
        memory_bandwidth_bytes_per_s=float(values["memory.bandwidth"]),
        rates=MappingProxyType(
            {precision: float(values[f"rates.{precision}"]) for precision in spec.rates}
        ),
        multiprocessors=values.whole("compute.multiprocessors"),
        boost_clock_hz=values.number("compute.boost_clock"),
        l2_cache_bytes=values.whole("compute.l2_cache"),
        shared_memory_per_multiprocessor_bytes=values.whole(
            "compute.shared_memory_per_multiprocessor"
        ),
        registers_per_multiprocessor_bytes=values.whole("compute.registers_per_multiprocessor"),
        scale_up=values.link(links.scale_up, "scale_up") if links.scale_up else None,
        host=values.link(links.host, "host") if links.host else None,
        power_w=values.number("power"),
        note=spec.note,
        figures=MappingProxyType(values.figures),
        sources=MappingProxyType(dict(spec.sources)),
    )


def _check_capacities(values: _Values) -> None:
    """A program sees no more than the tool reports, and neither more than the label in GiB."""
    label = values["memory.vendor_capacity"]
    ceiling, name = int(label * GIB / GB * ROUNDING), "the vendor's figure read as GiB"
    for key in ("memory.reported_capacity", "memory.visible_capacity"):
        capacity = values.whole(key)
        if capacity is None:
            continue
        if capacity > ceiling:
            raise SpecError(
                "capacities contradict each other",
                where=f"{values.where}: {key}",
                got=f"{capacity:,} bytes",
                allowed=f"at most {ceiling:,} bytes, {name}",
            )
        ceiling, name = capacity, "what the management tool reports"


def build_node(spec: NodeSpec, device: Device, where: str) -> Node:
    """Return the node that a file describes.

    Parameters
    ----------
    spec : NodeSpec
        The checked file.
    device : Device
        The device it names.
    where : str
        The file, for errors.

    Returns
    -------
    Node
        In base units. Its direct link joins all its devices unless the file says otherwise.

    Raises
    ------
    SpecError
        A figure is out of bounds or cites no source of the file.
    """
    values = _Values(spec, where)
    devices = int(values["devices"])
    link = values.link(spec.links.scale_up, "scale_up")
    return Node(
        id=spec.id,
        name=spec.name,
        device=device,
        devices=devices,
        scale_up=replace(link, devices=link.devices or devices),
        network=values.link(spec.links.network, "network") if spec.links.network else None,
        host_memory_bytes=values.whole("host_memory"),
        note=spec.note,
        figures=MappingProxyType(values.figures),
        sources=MappingProxyType(dict(spec.sources)),
    )
