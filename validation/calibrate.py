"""Fit a profile on half of a record's times, and report its error on the other half.

The halves are chosen by the hash of the row before any time is looked at: within each group the
rows are sorted by their hash, and every second one is fitted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from planner.errors import ScenarioError
from planner.hardware import load_device
from planner.hardware.measurements import SCHEMA_VERSION, MeasuredTime, Origin
from validation.cases import COLLECTIVE_KINDS, STEP_KINDS
from validation.efficiency import (
    Efficiency,
    Errors,
    Group,
    Key,
    Terms,
    key_of,
    seconds_of,
    terms_of,
    wider,
)
from validation.observation import Observation, from_record
from validation.plan_times import plan_times
from validation.profile import Profile, Split
from validation.record import Record, file_hash

RULE = (
    "within each kind, kernel, dtype and regime, rows in the order of the SHA-256 of their case; "
    "the first, third, … are fitted, the others tested"
)
_NORMS = (1.0, 1.5, 2.0, 4.0, 16.0)
_ROUNDS = 6
_GRID = 9
# What is assumed before any row of a kind is seen, and how many rows each part of it is worth:
# kernels differ in how fast they are, less in what holds them up, least in the cost of a launch.
_TYPICAL = Efficiency(overhead_s=0.0, compute_fraction=0.7, memory_fraction=0.8, norm=2.0)
_AS_ALONE = Efficiency(overhead_s=0.0, compute_fraction=1.0, memory_fraction=1.0, norm=1.0)
_OF_SCALE, _OF_BALANCE, _OF_NORM = 0.1, 0.1, 0.1
# What an operation takes however small is a matter of launches, on any device; what a message
# takes is a matter of the network.
_MOST_OVERHEAD_S = 100e-6
_MOST_LATENCY_S = 10e-3
_ROWS_FOR_A_BAND = 10


def usable(observations: Sequence[Observation]) -> list[Observation]:
    """Return the rows that a fit or a test can use.

    Parameters
    ----------
    observations : sequence of Observation
        All rows.

    Returns
    -------
    list of Observation
        Those with a time and a floor.
    """
    return [
        each
        for each in observations
        if each.measured_s and each.forecast is not None and each.forecast.floor_s
    ]


def split(observations: Sequence[Observation]) -> tuple[list[Observation], list[Observation]]:
    """Return the half to fit and the half to test, by the hash of the rows alone.

    Parameters
    ----------
    observations : sequence of Observation
        Rows with times.

    Returns
    -------
    (list of Observation, list of Observation)
        Fit and test; a group of one row is fitted.
    """
    groups: dict[Key, list[Observation]] = {}
    for each in observations:
        groups.setdefault(key_of(each), []).append(each)
    fit: list[Observation] = []
    test: list[Observation] = []
    for members in groups.values():
        ordered = sorted(members, key=lambda each: each.hash)
        fit += ordered[::2]
        test += ordered[1::2]
    return fit, test


@dataclass(slots=True)
class _Search:
    """Numbers that fit rows best, by a grid that narrows around the best point.

    The loss is the mean absolute logarithmic error, with a pull towards what is assumed before:
    rows that cannot tell a number leave it there.
    """

    terms: Terms
    measured: np.ndarray
    prior: Efficiency
    norms: tuple[float, ...]
    most_overhead_s: float

    def loss(self, overhead: Any, rate: Any, memory: Any, norm: float) -> np.ndarray:
        """Loss of candidates, one per element of the arrays."""
        counts, compute, moved = (x[None] for x in self.terms)
        columns = (x[:, None, None] for x in (overhead, rate, memory))
        predicted = seconds_of(counts, compute, moved, *columns, norm)
        off = np.abs(np.log(predicted / self.measured)).mean(axis=-1)
        prior = self.prior
        of_rate = np.log(rate / prior.compute_fraction)
        of_memory = np.log(memory / prior.memory_fraction)
        share = float((counts.sum(axis=-1) / self.measured).mean())
        moved_away = (
            _OF_SCALE * np.abs(of_rate + of_memory) / 2
            + _OF_BALANCE * np.abs(of_rate - of_memory)
            + _OF_SCALE * np.abs(overhead - prior.overhead_s) * share
            + _OF_NORM * abs(np.log(norm / prior.norm))
        )
        return np.asarray(off + moved_away / len(self.measured))

    def best(self) -> Efficiency:
        """Return the numbers with the least loss."""
        _, overhead, rate, memory, norm = min(self._best_of(norm) for norm in self.norms)
        return Efficiency(
            overhead_s=overhead, compute_fraction=rate, memory_fraction=memory, norm=norm
        )

    def _best_of(self, norm: float) -> tuple[float, float, float, float, float]:
        shortest = float((self.measured / self.terms[0].sum(axis=-1)).min())
        most = min(shortest, self.most_overhead_s)
        axes = (
            np.unique([0.0, self.prior.overhead_s, *np.geomspace(most / 300, most, 12)]),
            np.unique([self.prior.compute_fraction, *np.geomspace(0.003, 1.5, 18)]),
            np.unique([self.prior.memory_fraction, *np.geomspace(0.003, 3.0, 18)]),
        )
        for _ in range(_ROUNDS):
            grid = [axis.ravel() for axis in np.meshgrid(*axes)]
            losses = self.loss(*grid, norm)
            index = int(np.argmin(losses))
            point = [float(axis[index]) for axis in grid]
            axes = tuple(_around(*pair) for pair in zip(point, axes, strict=True))
        return (float(losses[index]), *point, norm)


def _around(value: float, axis: np.ndarray) -> np.ndarray:
    """A finer axis between the neighbours of a point, the point on it."""
    index = int(np.argmin(np.abs(axis - value)))
    low, high = axis[max(index - 1, 0)], axis[min(index + 1, len(axis) - 1)]
    fine = np.linspace(low, high, _GRID) if low == 0 else np.geomspace(low, high, _GRID)
    return np.unique(np.append(fine, value))


def fit_group(
    key: Key, members: Sequence[Observation], above: Group | None, alone: Sequence[Group] = ()
) -> Group:
    """Fit the four numbers on rows of one group.

    Parameters
    ----------
    key : tuple of str
        Kind, kernel, dtype and regime that the group stands for.
    members : sequence of Observation
        Rows to fit.
    above : Group or None
        The wider group, whose numbers are assumed before.
    alone : sequence of Group
        Groups of single operations, of which a step is made.

    Returns
    -------
    Group
        With the band of its residuals, which is never narrower than the wider group's is for
        few rows.
    """
    terms = terms_of(members, alone)
    measured = np.array([each.measured_s for each in members], dtype=float)
    step = key[0] in STEP_KINDS
    prior = above.efficiency if above else _AS_ALONE if step else _TYPICAL
    norms = (prior.norm,) if step else _NORMS
    most = _MOST_LATENCY_S if key[0] in COLLECTIVE_KINDS else _MOST_OVERHEAD_S
    efficiency = _Search(terms, measured, prior, norms, most).best()
    p10, p90 = np.percentile(measured / efficiency.seconds(terms), [10, 90])
    if above is not None and len(members) < _ROWS_FOR_A_BAND:
        p10, p90 = min(p10, above.p10_ratio), max(p90, above.p90_ratio)
    kind, kernel, dtype, where = key
    return Group(
        kind=kind,
        kernel=kernel,
        dtype=dtype,
        regime=where,
        efficiency=efficiency,
        p10_ratio=float(p10),
        p90_ratio=float(p90),
        fitted=len(members),
    )


def _groups(fit: Sequence[Observation]) -> list[Group]:
    """Every kind, then what is narrower, each from the one above it; steps on top of operations."""
    alone = _layered([each for each in fit if each.kind not in STEP_KINDS], ())
    return [*alone, *_layered([each for each in fit if each.kind in STEP_KINDS], alone)]


def _layered(fit: Sequence[Observation], alone: Sequence[Group]) -> list[Group]:
    members: dict[Key, list[Observation]] = {}
    for each in fit:
        for key in wider(key_of(each)):
            members.setdefault(key, []).append(each)
    found: dict[Key, Group] = {}
    for key in sorted(members, key=lambda key: sum(map(bool, key))):
        rows = members[key]
        above = next((found[each] for each in wider(key)[1:] if each in found), None)
        if above is not None and above.fitted == len(rows) and key[2]:
            continue  # a kernel that was run in one dtype or regime only
        found[key] = fit_group(key, rows, above, alone)
    return list(found.values())


def errors_of(profile: Profile | None, observations: Sequence[Observation]) -> Errors | None:
    """Return the errors of predictions on rows.

    Parameters
    ----------
    profile : Profile or None
        Floors without one.
    observations : sequence of Observation
        Rows with times.

    Returns
    -------
    Errors or None
        None where no row can be predicted.
    """
    off, inside = [], []
    for each in observations:
        said = profile.seconds(each) if profile else None
        if said is None or not each.measured_s:
            continue
        off.append(abs(said[0] / each.measured_s - 1))
        inside.append(said[1] <= each.measured_s <= said[2])
    if not off:
        return None
    median, p90 = np.percentile(off, [50, 90])
    return Errors(
        rows=len(off),
        median_fraction=round(float(median), 4),
        p90_fraction=round(float(p90), 4),
        in_band_fraction=round(float(np.mean(inside)), 4),
    )


def calibrate(record: Record, source: Path, spec: str | None = None) -> Profile:
    """Fit a profile on half of a record's times and test it on the other half.

    Parameters
    ----------
    record : Record
        The record.
    source : pathlib.Path
        Its file, whose hash is kept.
    spec : str, optional
        Id or YAML file of the device, where the record names none.

    Returns
    -------
    Profile
        With the split, and the errors on the untouched half by kind and over all.

    Raises
    ------
    ScenarioError
        The record has too few times that the planner has a floor for, or is of another device.
    """
    record = _of_device(record, source, spec)
    observations = usable(from_record(record))
    fit, test = split(observations)
    if not test:
        raise ScenarioError(
            "too few times to fit some and test others",
            where=str(source),
            got=f"{len(observations)} rows with a time and a floor",
            fix="Run more cases into the same record.",
        )
    profile = Profile(
        schema_version=SCHEMA_VERSION,
        origin=_origin(record, source),
        times=_times(record, observations),
        split=Split(
            rule=RULE,
            fit=tuple(sorted(each.hash for each in fit)),
            test=tuple(sorted(each.hash for each in test)),
        ),
        groups=tuple(_groups(fit)),
        errors={},
    )
    return _tested(profile, test)


def _of_device(record: Record, source: Path, spec: str | None) -> Record:
    """The record with the device that somebody names for it."""
    if spec is None:
        return record
    device, environment = load_device(spec), record.environment
    known = environment.spec_id and load_device(environment.spec_id).id
    if known not in (None, device.id):
        raise ScenarioError(
            "the record is of another device", where=f"{source}: spec_id", got=known,
            allowed=device.id, fix="Leave --spec away.",
        )  # fmt: skip
    return record.model_copy(
        update={"environment": environment.model_copy(update={"spec_id": spec})}
    )


def _origin(record: Record, source: Path) -> Origin:
    environment = record.environment
    spec_id = environment.spec_id
    return Origin(
        record=source.name,
        sha256=file_hash(source),
        created=record.created,
        benchmark_version=record.benchmark_version,
        device=environment.device_name,
        spec_id=None if spec_id is None else load_device(spec_id).id,
        torch=environment.torch,
        triton=environment.triton,
        driver=environment.driver,
        planner=environment.planner,
    )


def _times(record: Record, observations: Sequence[Observation]) -> tuple[MeasuredTime, ...]:
    """Those of a device; nothing is planned for a host's processor."""
    if record.environment.spec_id is None:
        return ()
    return plan_times(observations, record.environment.backend)


def _tested(profile: Profile, test: Sequence[Observation]) -> Profile:
    errors: dict[str, Errors] = {}
    for kind in ("all", *dict.fromkeys(each.kind for each in test)):
        rows = [each for each in test if kind in ("all", each.kind)]
        found = errors_of(profile, rows)
        if found is not None:
            errors[kind] = found
    groups = []
    for group in profile.groups:
        rows = [each for each in test if profile.group(each) is group]
        of_group = errors_of(profile, rows)
        groups.append(group.model_copy(update={"errors": of_group}))
    return profile.model_copy(update={"errors": errors, "groups": tuple(groups)})
