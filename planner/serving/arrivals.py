"""When requests come: at random, in bursts, from users who wait, or as recorded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from planner.errors import ScenarioError

Seconds = NDArray[np.float64]


class Arrivals(Protocol):
    """An open arrival process: requests come whether or not others are done."""

    @property
    def rate_per_s(self) -> float:
        """Mean requests per second. [1/s]."""
        ...

    @property
    def cv2(self) -> float:
        """Squared coefficient of variation of the time between requests. [1]."""
        ...

    def times(self, generator: np.random.Generator, size: int) -> Seconds:
        """Return the times of the first requests, ascending. [s]."""
        ...

    def scaled(self, factor: float) -> Arrivals:
        """Return the same process at a multiple of its rate."""
        ...


@dataclass(frozen=True, slots=True)
class Poisson:
    """Independent requests at a constant rate.

    Parameters
    ----------
    rate_per_s : float
        Mean requests per second. [1/s]
    """

    rate_per_s: float

    def __post_init__(self) -> None:
        _positive(self.rate_per_s, "rate")

    @property
    def cv2(self) -> float:
        """Squared coefficient of variation of the gaps. [1]."""
        return 1.0

    def times(self, generator: np.random.Generator, size: int) -> Seconds:
        """Return the times of the first requests.

        Parameters
        ----------
        generator : numpy.random.Generator
            Source of randomness.
        size : int
            How many. [1]

        Returns
        -------
        array, shape (size,)
            Ascending. [s]
        """
        return np.cumsum(generator.exponential(1 / self.rate_per_s, size))

    def scaled(self, factor: float) -> Poisson:
        """Return the process at a multiple of its rate.

        Parameters
        ----------
        factor : float
            Multiple. [1]

        Returns
        -------
        Poisson
            The faster or slower process.
        """
        return Poisson(self.rate_per_s * factor)


@dataclass(frozen=True, slots=True)
class Bursty:
    """Requests with gamma-distributed gaps, more irregular than Poisson where ``cv2`` exceeds 1.

    Parameters
    ----------
    rate_per_s : float
        Mean requests per second. [1/s]
    cv2 : float
        Squared coefficient of variation of the gaps; 1 is Poisson, 0 a fixed gap. [1]
    """

    rate_per_s: float
    cv2: float

    def __post_init__(self) -> None:
        _positive(self.rate_per_s, "rate")
        if not 0 <= self.cv2 <= 1000:
            raise ScenarioError("out of range", where="cv2", got=self.cv2, allowed="0 to 1,000")

    def times(self, generator: np.random.Generator, size: int) -> Seconds:
        """Return the times of the first requests.

        Parameters
        ----------
        generator : numpy.random.Generator
            Source of randomness.
        size : int
            How many. [1]

        Returns
        -------
        array, shape (size,)
            Ascending. [s]
        """
        mean = 1 / self.rate_per_s
        if self.cv2 == 0:
            return mean * np.arange(1, size + 1, dtype=np.float64)
        return np.cumsum(generator.gamma(1 / self.cv2, mean * self.cv2, size))

    def scaled(self, factor: float) -> Bursty:
        """Return the process at a multiple of its rate.

        Parameters
        ----------
        factor : float
            Multiple. [1]

        Returns
        -------
        Bursty
            With the same irregularity.
        """
        return Bursty(self.rate_per_s * factor, self.cv2)


@dataclass(frozen=True, slots=True)
class TwoStates:
    """Poisson requests whose rate jumps between a calm and a busy state (MMPP).

    Parameters
    ----------
    calm_per_s, busy_per_s : float
        Rates of the two states. [1/s]
    calm_s, busy_s : float
        Mean stay in each. [s]
    """

    calm_per_s: float
    busy_per_s: float
    calm_s: float
    busy_s: float

    def __post_init__(self) -> None:
        _positive(self.busy_per_s, "busy rate")
        _positive(self.calm_per_s, "calm rate")
        _positive(self.calm_s, "stay in the calm state")
        _positive(self.busy_s, "stay in the busy state")

    @property
    def rate_per_s(self) -> float:
        """Mean requests per second. [1/s]."""
        whole = self.calm_s + self.busy_s
        return (self.calm_per_s * self.calm_s + self.busy_per_s * self.busy_s) / whole

    @property
    def cv2(self) -> float:
        """Limit of variance over mean of counts, which long queues see. [1]."""
        whole = self.calm_s + self.busy_s
        spread = (self.busy_per_s - self.calm_per_s) ** 2
        return 1 + 2 * spread * (self.calm_s * self.busy_s) ** 2 / (whole**3 * self.rate_per_s)

    def times(self, generator: np.random.Generator, size: int) -> Seconds:
        """Return the times of the first requests.

        Parameters
        ----------
        generator : numpy.random.Generator
            Source of randomness.
        size : int
            How many. [1]

        Returns
        -------
        array, shape (size,)
            Ascending. [s]
        """
        found: list[Seconds] = []
        start, count, busy = 0.0, 0, False
        while count < size:
            stay = generator.exponential(self.busy_s if busy else self.calm_s)
            rate = self.busy_per_s if busy else self.calm_per_s
            here = np.sort(start + stay * generator.random(generator.poisson(rate * stay)))
            found.append(here)
            start, count, busy = start + stay, count + here.size, not busy
        return np.concatenate(found)[:size]

    def scaled(self, factor: float) -> TwoStates:
        """Return the process at a multiple of its rates.

        Parameters
        ----------
        factor : float
            Multiple. [1]

        Returns
        -------
        TwoStates
            With the same stays.
        """
        return TwoStates(
            self.calm_per_s * factor, self.busy_per_s * factor, self.calm_s, self.busy_s
        )


@dataclass(frozen=True, slots=True)
class Replay:
    """Requests at recorded times, again and again where more are asked for.

    Parameters
    ----------
    recorded_s : tuple of float
        Ascending times from 0. [s]
    speed : float
        How much faster than recorded. [1]
    """

    recorded_s: tuple[float, ...]
    speed: float = 1.0

    def __post_init__(self) -> None:
        if len(self.recorded_s) < 2 or self.recorded_s[-1] <= self.recorded_s[0]:
            raise ScenarioError("needs requests at two times at least", where="trace")
        _positive(self.speed, "speed")

    @property
    def period_s(self) -> float:
        """From one repetition to the next: the record and one mean gap. [s]."""
        count = len(self.recorded_s)
        return (self.recorded_s[-1] - self.recorded_s[0]) * count / (count - 1) / self.speed

    @property
    def rate_per_s(self) -> float:
        """Mean requests per second. [1/s]."""
        return len(self.recorded_s) / self.period_s

    @property
    def cv2(self) -> float:
        """Squared coefficient of variation of the gaps. [1]."""
        gaps = np.diff(np.array(self.recorded_s))
        return float(gaps.var() / gaps.mean() ** 2)

    def times(self, generator: np.random.Generator, size: int) -> Seconds:
        """Return the times of the first requests.

        Parameters
        ----------
        generator : numpy.random.Generator
            Not used.
        size : int
            How many. [1]

        Returns
        -------
        array, shape (size,)
            Ascending. [s]
        """
        own = (np.array(self.recorded_s) - self.recorded_s[0]) / self.speed
        rounds = -(-size // own.size)
        starts = self.period_s * np.arange(rounds)[:, np.newaxis]
        return (starts + own[np.newaxis, :]).ravel()[:size]

    def scaled(self, factor: float) -> Replay:
        """Return the record at a multiple of its speed.

        Parameters
        ----------
        factor : float
            Multiple. [1]

        Returns
        -------
        Replay
            The same requests, closer or further apart.
        """
        return Replay(self.recorded_s, self.speed * factor)


@dataclass(frozen=True, slots=True)
class ClosedLoop:
    """A fixed number of users, each of whom waits for the answer, thinks, and asks again.

    Parameters
    ----------
    users : int
        How many; with no thinking, the concurrency of a benchmark. [1]
    think_s : float
        Mean time between an answer and the next request. [s]
    fixed : bool
        Whether everyone thinks equally long; else the time is exponential.
    """

    users: int
    think_s: float = 0.0
    fixed: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.users <= 2**24:
            raise ScenarioError("out of range", where="users", got=self.users, allowed="1 to 2^24")
        if not 0 <= self.think_s < 1e9:
            raise ScenarioError("out of range", where="think time", got=self.think_s)

    def thinking(self, generator: np.random.Generator, size: int) -> Seconds:
        """Return how long each request is thought about before it is sent.

        Parameters
        ----------
        generator : numpy.random.Generator
            Source of randomness.
        size : int
            How many. [1]

        Returns
        -------
        array, shape (size,)
            In the order of sending. [s]
        """
        if self.fixed or self.think_s == 0:
            return np.full(size, self.think_s)
        return generator.exponential(self.think_s, size)


def _positive(value: float, where: str) -> None:
    if not 0 < value < 1e12:
        raise ScenarioError("not a positive number", where=where, got=value)


__all__ = ["Arrivals", "Bursty", "ClosedLoop", "Poisson", "Replay", "TwoStates"]
