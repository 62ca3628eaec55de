"""What a record was made on, in words, and how to make one."""

from __future__ import annotations

from dataclasses import dataclass

from planner.units import format_bytes, format_si
from validation.cases import COLLECTIVE_KINDS
from validation.entries import Ceilings
from validation.record import Record

_NAMES = {
    "device_name": "device",
    "device": "PyTorch device",
    "spec_id": "predicted for",
    "cache_bytes": "last-level cache",
    "clock_hz": "clock at the start",
    "most_clock_hz": "highest clock",
    "torch": "PyTorch",
    "triton": "Triton",
    "cuda": "CUDA",
    "python": "Python",
}
_UNITS = {"hz": "Hz", "w": "W", "c": "°C"}
_INSTALL = 'python -m pip install -e ".[validation]"'
_AFTER = (
    "python -m validation calibrate {0} -o profile.yaml\n"
    "python -m validation compare {0} --profile profile.yaml"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Commands:
    """Commands for a shell, and what they need and do."""

    lines: str
    note: str


def environment_rows(record: Record) -> list[tuple[str, str]]:
    """Return what a record was made on, for people.

    Parameters
    ----------
    record : Record
        The record.

    Returns
    -------
    list of tuple of str
        Name and value; what the system did not tell is left out.
    """
    rows = []
    for key, value in record.environment.model_dump(exclude_none=True).items():
        stem, _, unit = key.rpartition("_")
        if unit == "bytes":
            text = format_bytes(value)
        elif unit in _UNITS and isinstance(value, float):
            text = format_si(value, "Hz") if unit == "hz" else f"{value:g} {_UNITS[unit]}"
        else:
            text, stem = str(value), key
        rows.append((_NAMES.get(key, stem.replace("_", " ")), text))
    order = list(_NAMES)[:3]
    rows.sort(key=lambda row: next((i for i, key in enumerate(order) if _NAMES[key] == row[0]), 9))
    return [
        *rows,
        *(_ceilings(record.ceilings) if record.ceilings else ()),
        *_disturbed(record),
        ("benchmark_version", str(record.benchmark_version)),
        ("begun", record.created),
        ("first seed", str(record.seed)),
    ]


def _ceilings(ceilings: Ceilings) -> list[tuple[str, str]]:
    rates = ", ".join(
        f"{dtype} {format_si(rate, 'FLOP/s')}" for dtype, rate in ceilings.flops_per_s.items()
    )
    return [
        ("measured copy rate", format_si(ceilings.memory_bytes_per_s, "B/s")),
        ("measured product rate", rates),
    ]


def _disturbed(record: Record) -> list[tuple[str, str]]:
    timings = [row.timing for row in record.rows if row.timing]
    some = sum(timing.disturbed > 0 for timing in timings)
    return [("timed while others took a core", f"{some} of {len(timings)} rows")] if some else []


def commands() -> dict[str, Commands]:
    """Return the commands that install, run, compare and calibrate.

    Returns
    -------
    dict
        Commands by the device they are for.
    """
    run = "python -m validation run"
    together = (
        f"torchrun --nproc-per-node gpu -m validation run --kinds {','.join(COLLECTIVE_KINDS)}"
    )
    return {
        "One GPU": _commands(
            f"{run} --device cuda:0 --minutes 8 -o record.json",
            "record.json",
            "Needs an NVIDIA GPU with its driver.",
        ),
        "Several GPUs": _commands(
            f"{together} --device cuda -o messages.json",
            "messages.json",
            "Measures what GPUs send to one another; run the commands for one GPU as well.",
        ),
        "No GPU": _commands(
            f"{run} --device cpu --minutes 3 -o record.json",
            "record.json",
            "Measures the host's own ceilings and runs everything on the processor: it shows that "
            "the loop works, and says nothing about GPUs.",
        ),
    }


def _commands(run: str, record: str, note: str) -> Commands:
    return Commands(
        lines=f"{_INSTALL}\n{run}\n{_AFTER.format(record)}",
        note=f"In the folder of this project, in a virtual environment with Python 3.11 or newer. "
        f"{note} A run that was stopped goes on with the same command. Upload the record above to "
        "see it on this page.",
    )
