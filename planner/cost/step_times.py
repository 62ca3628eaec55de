"""Seconds of a whole step: its operations by their calibration profiles, summed, with a band."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from planner.arrays import Numeric, maximum, minimum
from planner.cost.calibration import Calibrations, load_calibrations
from planner.cost.kind_times import STREAMED, kind_times
from planner.cost.kinship import stand_in
from planner.cost.own_times import Voice, own_assumptions
from planner.cost.roofline import FLOORS, StepCost
from planner.cost.step_rows import Entry, flat, unflat
from planner.explanation import Explanation, Term
from planner.hardware import Device
from planner.model import Execution
from planner.units import format_seconds

Implementation = Mapping[str, Mapping[str, str]]
"""By kind of operation: the ``backend``, ``version`` and ``kernel`` that run it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTimes:
    """Typical time of a step with its band.

    Deviations of operations of one kind are taken to go together, those of different kinds to be
    independent: they add within a kind, and as squares between kinds.

    Parameters
    ----------
    time_s, p10_s, p90_s : numeric
        Of the whole step. [s]
    operations_s : tuple of numeric
        Of each entry of the step's costs, occurrences counted. [s]
    at_floor : tuple of str
        Kinds without a profile, counted at their floor.
    speaks : str
        Id of the measured device whose curves are used.
    own : tuple of Voice
        What a user's own measurements of the device say in place of them.
    """

    time_s: Numeric
    p10_s: Numeric
    p90_s: Numeric
    operations_s: tuple[Numeric, ...]
    at_floor: tuple[str, ...]
    speaks: str
    own: tuple[Voice, ...] = ()


def step_times(
    costs: Sequence[StepCost], execution: Execution, implementation: Implementation | None = None
) -> tuple[StepTimes, ...] | None:
    """Return the calibrated times of steps on one device, predicted together.

    Parameters
    ----------
    costs : sequence of StepCost
        Operations of each step with their floors; the fields of a step may be arrays.
    execution : Execution
        Formats and layout that the operations were made with.
    implementation : mapping, optional
        Which engine's kernels run each kind; the most measured ones without it.

    Returns
    -------
    tuple of StepTimes or None
        One per step; None where no device of the vendor was measured: only floors are known.

    Examples
    --------
    >>> from planner.cost.roofline import step_cost
    >>> from planner.cost.links import Links
    >>> from planner.hardware import load_device
    >>> from planner.importers import load_model
    >>> from planner.model import Step
    >>> from planner.model.execution import half
    >>> model, device = load_model("llama-3.1-8b"), load_device("h100-sxm")
    >>> cost = step_cost(model, Step.decode(16, 4096), half(), device, Links())
    >>> (found,) = step_times([cost], half())
    >>> bool(cost.floor_s < found.p10_s < found.time_s < found.p90_s)
    True
    """
    profiles = load_calibrations()
    device = costs[0].device
    speaks = _speaker(device, profiles)
    if speaks is None:
        return None
    sizes = [_size(cost) for cost in costs]
    groups: dict[str, list[tuple[int, int, Entry]]] = {}
    for number, cost in enumerate(costs):
        for at, item in enumerate(cost.operations):
            own = item.operation.kind
            kind: str = "elementwise" if own in STREAMED else own
            groups.setdefault(kind, []).append((number, at, Entry(item, sizes[number])))
    sums = [_Sum(len(cost.operations)) for cost in costs]
    for kind, members in groups.items():
        entries = [entry for _, _, entry in members]
        by = (implementation or {}).get(kind, {})
        found = kind_times(kind, entries, device, execution, profiles, by)
        bands = found.bands * flat(entries, [entry.item.count for entry in entries])
        for (number, at, _), band in zip(members, unflat(entries, bands), strict=True):
            sums[number].add(kind, at, band)
            sums[number].own.update(dict.fromkeys(found.own))
            if found.at_floor:
                sums[number].at_floor.setdefault(kind)
    return tuple(total.times(speaks, cost.floor_s) for total, cost in zip(sums, costs, strict=True))


