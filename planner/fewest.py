"""The fewest devices that hold a load, over every layout that a model admits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from planner.arrays import ceil_div
from planner.cost.limits import most_sequences
from planner.deployment import Deployment, rank_memory
from planner.layouts import SIZES, flag_of
from planner.model import Layout, Model

_MOST_JOINED = 64
"""Devices that depend on one another, at most."""


@dataclass(frozen=True, slots=True)
class Fewest:
    """The fewest devices that hold a load, and their layout."""

    layout: Layout

    @property
    def devices(self) -> int:
        """How many. [1]."""
        return self.layout.devices

    @property
    def sizes(self) -> str:
        """The layout for people: tensor-parallel ranks, replicas, and what else there is."""
        layout = self.layout
        further = {name: size for name in ("pp", "ep") if (size := getattr(layout, name)) > 1}
        sizes = {"tp": layout.tp, **further, "dp": layout.dp}
        return ", ".join(f"{name} {size}" for name, size in sizes.items())

    def flags(self, given: Iterable[str]) -> dict[str, int | str]:
        """Return what to put on the command line.

        Parameters
        ----------
        given : iterable of str
            Sizes that stand there already, which must be said even where they become one.

        Returns
        -------
        dict
            Flags with their values.

        Examples
        --------
        >>> Fewest(Layout(tp=2, dp=3)).flags(["pp"])
        {'--tp': 2, '--pp': 1, '--dp': 3}
        """
        said = {"tp", "dp", *given}
        sizes = ((name, getattr(self.layout, name)) for name in SIZES)
        return {flag_of(name): size for name, size in sizes if size > 1 or name in said}


def fewest_figures(found: Fewest | None) -> dict[str, int | None]:
    """Return the figures of the fewest devices as plain data.

    Parameters
    ----------
    found : Fewest or None
        None where no number of devices is enough.

    Returns
    -------
    dict
        Devices, and the sizes of their layout. [1]

    Examples
    --------
    >>> fewest_figures(Fewest(Layout(tp=2, dp=3)))["fewest_devices"]
    6
    """
    sizes = ("tp", "pp", "dp", "ep")
    return {
        "fewest_devices": found.devices if found else None,
        **{f"fewest_devices_{n}": getattr(found.layout, n) if found else None for n in sizes},
    }


def fewest_devices(deployment: Deployment) -> Fewest | None:
    """Return the fewest devices of this kind that hold the load.

    Every product of tensor-parallel ranks, pipeline stages and data-parallel ranks that share the
    experts is tried, at most 64 devices that depend on one another, and as many copies of it as the
    sequences need.

    Parameters
    ----------
    deployment : Deployment
        Model, device, formats and load.

    Returns
    -------
    Fewest or None
        The fewest devices; of equals that with fewer that depend on one another, then with more
        tensor-parallel ranks. None where no layout holds one sequence.
    """
    search = _Search(deployment)
    best: Layout | None = None
    for devices in range(1, _MOST_JOINED + 1):
        if best is not None and devices >= best.devices:
            break
        for layout in joined_layouts(deployment.scenario.model, devices):
            found = search.copies(layout, best.devices if best else None)
            if found is not None and (best is None or found.devices < best.devices):
                best = found
    return None if best is None else Fewest(best)


def joined_layouts(model: Model, devices: int) -> Iterator[Layout]:
    """Yield the layouts of so many devices that depend on one another.

    Parameters
    ----------
    model : Model
        The model.
    devices : int
        How many. [1]

    Yields
    ------
    Layout
        More tensor-parallel ranks first; stages next, then data-parallel ranks that share experts.

    Examples
    --------
    >>> from planner import load_model
    >>> [str(layout) for layout in joined_layouts(load_model("mixtral-8x7b"), 4)]
    ['tp 4', 'tp 2, pp 2', 'tp 2, dp 2, ep 4, attention dp 2', 'pp 4', 'pp 2, dp 2, ep 2, \
attention dp 2', 'dp 4, ep 4, attention dp 4']
    """
    for tp in _divisors(devices)[::-1]:
        for pp in _divisors(devices // tp)[::-1]:
            joined = devices // tp // pp
            layout = Layout(tp=tp, pp=pp)
            if joined > 1:
                layout = replace(layout, dp=joined, ep=tp * joined, attention_dp=joined)
            if pp <= len(model.layers) and model.admits(layout) and _shares(model, layout):
                yield layout


def _shares(model: Model, layout: Layout) -> bool:
    return layout.attention_dp == 1 or any(group == "ep" for group, _ in model.sections)


def _divisors(number: int) -> list[int]:
    return [n for n in range(1, number + 1) if number % n == 0]


class _Search:
    """How many copies of a layout a load needs, the hopeless ones told without a full sum."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._whole: dict[Layout, tuple[int, int]] = {}

    def copies(self, layout: Layout, better_than: int | None) -> Layout | None:
        """Return the layout with as many data-parallel ranks as the load needs."""
        load = self._deployment.load
        bound = self._most(layout)
        if bound == 0 or (
            better_than is not None
            and bound is not None
            and self._repeated(layout, bound).devices >= better_than
        ):
            return None
        execution = replace(self._deployment.execution, layout=layout)
        most = most_sequences(rank_memory(self._deployment.scenario, execution), load.context)
        if most.value is None:
            return layout
        return self._repeated(layout, most.value) if most.value else None

    def _repeated(self, layout: Layout, most: int) -> Layout:
        groups = ceil_div(self._deployment.load.sequences, most * layout.attention_dp)
        return replace(layout, dp=int(groups) * layout.attention_dp)

    def _most(self, layout: Layout) -> int | None:
        """Return how many sequences a rank holds if all stages were alike; None: no bound."""
        one_stage = replace(layout, pp=1)
        if one_stage not in self._whole:
            execution = replace(self._deployment.execution, layout=one_stage)
            model, context = self._deployment.scenario.model, self._deployment.load.context
            self._whole[one_stage] = (
                model.weights_bytes(execution, layout=one_stage),
                int(model.cache_bytes(context, execution, layout=one_stage)),
            )
        weights, sequence = self._whole[one_stage]
        memory = self._deployment.memory
        free = memory.capacity_bytes - memory.runtime.context_bytes
        left = free * layout.pp - weights
        if left <= 0:
            return 0
        return left // sequence if sequence else None
