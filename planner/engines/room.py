"""From a device's capacity to what is left for caches, for engines that only subtract."""

from __future__ import annotations

from collections.abc import Sequence

from planner.cost.activations import activation_peak
from planner.engines.allocation import Budget, LineItem
from planner.engines.engine import Site


def capacity_items(site: Site, source: str) -> tuple[LineItem, ...]:
    """Return what stands on a device's label, and what of it no program sees.

    Parameters
    ----------
    site : Site
        Gives the device.
    source : str
        Whose rules these are.

    Returns
    -------
    tuple of LineItem
        Two items.
    """
    device = site.hardware.device
    label, visible = device.vendor_capacity_bytes, device.capacity_bytes
    return (
        item("label capacity", label, "as the vendor prints it", source),
        item("driver", visible - label, "what a program does not see", source),
    )


def step_bytes(site: Site, tokens: int, rows: int) -> int:
    """Return the activations of a step.

    Parameters
    ----------
    site : Site
        Model and formats.
    tokens, rows : int
        Tokens, and rows of logits. [tokens], [1]

    Returns
    -------
    int
        Residual stream and the widest operation or the logits. [bytes]
    """
    return int(activation_peak(site.model, site.execution).bytes(tokens, rows))


def room_left(
    site: Site,
    items: Sequence[LineItem],
    *,
    weights_bytes: int,
    activations_bytes: int,
    runtime_bytes: int,
) -> Budget:
    """Return the budget that line items add up to, or the one of a pool that was given.

    Parameters
    ----------
    site : Site
        Gives the pool where a person gave it.
    items : sequence of LineItem
        From the label capacity down.
    weights_bytes, activations_bytes, runtime_bytes : int
        What the engine takes. [bytes]

    Returns
    -------
    Budget
        Its items add up to the pool.
    """
    pool = sum(each.bytes for each in items)
    given = site.settings.kv_pool_bytes
    rest = () if given is None else (item("not used", given - pool, "the pool was given", ""),)
    return Budget(
        items=(*items, *rest),
        weights_bytes=weights_bytes,
        activations_bytes=activations_bytes,
        runtime_bytes=runtime_bytes,
        graphs_bytes=0,
        pool_bytes=pool if given is None else given,
    )


def item(name: str, size: int, rule: str, source: str, versions: str = "all") -> LineItem:
    """Return a line item.

    Parameters
    ----------
    name : str
        What it is.
    size : int
        Negative where it is taken. [bytes]
    rule : str
        How it comes about.
    source : str
        Where the rule is from.
    versions : str
        Versions of which it holds.

    Returns
    -------
    LineItem
        The item.
    """
    return LineItem(name=name, bytes=size, rule=rule, versions=versions, source=source)