class _Sum:
    """The growing sum of one step."""

    def __init__(self, operations: int) -> None:
        self.seconds: list[Numeric] = [0.0] * operations
        self.at_floor: dict[str, None] = {}
        self.own: dict[Voice, None] = {}
        self._low: dict[str, Numeric] = {}
        self._high: dict[str, Numeric] = {}

    def add(self, kind: str, at: int, band: Iterable[Numeric]) -> None:
        """Add an operation: time, p10 and p90 of all its occurrences."""
        time_s, low_s, high_s = band
        self.seconds[at] = time_s
        self._low[kind] = self._low.get(kind, 0.0) + time_s - low_s
        self._high[kind] = self._high.get(kind, 0.0) + high_s - time_s

    def times(self, speaks: str, floor_s: Numeric) -> StepTimes:
        """The step with its band, whose lower end is no faster than the hardware."""
        total = sum(self.seconds)
        low, high = (
            sum(part**2 for part in parts.values()) ** 0.5 for parts in (self._low, self._high)
        )
        return StepTimes(
            time_s=_plain(total),
            p10_s=_plain(maximum(total - low, minimum(floor_s, total))),
            p90_s=_plain(total + high),
            operations_s=tuple(_plain(value) for value in self.seconds),
            at_floor=tuple(self.at_floor),
            speaks=speaks,
            own=tuple(self.own),
        )


def _plain(value: Numeric) -> Numeric:
    return value if isinstance(value, np.ndarray) else float(value)


def _size(cost: StepCost) -> tuple[int, ...]:
    """Grid of a step: what its fields broadcast to."""
    step = cost.step
    if all(isinstance(x, (int, float)) for x in (step.batch, step.new_tokens, step.cached_tokens)):
        return ()
    return np.broadcast(step.batch, step.new_tokens, step.cached_tokens).shape


def time_assumptions(
    cost: StepCost, times: StepTimes | None, further: StepTimes | None = None
) -> tuple[str, ...]:
    """Return what the times of a step take for granted.

    Parameters
    ----------
    cost : StepCost
        The step.
    times : StepTimes or None
        Its calibrated times, if any.
    further : StepTimes, optional
        Those of another step on the same device, of which the same is said.

    Returns
    -------
    tuple of str
        Which profile speaks, or that times are floors; what has no profile; how bands add up.
    """
    device = cost.device
    if times is None:
        return (f"No calibration profile covers {device.name}. {FLOORS}",)
    said = [
        f"Times come from calibration profiles measured on {times.speaks}, kernels captured in "
        "graphs, operations one after another; floor_s is the same step at efficiency 1."
    ]
    steps = (times, further) if further else (times,)
    voices = dict.fromkeys(voice for step in steps for voice in step.own)
    said += own_assumptions(device.measured, tuple(voices))
    if times.speaks != device.id:
        said.append(
            f"Nobody measured {device.name} for these profiles: the efficiencies of its next of "
            f"kin, {times.speaks}, stand in on its own spec sheet, with a wider band."
        )
    at_floor = dict.fromkeys(kind for step in steps for kind in step.at_floor)
    if at_floor:
        kinds = ", ".join(at_floor)
        said.append(f"No profile knows operations of kind {kinds}: they count at their floor.")
    said.append(
        "Bands of operations of one kind are taken to deviate together, those of different kinds "
        "independently."
    )
    return tuple(said)


def explain_times(cost: StepCost, times: StepTimes, figure: str) -> Explanation:
    """Return how a calibrated time of a step came about.

    Parameters
    ----------
    cost : StepCost
        The step.
    times : StepTimes
        Its times.
    figure : {"time_s", "time_p10_s", "time_p90_s"}
        Which of them.

    Returns
    -------
    Explanation
        With one term per operation.
    """
    value = {"time_s": times.time_s, "time_p10_s": times.p10_s, "time_p90_s": times.p90_s}[figure]
    return Explanation(
        figure=figure,
        meaning="Time of the step as measured kernels take it, with the band of their scatter.",
        formula="Σ over operations: occurrences · (launches · t0 + ((FLOP/(e_c·rate))^p + "
        "(bytes/(e_m·bandwidth))^p)^(1/p)) · exp(Σ correction curves), never below the floor",
        substituted=f"{len(cost.operations)} operations by the profiles of {times.speaks}; p10 "
        f"{format_seconds(times.p10_s)}, p90 {format_seconds(times.p90_s)}, floor "
        f"{format_seconds(float(cost.floor_s))}",
        value=float(value),
        unit="s",
        terms=tuple(
            Term(
                label=f"{item.layer} · {item.operation.name}",
                value=float(seconds),
                detail=f"{item.count} × {format_seconds(seconds / item.count)}, floor "
                f"{format_seconds(item.floor_s / item.count)}",
            )
            for item, seconds in zip(cost.operations, times.operations_s, strict=True)
        ),
        sources=("williams-2009",),
    )


def _speaker(device: Device, profiles: Calibrations) -> str | None:
    found = stand_in(device, profiles.measured)
    if found is None and device.measured is not None:
        return device.id
    return found.id if found else None
