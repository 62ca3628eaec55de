"""From a device's label capacity to what is left for further requests, step by step."""

from __future__ import annotations

from dataclasses import dataclass

from planner.engines.allocation import Allocation, LineItem


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the way.

    Parameters
    ----------
    item : LineItem
        What is added or taken off, and why.
    left_bytes : int
        What is left after it; negative where it is too much. [bytes]
    """

    item: LineItem
    left_bytes: int


def steps(allocation: Allocation, load_bytes: int) -> tuple[Step, ...]:
    """Return the way from the label capacity to what is left for further requests.

    Parameters
    ----------
    allocation : Allocation
        What the engine takes.
    load_bytes : int
        What the load takes of the pool, in whole blocks. [bytes]

    Returns
    -------
    tuple of Step
        In order; items of nothing are left out.
    """
    pool = allocation.pool.items()
    load = LineItem(
        name="this load",
        bytes=-load_bytes,
        rule="whole blocks of all its requests, and at least what the engine wants to start",
        versions="all",
        source=pool[0].source if pool else allocation.budget.items[-1].source,
    )
    found, left = [], 0
    for item in (*allocation.budget.items, load):
        left += item.bytes
        if item.bytes:
            found.append(Step(item, left))
    return tuple(found)
