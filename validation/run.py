"""A run: the most telling cases for the minutes given, each row kept as soon as it is there."""

from __future__ import annotations

import secrets
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from planner.units import format_seconds
from validation.cases import Case, cases_of, fits
from validation.entries import Ceilings, Environment, Row
from validation.record import BENCHMARK_VERSION, Record, RecordError, load_record, save_record

Say = Callable[[str], None]

_FIRST_GUESS_S = 3.0
_MINUTE_S = 60.0


class AnyBench(Protocol):
    """A device on which cases are tried, in this process or in another."""

    def environment(self) -> Environment:
        """Return what it is."""
        ...

    def ceilings(self) -> Ceilings | None:
        """Measure what a host reaches at best."""
        ...

    def use(self, ceilings: Ceilings | None) -> None:
        """Predict from these ceilings."""
        ...

    def row(self, case: Case, seed: int) -> Row:
        """Try a case."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a run may take.

    Parameters
    ----------
    minutes : float
        Time for cases, once the device and its ceilings are known. [min]
    kinds : tuple of str
        Only these kinds; all without any.
    """

    minutes: float = 8.0
    kinds: tuple[str, ...] = ()


def begin(bench: AnyBench, path: Path, seed: int | None, say: Say) -> Record:
    """Return the record to go on with, or a new one, with the ceilings of a host.

    Parameters
    ----------
    bench : AnyBench
        The device.
    path : pathlib.Path
        Where the record is, or will be.
    seed : int or None
        First seed of the inputs; that of the record, or a fresh one, without it. [1]
    say : callable
        Takes messages.

    Returns
    -------
    Record
        Saved.

    Raises
    ------
    RecordError
        The record was made with another seed, on another device or with other versions.
    """
    environment = bench.environment()
    if path.exists():
        record = load_record(path)
        record.check_continues(environment, BENCHMARK_VERSION, str(path))
        if seed is not None and seed != record.seed:
            raise RecordError(
                "the record was made with another seed",
                where=str(path),
                got=f"--seed {seed}",
                allowed=str(record.seed),
                fix="Leave --seed away to go on, or write a new record with -o.",
            )
        say(f"going on with {path}: {len(record.rows)} cases are there")
    else:
        record = Record.begin(environment, secrets.randbelow(2**31) if seed is None else seed)
    if record.ceilings is None:
        ceilings = bench.ceilings()
        record = record.model_copy(update={"ceilings": ceilings})
    bench.use(record.ceilings)
    save_record(record, path)
    return record


def run(
    bench: AnyBench,
    path: Path,
    budget: Budget,
    *,
    seed: int | None = None,
    cases: Iterable[Case] | None = None,
    say: Say = print,
) -> Record:
    """Try cases until the minutes are over, and keep every row at once.

    Parameters
    ----------
    bench : AnyBench
        The device.
    path : pathlib.Path
        The record; it is valid at every moment, and gone on with where it exists.
    budget : Budget
        Minutes and kinds.
    seed : int, optional
        First seed of the inputs. [1]
    cases : iterable of Case, optional
        In the order to try them; those of the device without it.
    say : callable
        Takes one line of progress per case.

    Returns
    -------
    Record
        With all rows so far.

    Raises
    ------
    RecordError
        The record that is there cannot be continued.
    """
    record = begin(bench, path, seed, say)
    start = time.monotonic()
    wanted = _cases(record.environment, budget) if cases is None else cases
    todo = [case for case in wanted if case.id not in record.done]
    limit_s = budget.minutes * _MINUTE_S
    took: dict[str, list[float]] = {}
    skipped = 0
    for number, case in enumerate(todo, 1):
        elapsed = time.monotonic() - start
        if elapsed + _guess_s(case, took) > limit_s:
            skipped += 1
            continue
        case_start = time.monotonic()
        row = bench.row(case, record.seed)
        took.setdefault(case.kind, []).append(time.monotonic() - case_start)
        record = record.adding(row)
        save_record(record, path)
        elapsed = time.monotonic() - start
        say(progress(record, row, f"{number}/{len(todo)} {elapsed:4.0f} s"))
    if skipped:
        say(f"{skipped} cases did not fit into {budget.minutes:g} min; run again to go on")
    return record


def _cases(environment: Environment, budget: Budget) -> list[Case]:
    """The cases of a device that fit it, the most telling first."""
    found = cases_of(environment.device, budget.kinds, ranks=environment.ranks)
    return [case for case in found if fits(case, environment.memory_bytes)]


def _guess_s(case: Case, took: dict[str, list[float]]) -> float:
    """What a case may take, from those before it of its kind. [s]."""
    before = took.get(case.kind)
    return statistics.mean(before) if before else _FIRST_GUESS_S


def ratio(row: Row) -> float | None:
    """Return how many times its floor a row took.

    Parameters
    ----------
    row : Row
        A row.

    Returns
    -------
    float or None
        None where it has no time or no floor. [1]
    """
    if row.timing is None or row.prediction is None or not row.prediction.floor_s:
        return None
    return row.timing.measured_s / row.prediction.floor_s


def progress(record: Record, row: Row, position: str) -> str:
    """Return one line about a row and all before it.

    Parameters
    ----------
    record : Record
        With the row.
    row : Row
        The newest.
    position : str
        Where the run stands.

    Returns
    -------
    str
        Case, time, and the running error of the floors.
    """
    parts = [f"[{position}]", f"{row.status:>4}", row.id]
    if row.timing is not None:
        parts.append(format_seconds(row.timing.measured_s))
    times = ratio(row)
    if times is not None:
        parts.append(f"{times:.2f} × floor")
    if row.reason:
        parts.append(f"({row.reason})")
    known = [abs(1 / each - 1) for each in map(ratio, record.rows) if each]
    if known:
        parts.append(
            f"| floors off by {statistics.median(known):.0%} in the median of {len(known)}"
        )
    return "  ".join(parts)


def summary(record: Record) -> str:
    """Return what a record holds, in a few lines.

    Parameters
    ----------
    record : Record
        The record.

    Returns
    -------
    str
        Cases by status, checks passed, kernels right.
    """
    count = dict.fromkeys(("ok", "unsupported", "wrong", "failed", "out_of_memory"), 0)
    for row in record.rows:
        count[row.status] += 1
    checked = [row for row in record.rows if row.correctness is not None]
    right = sum(row.status == "ok" for row in checked)
    checks = [check for row in record.rows for check in row.checks if check.rule != "shown"]
    timed = sum(row.timing is not None for row in record.rows)
    lines = [
        f"{record.environment.device_name}: {len(record.rows)} cases, {timed} of them timed",
        ", ".join(f"{number} {status}" for status, number in count.items() if number),
        f"{right} of {len(checked)} kernels right against their reference",
        f"{sum(check.passed for check in checks)} of {len(checks)} counts as predicted",
    ]
    wrong = [f"  {row.status}: {row.id}: {row.reason}" for row in record.rows if row.reason]
    return "\n".join([*lines, *wrong])
