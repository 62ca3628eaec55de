"""Which rows of a table a user's own measurements speak for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from planner.cost.calibration import Calibration
from planner.cost.own_times import (
    Key,
    Shipped,
    Spoken,
    Voice,
    columns_of_times,
    key_cells,
    voice_of,
)
from planner.cost.peaks import Placed
from planner.cost.work import Columns, codes_of
from planner.hardware import Device
from planner.hardware.measurements import MeasuredTime

_LABELS = ("backend", "version", "kernel")
Prior = Callable[[str, Columns, Device, Calibration], Shipped]
"""What a profile says of rows on a device without its measurements."""


def voices(kind: str, device: Device, profile: Calibration, prior: Prior) -> tuple[Voice, ...]:
    """Return what a device's own measurements say of a kind of operation.

    Parameters
    ----------
    kind : str
        Kind of operation.
    device : Device
        With measurements.
    profile : Calibration
        Whose curves the own numbers stand under.
    prior : callable
        What the profile says of rows.

    Returns
    -------
    tuple of Voice
        One per format, variant and number of ranks of which a row may be fitted.

    Raises
    ------
    SpecError
        The times are impossible on the device, or their shapes unusable.
    """
    own = device.measured
    times = [each for each in own.times if each.kind == kind] if own else []
    if own is None or not times:
        return ()
    cells = key_cells(kind, columns_of_times(device, kind, times))
    groups: dict[Key, list[MeasuredTime]] = {}
    for key, each in zip(zip(*cells.values(), strict=True), times, strict=True):
        groups.setdefault(key, []).append(each)
    found = []
    for key, members in groups.items():
        if any(each.half == "fit" for each in members):
            columns = dict(columns_of_times(device, kind, members))
            for name in _LABELS[::2]:
                columns[name] = np.full(len(members), getattr(_label(members), name), object)
            shipped = prior(kind, columns, device, profile)
            found.append(voice_of(kind, key, members, shipped, own))
    return tuple(found)


def _label(times: Sequence[MeasuredTime]) -> MeasuredTime:
    """A row of the kernel with the most rows."""
    kernels = [each.kernel for each in times]
    return max(times, key=lambda each: kernels.count(each.kernel))


def spoken_for(
    kind: str, columns: Columns, placed: Placed, found: Mapping[int, tuple[Voice, ...]]
) -> tuple[Spoken, ...]:
    """Return the rows for which a device's own measurements speak.

    A row that names a backend or a kernel other than those measured asks for that one, for which
    the shipped profile speaks.

    Parameters
    ----------
    kind : str
        Kind of operation.
    columns : mapping
        Columns of the rows.
    placed : Placed
        Their devices.
    found : mapping
        Voices by index of the device. [-]

    Returns
    -------
    tuple of Spoken
        Disjoint rows.
    """
    cells = key_cells(kind, columns)
    empty = np.full(len(placed.codes), "", object)
    names = [columns.get(name, empty) for name in _LABELS[::2]]
    codes, keys = codes_of([*cells.values(), *names], len(placed.codes))
    spoken = []
    for device, said in found.items():
        here = placed.codes == device
        for voice in said:
            backends = ("", voice.label.backend)
            kernels = ("", *voice.kernels)
            meant = [
                key[:-2] == voice.key and key[-2] in backends and key[-1] in kernels for key in keys
            ]
            rows = np.flatnonzero(here & np.array(meant)[codes])
            if len(rows):
                spoken.append(Spoken(rows, voice))
    return tuple(spoken)


def relabelled(cells: Mapping[str, np.ndarray], spoken: Sequence[Spoken]) -> dict[str, np.ndarray]:
    """Return the cells with the implementation that was measured, as the fit had it.

    Parameters
    ----------
    cells : mapping
        The columns by which levels tell groups apart.
    spoken : sequence of Spoken
        Rows that own measurements speak for.

    Returns
    -------
    dict
        New columns where something changed.
    """
    found = dict(cells)
    for name in _LABELS if spoken else ():
        column = found.get(name, np.full(len(cells["kind"]), "", object)).copy()
        for each in spoken:
            column[each.rows] = "" if name == "version" else getattr(each.voice.label, name)
        found[name] = column
    return found
