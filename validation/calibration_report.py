"""What a calibration found, as text: per kernel, and what plans speak from."""

from __future__ import annotations

import math

from planner.cost.own_times import Voice
from planner.hardware import Device
from planner.tables import align
from planner.units import format_seconds
from validation.plan_times import voices_of
from validation.profile import Profile


def report(profile: Profile, device: Device | None = None) -> str:
    """Return a profile's fit and its errors as text.

    Parameters
    ----------
    profile : Profile
        The profile.
    device : Device, optional
        What it was measured on; without it, what plans would say is left out.

    Returns
    -------
    str
        One line per kind, one per group, then one per kind and format that plans take from it.
    """
    rows = [["untouched half", "rows", "median error", "p90", "in the band"]]
    rows += [
        [kind, str(e.rows), f"{e.median_fraction:.1%}", f"{e.p90_fraction:.1%}",
         f"{e.in_band_fraction:.0%}"]
        for kind, e in profile.errors.items()
    ]  # fmt: skip
    table = [["fitted", "rows", "overhead", "of compute", "of memory", "norm", "median error"]]
    for group in profile.groups:
        e = group.efficiency
        name = " ".join(filter(None, (group.kind, group.kernel or "(any)", *group.key[2:])))
        table.append(
            [name, str(group.fitted), format_seconds(e.overhead_s), f"{e.compute_fraction:.1%}",
             f"{e.memory_fraction:.1%}", f"{e.norm:g}",
             f"{group.errors.median_fraction:.1%}" if group.errors else "-"]
        )  # fmt: skip
    right = [1, 2, 3, 4, 5, 6]
    parts = [align(rows, right=right[:4]), align(table, right=right)]
    if device is not None and profile.times:
        parts.append(_plans(voices_of(profile, device)))
    return "\n\n".join(parts)


def _plans(voices: tuple[Voice, ...]) -> str:
    table = [["for plans", "rows", "kernels", "shipped error", "own error", "band"]]
    for voice in voices:
        table.append(
            [voice.name, f"{voice.fitted}+{voice.tested}", ", ".join(voice.kernels),
             _share(voice.shipped_fraction), _share(voice.median_fraction),
             f"{math.expm1(voice.p10):+.0%} … {math.expm1(voice.p90):+.0%}"]
        )  # fmt: skip
    return align(table, right=[1, 3, 4, 5]) + "\nErrors are of the rows that were not fitted."


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"
