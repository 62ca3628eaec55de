"""What lives outside the device and is streamed in where a step needs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from planner.arrays import Numeric, minimum

Place = Literal["host", "nvme"]

BUFFERED_LAYERS = 2
"""Layers whose absent part has room on the device: the one at work, and the next on its way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offload:
    """Shares of weights and caches that live in host memory or on NVMe drives.

    Embedding, head and what else stands around the layers stay on the device. Of the layers, a
    share of each is absent and streamed in at every step, all experts included: the next layer is
    fetched before routing is known. Of each cache a share is absent, read at every step and
    written as it grows. Two layers' absent parts have room on the device.

    Parameters
    ----------
    weights_fraction : float
        Share of the layers' weights that is absent. [1]
    cache_fraction : float
        Share of the caches that is absent. [1]
    to : {"host", "nvme"}
        Where it lives.
    bandwidth_bytes_per_s : float, optional
        What one device draws from there; the peak of its link to the host without it. [bytes/s]
    capacity_bytes : int, optional
        Room there on one host; what is known of the node without it. [bytes]
    """

    weights_fraction: float = 0.0
    cache_fraction: float = 0.0
    to: Place = "host"
    bandwidth_bytes_per_s: float | None = None
    capacity_bytes: int | None = None

    def __bool__(self) -> bool:
        """Return whether anything lives elsewhere."""
        return self.weights_fraction > 0 or self.cache_fraction > 0

    def absent_weights_bytes(self, layers_bytes: int) -> int:
        """Return how much of the layers' weights lives elsewhere.

        Parameters
        ----------
        layers_bytes : int
            Weights of the layers of one rank. [bytes]

        Returns
        -------
        int
            Rounded down. [bytes]

        Examples
        --------
        >>> Offload(weights_fraction=0.5).absent_weights_bytes(1001)
        500
        """
        return int(layers_bytes * self.weights_fraction)

    def absent_cache_bytes(self, cache_bytes: Numeric) -> Numeric:
        """Return how much of a cache lives elsewhere.

        Parameters
        ----------
        cache_bytes : numeric
            All of it. [bytes]

        Returns
        -------
        numeric
            Rounded down. [bytes]

        Examples
        --------
        >>> Offload(cache_fraction=0.75).absent_cache_bytes(1000)
        750.0
        """
        return cache_bytes * self.cache_fraction // 1 if self.cache_fraction else 0

    def freed_bytes(self, absent_bytes: Numeric, largest_bytes: Numeric) -> Numeric:
        """Return what the device gains.

        Parameters
        ----------
        absent_bytes : numeric
            What lives elsewhere. [bytes]
        largest_bytes : numeric
            Absent part of the largest layer. [bytes]

        Returns
        -------
        numeric
            What is absent, less the room for two layers of it. [bytes]

        Examples
        --------
        >>> Offload(weights_fraction=1.0).freed_bytes(1000, 100)
        800
        """
        return absent_bytes - minimum(absent_bytes, BUFFERED_LAYERS * largest_bytes)


ON_DEVICE = Offload()
