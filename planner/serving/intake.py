"""Where a replica's next request comes from: a list of times, or users who were answered."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from math import inf
from typing import Protocol

from planner.serving.workload import Requests


class Intake(Protocol):
    """The requests still to come."""

    next_s: float

    def take(self) -> int:
        """Return the index of the next request, and go on to the one after it."""
        ...

    def answered(self, now_s: float) -> None:
        """Hear that a request is done."""
        ...


class OpenIntake:
    """Requests at given times.

    Parameters
    ----------
    arrival_s : list of float
        Ascending. [s]
    """

    __slots__ = ("_arrival_s", "_at", "next_s")

    def __init__(self, arrival_s: list[float]) -> None:
        self._arrival_s = arrival_s
        self._at = 0
        self.next_s = arrival_s[0] if arrival_s else inf

    def take(self) -> int:
        """Return the index of the next request."""
        at = self._at
        self._at = at + 1
        self.next_s = self._arrival_s[at + 1] if at + 1 < len(self._arrival_s) else inf
        return at

    def answered(self, now_s: float) -> None:
        """Do nothing: nobody waits."""


class ClosedIntake:
    """Requests of users who send the next when the last is answered and thought about.

    Parameters
    ----------
    users : int
        How many. [1]
    think_s : list of float
        Thought before each request. [s]
    """

    __slots__ = ("_coming", "_sent", "_think_s", "arrival_s", "next_s")

    def __init__(self, users: int, think_s: list[float]) -> None:
        first = min(users, len(think_s))
        self._think_s = think_s
        self._coming = [(think_s[i], i) for i in range(first)]
        heapify(self._coming)
        self._sent = first
        self.arrival_s = [0.0] * len(think_s)
        self.next_s = self._coming[0][0] if self._coming else inf

    def take(self) -> int:
        """Return the index of the next request."""
        time, index = heappop(self._coming)
        self.arrival_s[index] = time
        self.next_s = self._coming[0][0] if self._coming else inf
        return index

    def answered(self, now_s: float) -> None:
        """Let a user think, and send again."""
        if self._sent < len(self._think_s):
            heappush(self._coming, (now_s + self._think_s[self._sent], self._sent))
            self._sent += 1
            self.next_s = self._coming[0][0]


def intake_of(requests: Requests, request_s: float = 0.0) -> OpenIntake | ClosedIntake:
    """Return the intake of a stream of requests.

    Parameters
    ----------
    requests : Requests
        The stream.
    request_s : float
        From the arrival of a request until the engine has it. [s]

    Returns
    -------
    OpenIntake or ClosedIntake
        As its arrivals are.
    """
    if requests.arrival_s is not None:
        return OpenIntake((requests.arrival_s + request_s).tolist())
    assert requests.think_s is not None
    assert requests.users is not None
    return ClosedIntake(requests.users, (requests.think_s + request_s).tolist())


__all__ = ["ClosedIntake", "Intake", "OpenIntake", "intake_of"]
