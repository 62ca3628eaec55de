"""Speed for each user against throughput of each device: the points that none beats in both."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontPoint:
    """One operating point of a replica.

    Parameters
    ----------
    deployable : int
        Place in the list of deployables.
    max_num_batched_tokens : int
        Most tokens in one step. [tokens]
    batch : float
        Decoding sequences. [1]
    tokens_per_s_per_user, tokens_per_s_per_device : float
        Output speed a user sees, and throughput of a device. [tokens/s]
    """

    deployable: int
    max_num_batched_tokens: int
    batch: float
    tokens_per_s_per_user: float
    tokens_per_s_per_device: float


def pareto(points: Iterable[FrontPoint]) -> tuple[FrontPoint, ...]:
    """Return the points that no other beats in both figures.

    Parameters
    ----------
    points : iterable of FrontPoint
        Any.

    Returns
    -------
    tuple of FrontPoint
        By speed descending, throughput ascending.
    """
    ordered = sorted(
        points, key=lambda p: (-p.tokens_per_s_per_user, -p.tokens_per_s_per_device, p.deployable)
    )
    front: list[FrontPoint] = []
    for point in ordered:
        if not front or point.tokens_per_s_per_device > front[-1].tokens_per_s_per_device:
            front.append(point)
    return tuple(front)


__all__ = ["FrontPoint", "pareto"]
