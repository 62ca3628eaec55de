"""Which times of a record plans may speak from: the fastest kernel of each operation."""

from __future__ import annotations

from collections.abc import Sequence

from planner.cost.calibration import load_calibrations
from planner.cost.efficiency import own_voices
from planner.cost.own_times import Voice
from planner.cost.work import SHAPE_COLUMNS
from planner.hardware import Device, Measurements
from planner.hardware.measurements import MeasuredTime
from validation.observation import Observation
from validation.profile import Profile

_NCCL = ("nccl", "nccl:NCCL")
"""Backend and kernel under which tables list what PyTorch sends over NCCL."""

_Group = tuple[str, str, str]
_Shape = tuple[tuple[str, str], ...]


def plan_times(
    observations: Sequence[Observation], backend: str | None = None
) -> tuple[MeasuredTime, ...]:
    """Return the times that plans may speak from.

    Of each operation the fastest kernel counts. A kernel that was slower than another wherever
    both ran never speaks, not even where it ran alone. Halves are dealt by the hash of the shape,
    before any time is looked at.

    Parameters
    ----------
    observations : sequence of Observation
        Rows with a time and a forecast.
    backend : str, optional
        What collectives went through.

    Returns
    -------
    tuple of MeasuredTime
        Kinds that tables of operations know; whole steps are left out.
    """
    groups: dict[_Group, dict[_Shape, list[Observation]]] = {}
    for each in observations:
        if each.kind in SHAPE_COLUMNS:
            key = (each.kind, str(each.shape.get("variant", "")), each.dtype)
            groups.setdefault(key, {}).setdefault(_shape_of(each), []).append(each)
    found: list[MeasuredTime] = []
    for shapes in groups.values():
        beaten = _beaten(shapes)
        ordered = sorted(shapes, key=lambda shape: min(row.hash for row in shapes[shape]))
        spoken = [[row for row in shapes[shape] if row.kernel not in beaten] for shape in ordered]
        for place, rows in enumerate(filter(None, spoken)):
            fastest = min(rows, key=_seconds)
            found.append(_time(fastest, backend, "test" if place % 2 else "fit"))
    return tuple(found)


def _seconds(observation: Observation) -> float:
    assert observation.measured_s is not None
    return observation.measured_s


def _shape_of(observation: Observation) -> _Shape:
    return tuple(sorted((name, str(value)) for name, value in observation.shape.items()))


def _beaten(shapes: dict[_Shape, list[Observation]]) -> set[str]:
    """Kernels that ran beside others and were never the fastest."""
    met: set[str] = set()
    won: set[str] = set()
    for rows in shapes.values():
        if len({row.kernel for row in rows}) > 1:
            met |= {row.kernel for row in rows}
            won.add(min(rows, key=_seconds).kernel)
    return met - won


def _time(observation: Observation, backend: str | None, half: str) -> MeasuredTime:
    shape = {name: value for name, value in observation.shape.items() if value is not None}
    if observation.kind == "elementwise" and observation.forecast is not None:
        moved = observation.forecast.total("read_bytes") + observation.forecast.total("write_bytes")
        shape["total_bytes"] = moved
    by = (observation.backend, observation.kernel)
    if "ranks" in shape and backend == "nccl":
        by = _NCCL
    return MeasuredTime.model_validate(
        {
            "kind": observation.kind, "dtype": observation.dtype, "backend": by[0],
            "kernel": by[1], "shape": shape, "measured_s": observation.measured_s, "half": half,
        }
    )  # fmt: skip


def voices_of(profile: Profile, device: Device) -> tuple[Voice, ...]:
    """Return what plans for a device will hear of a profile.

    Parameters
    ----------
    profile : Profile
        The profile.
    device : Device
        What it was measured on.

    Returns
    -------
    tuple of Voice
        One per kind and format.

    Raises
    ------
    SpecError
        The times are impossible on the device.
    """
    own = Measurements(
        name=profile.origin.record, device=device.id, origin=profile.origin, times=profile.times
    )
    shipped = load_calibrations()
    kinds = dict.fromkeys(each.kind for each in profile.times if each.kind in shipped)
    return tuple(voice for kind in kinds for voice in own_voices(kind, device, own, shipped[kind]))
