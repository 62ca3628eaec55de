"""A device and its links, in SI base units, with the printed figures they come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, get_args

from planner.errors import PrecisionError
from planner.explanation import Explanation
from planner.hardware.quantity import explain_figure
from planner.hardware.spec import Precision
from planner.sources import Figure, Source

if TYPE_CHECKING:
    from planner.hardware.measurements import Measurements

PRECISIONS: tuple[str, ...] = get_args(Precision)
"""Every precision that a device file may give a rate for."""

CapacityBasis = Literal["visible", "reported", "vendor"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A link as one device sees it.

    Parameters
    ----------
    kind : str
        Its name.
    per_direction_bytes_per_s : float
        What a device can send at once, to all its peers together. [bytes/s]
    per_peer_bytes_per_s : float, optional
        What it can send to one peer, where that is less: a mesh without a switch. [bytes/s]
    devices : int, optional
        How many devices it joins, all to all. [1]
    """

    kind: str
    per_direction_bytes_per_s: float
    per_peer_bytes_per_s: float | None = None
    devices: int | None = None

    def among(self, ranks: int) -> Link:
        """Return the link as a group of its devices sees it.

        Parameters
        ----------
        ranks : int
            Devices that talk to one another. [1]

        Returns
        -------
        Link
            In a mesh, a device reaches ``ranks - 1`` peers and no more than that many lanes.

        Examples
        --------
        >>> mesh = Link(kind="mesh", per_direction_bytes_per_s=448e9, per_peer_bytes_per_s=64e9)
        >>> mesh.among(2).per_direction_bytes_per_s, mesh.among(8).per_direction_bytes_per_s
        (64000000000.0, 448000000000.0)
        """
        if self.per_peer_bytes_per_s is None:
            return self
        reached = self.per_peer_bytes_per_s * max(ranks - 1, 1)
        return replace(self, per_direction_bytes_per_s=min(self.per_direction_bytes_per_s, reached))


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One accelerator.

    Parameters
    ----------
    id, name, vendor, architecture, form_factor : str
        What it is.
    compute_capability : str or None
        CUDA compute capability, or LLVM target of an AMD device.
    launch_year : int
        Year it was launched. [1]
    memory_kind : str
        Such as ``"HBM3"``.
    vendor_capacity_bytes : int
        As the vendor prints it, decimal. [bytes]
    reported_capacity_bytes : int or None
        As nvidia-smi or its like reports it. [bytes]
    visible_capacity_bytes : int or None
        Total that a program sees; the low end of what has been observed. [bytes]
    memory_bandwidth_bytes_per_s : float
        Peak. [bytes/s]
    rates : Mapping
        Peak dense operations per second by precision. [FLOP/s]
    multiprocessors : int or None
        Multiprocessors or compute units in use. [1]
    boost_clock_hz : float or None
        Boost clock; peak rates may be stated at a lower one. [Hz]
    l2_cache_bytes : int or None
        Level-2 cache. [bytes]
    shared_memory_per_multiprocessor_bytes, registers_per_multiprocessor_bytes : int or None
        On-chip memory of one multiprocessor. [bytes]
    scale_up, host : Link or None
        Link to peers, and to the host.
    power_w : float or None
        Power limit. [W]
    note : str or None
        What else to know.
    figures : Mapping
        Printed figure by dotted key, such as ``"memory.bandwidth"``.
    sources : Mapping
        Source by id.
    measured : Measurements or None
        What a user measured on it.
    """

    id: str
    name: str
    vendor: str
    architecture: str
    form_factor: str
    compute_capability: str | None
    launch_year: int
    memory_kind: str
    vendor_capacity_bytes: int
    reported_capacity_bytes: int | None
    visible_capacity_bytes: int | None
    memory_bandwidth_bytes_per_s: float
    rates: Mapping[str, float] = field(hash=False)
    multiprocessors: int | None
    boost_clock_hz: float | None
    l2_cache_bytes: int | None
    shared_memory_per_multiprocessor_bytes: int | None
    registers_per_multiprocessor_bytes: int | None
    scale_up: Link | None
    host: Link | None
    power_w: float | None
    note: str | None = None
    figures: Mapping[str, Figure] = field(hash=False, repr=False)
    sources: Mapping[str, Source] = field(hash=False, repr=False)
    measured: Measurements | None = field(default=None, hash=False, repr=False)

    @property
    def capacity_basis(self) -> CapacityBasis:
        """Which of the three capacities is known best."""
        if self.visible_capacity_bytes is not None:
            return "visible"
        return "vendor" if self.reported_capacity_bytes is None else "reported"

    @property
    def capacity_bytes(self) -> int:
        """The capacity named by ``capacity_basis``. [bytes]."""
        if self.visible_capacity_bytes is not None:
            return self.visible_capacity_bytes
        if self.reported_capacity_bytes is not None:
            return self.reported_capacity_bytes
        return self.vendor_capacity_bytes

    @property
    def unverified(self) -> tuple[str, ...]:
        """Keys of figures that nobody has re-read in their source."""
        return tuple(key for key, figure in self.figures.items() if not figure.verified)

    def rate(self, precision: str) -> float:
        """Return the peak dense rate of a precision.

        Parameters
        ----------
        precision : str
            One of :data:`PRECISIONS`.

        Returns
        -------
        float
            Never another precision's rate. [FLOP/s]

        Raises
        ------
        PrecisionError
            The device has no rate for it.

        Examples
        --------
        >>> from planner.hardware import load_device
        >>> load_device("h100-sxm").rate("bf16")
        989400000000000.0
        """
        if precision not in self.rates:
            raise PrecisionError(
                f"{self.name} has no {precision} rate",
                where=f"{self.id}: rates",
                got=precision,
                allowed=", ".join(self.rates),
                fix="Choose a precision that the device computes in.",
            )
        return self.rates[precision]

    def ridge_flop_per_byte(self, precision: str) -> float:
        """Return the arithmetic intensity at which rate and bandwidth balance.

        Parameters
        ----------
        precision : str
            One of :data:`PRECISIONS`.

        Returns
        -------
        float
            Rate over bandwidth. [FLOP/byte]

        Raises
        ------
        PrecisionError
            The device has no rate for it.

        References
        ----------
        williams-2009

        Examples
        --------
        >>> from planner.hardware import load_device
        >>> round(load_device("h100-sxm").ridge_flop_per_byte("bf16"), 1)
        295.3
        """
        return self.rate(precision) / self.memory_bandwidth_bytes_per_s

    def explain(self, key: str) -> Explanation:
        """Return where a figure of the device comes from.

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
            The device has no such figure.

        Examples
        --------
        >>> from planner.hardware import load_device
        >>> load_device("h100-sxm").explain("memory.bandwidth").substituted
        '3.35 TB/s · 1e+12 bytes/s'
        """
        return explain_figure(self.id, key, self.figures, self.sources)
