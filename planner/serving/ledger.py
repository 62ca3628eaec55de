"""What a simulated replica writes down: times of each request, and its state over time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_MOST_SAMPLES = 1024
_COLUMNS = 5


class Ledger:
    """Times of each request and running integrals, sampled as the run goes on.

    Parameters
    ----------
    requests : int
        How many. [1]
    """

    __slots__ = (
        "_next",
        "_samples",
        "_spacing_s",
        "admitted_s",
        "blocks_s",
        "busy_s",
        "finish_s",
        "first_token_s",
        "preemptions",
        "running_s",
    )

    def __init__(self, requests: int) -> None:
        self.admitted_s = [-1.0] * requests
        self.first_token_s = [-1.0] * requests
        self.finish_s = [-1.0] * requests
        self.busy_s = self.running_s = self.blocks_s = 0.0
        self.preemptions = 0
        self._samples: list[tuple[float, ...]] = []
        self._spacing_s = 0.0
        self._next = 0.0

    def spend(self, now_s: float, seconds: float, running: int, blocks: float) -> None:
        """Add a stretch of time during which nothing changed but the growth of caches."""
        if running:
            self.busy_s += seconds
        self.running_s += seconds * running
        self.blocks_s += seconds * blocks
        if now_s >= self._next:
            self._sample(now_s, running, blocks)

    def _sample(self, now_s: float, running: int, blocks: float) -> None:
        samples = self._samples
        samples.append((now_s, self.running_s, self.blocks_s, running, blocks))
        if len(samples) == _MOST_SAMPLES:
            del samples[1::2]
            self._spacing_s = (samples[-1][0] - samples[0][0]) / len(samples)
        self._next = now_s + self._spacing_s

    def history(self) -> History:
        """Return the samples.

        Returns
        -------
        History
            State and running integrals over time.
        """
        table = np.array(self._samples, dtype=np.float64).reshape(-1, _COLUMNS)
        return History(*table.T)


@dataclass(frozen=True, slots=True)
class History:
    """State of a replica over time; every field has shape (samples,).

    Parameters
    ----------
    time_s : array
        When. [s]
    running_s, blocks_s : array
        Integrals over time up to then: of sequences in flight and of blocks taken. [s]
    running, blocks : array
        What they were then. [1]
    """

    time_s: Floats
    running_s: Floats
    blocks_s: Floats
    running: Floats
    blocks: Floats

    def mean(self, integral: Floats, start_s: float, end_s: float) -> float:
        """Return the mean of a state over a window.

        Parameters
        ----------
        integral : array
            One of the integrals. [s]
        start_s, end_s : float
            The window. [s]

        Returns
        -------
        float
            Mean over time. [1]
        """
        if end_s <= start_s or self.time_s.size < 2:
            return float("nan")
        low, high = np.interp([start_s, end_s], self.time_s, integral)
        return float((high - low) / (end_s - start_s))


__all__ = ["History", "Ledger"]
