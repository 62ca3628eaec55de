"""A node of several devices, and the hardware that one question is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from planner.explanation import Explanation
from planner.hardware.device import Device, Link
from planner.hardware.quantity import explain_figure
from planner.sources import Figure, Source

MOST_ON_ONE_HOST = 8
"""Devices that are taken to share one host's PCIe when nothing else is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A machine with several devices of one kind.

    Parameters
    ----------
    id, name : str
        What it is.
    device : Device
        The device it holds.
    devices : int
        How many. [1]
    scale_up : Link
        What joins them.
    network : Link or None
        What joins one of them to other nodes.
    host_memory_bytes : int or None
        Memory of the host. [bytes]
    note : str or None
        What else to know.
    figures : Mapping
        Printed figure by dotted key, without those of the device.
    sources : Mapping
        Source by id, without those of the device.
    """

    id: str
    name: str
    device: Device
    devices: int
    scale_up: Link
    network: Link | None
    host_memory_bytes: int | None
    note: str | None = None
    figures: Mapping[str, Figure] = field(hash=False, repr=False)
    sources: Mapping[str, Source] = field(hash=False, repr=False)

    @property
    def unverified(self) -> tuple[str, ...]:
        """Keys of figures that nobody has re-read in their source."""
        return tuple(key for key, figure in self.figures.items() if not figure.verified)

    def explain(self, key: str) -> Explanation:
        """Return where a figure of the node comes from.

        Parameters
        ----------
        key : str
            A key of ``figures``.

        Returns
        -------
        Explanation
            With the printed figure, its conversion and its source.

        Raises
        ------
        SpecError
            The node has no such figure.
        """
        return explain_figure(self.id, key, self.figures, self.sources)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """Devices of one kind, as a question names them: alone, several, or as nodes.

    Parameters
    ----------
    device : Device
        The device.
    devices : int
        How many. [1]
    node : Node or None
        The node they come in, where one was named.
    """

    device: Device
    devices: int
    node: Node | None = None

    @property
    def id(self) -> str:
        """Id of the node, or of the device."""
        return self.node.id if self.node else self.device.id

    @property
    def node_id(self) -> str | None:
        """Id of the node, where one was named."""
        return self.node.id if self.node else None

    @property
    def calibration(self) -> str | None:
        """File of the user's own measurements of the device, where there are any."""
        return self.device.measured.name if self.device.measured else None

    @property
    def scale_up(self) -> Link | None:
        """The direct link between devices."""
        return self.node.scale_up if self.node else self.device.scale_up

    @property
    def network(self) -> Link | None:
        """What joins one device to other nodes."""
        return self.node.network if self.node else None

    @property
    def sources(self) -> Mapping[str, Source]:
        """Source by id, of the device and the node."""
        return {**self.device.sources, **(self.node.sources if self.node else {})}

    @property
    def unverified(self) -> tuple[str, ...]:
        """Keys of figures of the device, then the node, that nobody has re-read."""
        return (*self.device.unverified, *(self.node.unverified if self.node else ()))

    def link(self, ranks: int) -> tuple[Link | None, str | None]:
        """Return what a group of devices talks over.

        Parameters
        ----------
        ranks : int
            Devices in the group. [1]

        Returns
        -------
        Link or None
            The direct link where it joins that many; else the network of the node; else, within
            one host, its PCIe. None for one device, and where nothing is known.
        str or None
            What the reader should know about that choice.

        Examples
        --------
        >>> from planner.hardware import load_hardware
        >>> load_hardware("8x-h100-sxm").link(8)[0].per_direction_bytes_per_s
        450000000000.0
        """
        if ranks <= 1:
            return None, None
        direct = self.scale_up
        if direct is not None and ranks <= (direct.devices or ranks):
            return direct.among(ranks), _open_end(self.device, direct)
        if self.network is not None:
            return self.network, _beyond(ranks, direct, self.network, "the network")
        host = self.device.host
        if host is not None and ranks <= MOST_ON_ONE_HOST:
            return host, _beyond(ranks, direct, host, "the host's PCIe")
        return None, None


def _open_end(device: Device, link: Link) -> str | None:
    if link.devices is not None:
        return None
    return f"How many {device.name} {link.kind} joins is not in its file; it is taken to join all."


def _beyond(ranks: int, direct: Link | None, used: Link, name: str) -> str:
    why = (
        f"{direct.kind} joins {direct.devices} devices and no more"
        if direct is not None
        else "these devices have no direct link"
    )
    return (
        f"{ranks} ranks talk over {name} ({used.per_direction_bytes_per_s / 1e9:g} GB/s one way, "
        f"a peak that peer traffic seldom reaches): {why}."
    )
