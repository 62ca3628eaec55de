"""Seconds of a step's operations of one kind, by the profile that speaks for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from planner.cost.calibration import Calibration
from planner.cost.efficiency import Times, operation_times
from planner.cost.lent_profiles import WIDER, is_lent, lender_of
from planner.cost.own_times import Voice
from planner.cost.step_rows import Entry, columns_of, flat, work_of_entries
from planner.hardware import Device
from planner.model import Execution

STREAMED = ("elementwise", "embedding")
"""Kinds that only move bytes; inside a captured graph they have no profile of their own."""

STREAM_OVERHEAD_S = 3e-6
STREAM_FRACTION = 0.8
"""Fixed time of a memory-bound kernel and its share of bandwidth, as aiconfigurator takes them."""

ALL_REDUCE_KERNELS = ("custom_allreduce:vLLM_custom_graph", "nccl:NCCL")
"""Engines send small messages by a kernel of their own and large ones by NCCL."""

_STREAM_BAND = 0.3


@dataclass(frozen=True, slots=True)
class KindTimes:
    """Times of the operations of one kind.

    Parameters
    ----------
    bands : numpy.ndarray
        Time, p10 and p90 of one occurrence of each operation, shape ``(3, rows)``. [s]
    own : tuple of Voice
        What a user's own measurements say of them.
    at_floor : bool
        Whether some count at their floor, for want of a profile.
    lent : bool
        Whether some take the profile of another kind, with a wider band.
    """

    bands: np.ndarray
    own: tuple[Voice, ...] = ()
    at_floor: bool = False
    lent: bool = False


def kind_times(
    kind: str,
    entries: Sequence[Entry],
    device: Device,
    execution: Execution,
    profiles: Mapping[str, Calibration],
    implementation: Mapping[str, str],
) -> KindTimes:
    """Return the times of a step's operations of one kind.

    Never below the floor: what a kernel alone finds in the L2 cache, a step reads from memory.

    Parameters
    ----------
    kind : str
        The kind; ``"elementwise"`` for all that are streamed.
    entries : sequence of Entry
        The operations.
    device : Device
        Where they run.
    execution : Execution
        Formats they were made with.
    profiles : mapping
        Calibration by kind.
    implementation : mapping
        ``backend``, ``version`` and ``kernel``, as far as they are known.

    Returns
    -------
    KindTimes
        One row per operation and point of its grid.
    """
    floors = flat(entries, [entry.item.floor_s / entry.item.count for entry in entries])
    asked = _Asked(kind, entries, device, execution, implementation)
    if kind in STREAMED:
        return asked.streamed(floors, profiles)
    if not _profiled(kind, entries, profiles):
        return KindTimes(np.stack([floors] * 3), at_floor=True)
    found = asked.times(profiles[lender_of(kind)])
    bands = [np.stack([each.time_s, each.p10_s, each.p90_s]) for each in found]
    fastest = np.argmin([np.nan_to_num(each[0], nan=np.inf) for each in bands], axis=0)
    chosen = np.choose(fastest, bands)
    lent = any(is_lent(entry.item.operation) for entry in entries)
    if lent:
        chosen[1:] = chosen[1:] * np.exp(WIDER)[:, None]
    lacking = np.isnan(chosen)
    return KindTimes(
        np.maximum(np.where(lacking, floors, chosen), floors),
        own=tuple(spoken.voice for each in found for spoken in each.own),
        at_floor=bool(lacking.any()),
        lent=lent,
    )


def _profiled(kind: str, entries: Sequence[Entry], profiles: Mapping[str, Calibration]) -> bool:
    """Whether a kind has times; messages have none where nothing is known about their link."""
    silent = "ranks" in entries[0].item.operation.shape and all(
        np.all(entry.item.communication_s == 0) for entry in entries
    )
    return lender_of(kind) in profiles and not silent


@dataclass(frozen=True, slots=True)
class _Asked:
    """Operations of one kind, on a device, by an implementation."""

    kind: str
    entries: Sequence[Entry]
    device: Device
    execution: Execution
    implementation: Mapping[str, str]

    def times(self, profile: Calibration) -> list[Times]:
        """By each kernel that may run them."""
        kind = lender_of(self.kind)
        columns = columns_of(kind, self.entries, self.device, self.execution, self.implementation)
        kernels: tuple[str | None, ...] = (None,)
        if self.kind == "all_reduce" and "kernel" not in columns:
            kernels = ALL_REDUCE_KERNELS[self._across() :]
        work = work_of_entries(self.entries)
        if self.kind in STREAMED:
            columns["total_bytes"] = work.moved_bytes
        devices = {self.device.id: self.device}
        found = []
        for kernel in kernels:
            if kernel is not None:
                columns["kernel"] = flat(self.entries, [kernel] * len(self.entries))
            found.append(operation_times(kind, columns, devices, profile, work))
        return found

    def _across(self) -> bool:
        """Whether ranks stand on several nodes, where only NCCL goes."""
        link = self.device.scale_up
        most = link.devices if link else None
        spans = [entry.item.operation.shape.get("span", 1) for entry in self.entries]
        return most is not None and max(spans) > most

    def streamed(self, floors: np.ndarray, profiles: Mapping[str, Calibration]) -> KindTimes:
        """What only moves bytes: from the user's own measurements, else by a constant share."""
        time_s = STREAM_OVERHEAD_S + floors / STREAM_FRACTION
        bands = np.stack([time_s, time_s * (1 - _STREAM_BAND), time_s * (1 + _STREAM_BAND)])
        own: list[Voice] = []
        if self.device.measured is not None and self.kind in profiles:
            (found,) = self.times(profiles[self.kind])
            for spoken in found.own:
                chosen = spoken.rows
                bands[:, chosen] = [found.time_s[chosen], found.p10_s[chosen], found.p90_s[chosen]]
                own.append(spoken.voice)
        return KindTimes(np.maximum(bands, floors), own=tuple(own))
