"""Predicted against measured: how far off, by kind and by size, and the worst rows explained."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from planner.errors import ScenarioError
from planner.operation_table import fitted_rows, predict_table, read_operation_table
from planner.tables import align
from planner.units import format_seconds
from validation.entries import Row
from validation.observation import Observation, from_record, from_table
from validation.profile import Profile
from validation.record import Record, load_record

_WORST = 8
_SIZES = ((0.0, 1e-4, "below 100 µs"), (1e-4, 1e-3, "100 µs – 1 ms"),
          (1e-3, 1e-2, "1 – 10 ms"), (1e-2, math.inf, "above 10 ms"))  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A row with what was predicted for it.

    Parameters
    ----------
    observation : Observation
        The row.
    predicted_s, p10_s, p90_s : float or None
        The prediction and its band; None where there is none. [s]
    fitted : bool
        Whether the profile was fitted on this very row; its error then says nothing.
    """

    observation: Observation
    predicted_s: float | None
    p10_s: float | None = None
    p90_s: float | None = None
    fitted: bool = False

    @property
    def error(self) -> float | None:
        """``predicted / measured - 1``; None where either is missing. [1]."""
        measured = self.observation.measured_s
        if self.predicted_s is None or not measured:
            return None
        return self.predicted_s / measured - 1

    @property
    def counts(self) -> bool:
        """Whether its error counts."""
        return self.error is not None and not self.fitted


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """All rows of a record or table against their predictions.

    Parameters
    ----------
    source : str
        The file.
    by : str
        What made the predictions.
    pairs : tuple of Pair
        Every row that has a time, or ought to.
    record : Record or None
        Where it came from a record.
    """

    source: str
    by: str
    pairs: tuple[Pair, ...]
    record: Record | None = None

    @property
    def median_error(self) -> float | None:
        """Median of the absolute relative errors that count. [1]."""
        errors = [abs(pair.error) for pair in self.pairs if pair.counts and pair.error is not None]
        return float(np.median(errors)) if errors else None

    @property
    def faults(self) -> tuple[Row, ...]:
        """Rows of the record that are wrong or failed."""
        return tuple(row for row in self.record.rows if row.is_fault) if self.record else ()

    def within(self, tolerance: float) -> bool:
        """Return whether everything is as it should be.

        Parameters
        ----------
        tolerance : float
            Largest median relative error of the times. [1]

        Returns
        -------
        bool
            True where the median is within it, and no kernel or count of the record is wrong.
        """
        median = self.median_error
        return (median is None or median <= tolerance) and not self.faults


def compare(source: Path, profile: Profile | None = None) -> Comparison:
    """Compare a record or a table with the planner's predictions.

    Parameters
    ----------
    source : pathlib.Path
        A record (``.json``) or a table of operations (``.csv``).
    profile : Profile, optional
        Calibration; without it, predictions are those in the table, else those of the shipped
        profiles for a table, and floors for a record.

    Returns
    -------
    Comparison
        All rows.

    Raises
    ------
    ScenarioError
        The file cannot be used.
    """
    record = None
    if source.suffix.lower() == ".csv":
        observations = from_table(source)
    elif source.suffix.lower() == ".json":
        record = load_record(source)
        observations = from_record(record)
    else:
        raise ScenarioError(
            "neither a record nor a table", where="SOURCE", got=source.name, allowed=".json, .csv"
        )
    given = any(each.given for each in observations)
    if record is None and profile is None and not given:
        pairs = shipped_pairs(source, observations)
        return Comparison(source=source.name, by="the shipped profiles", pairs=pairs)
    pairs = tuple(_pair(each, profile) for each in observations)
    by = "the calibration profile" if profile else "the table itself" if given else "floors"
    return Comparison(source=source.name, by=by, pairs=pairs, record=record)


def shipped_pairs(source: Path, observations: Sequence[Observation]) -> tuple[Pair, ...]:
    """Return the rows of a table with the times of the shipped calibration profiles.

    Parameters
    ----------
    source : pathlib.Path
        The table.
    observations : sequence of Observation
        Its rows, in order.

    Returns
    -------
    tuple of Pair
        A row that a profile was fitted on is marked so; one without a time has the reason.
    """
    table = read_operation_table(source)
    times = predict_table(table)
    fitted = fitted_rows(table)
    return tuple(
        Pair(
            observation=replace(each, reason=str(times.reason[row]) or each.reason),
            predicted_s=None if times.reason[row] else float(times.time_s[row]),
            p10_s=float(times.p10_s[row]),
            p90_s=float(times.p90_s[row]),
            fitted=bool(fitted[row]),
        )
        for row, each in enumerate(observations)
    )


def _pair(observation: Observation, profile: Profile | None) -> Pair:
    said = observation.forecast
    if profile is not None:
        found = profile.seconds(observation)
        time_s, p10, p90 = found or (None, None, None)
        fitted = profile.half(observation) == "fit"
        return Pair(
            observation=observation, predicted_s=time_s, p10_s=p10, p90_s=p90, fitted=fitted
        )
    if observation.given is not None:
        time_s, p10, p90 = observation.given
        return Pair(observation=observation, predicted_s=time_s, p10_s=p10, p90_s=p90)
    return Pair(observation=observation, predicted_s=said.floor_s if said else None)


def _statistics(pairs: Sequence[Pair]) -> list[str]:
    """Rows, predicted, median and p90 of the error, and the median of predicted over measured."""
    errors = np.array([pair.error for pair in pairs if pair.counts], dtype=float)
    predicted = sum(pair.predicted_s is not None for pair in pairs)
    cells = [str(len(pairs)), str(predicted), str(len(errors))]
    if not len(errors):
        return [*cells, "-", "-", "-"]
    median, p90 = np.percentile(np.abs(errors), [50, 90])
    return [*cells, f"{median:.1%}", f"{p90:.1%}", f"{np.median(errors + 1):.2f}"]


Table = list[list[str]]
"""Cells; the first row is the header."""

_HEADER = ["rows", "predicted", "counted", "median error", "p90", "predicted/measured"]


def by_kind(comparison: Comparison) -> Table:
    """Return the errors by kind.

    Parameters
    ----------
    comparison : Comparison
        The comparison.

    Returns
    -------
    list of list of str
        Header, all, then one row per kind.
    """
    kinds = dict.fromkeys(pair.observation.kind for pair in comparison.pairs)
    table = [["kind", *_HEADER], ["all", *_statistics(comparison.pairs)]]
    for kind in kinds:
        members = [pair for pair in comparison.pairs if pair.observation.kind == kind]
        table.append([kind, *_statistics(members)])
    return table


def by_size(comparison: Comparison) -> Table:
    """Return the errors by how long something took.

    Parameters
    ----------
    comparison : Comparison
        The comparison.

    Returns
    -------
    list of list of str
        Header, then one row per decade that has rows.
    """
    table = [["measured", *_HEADER]]
    for low, high, name in _SIZES:
        members = [
            pair for pair in comparison.pairs if low <= (pair.observation.measured_s or -1) < high
        ]
        if members:
            table.append([name, *_statistics(members)])
    return table


def worst(comparison: Comparison, most: int = _WORST) -> list[Pair]:
    """Return the rows that are furthest off, either way.

    Parameters
    ----------
    comparison : Comparison
        The comparison.
    most : int
        How many. [1]

    Returns
    -------
    list of Pair
        By the ratio of predicted to measured, or its inverse.
    """
    counted = [pair for pair in comparison.pairs if pair.counts]
    return sorted(counted, key=lambda pair: -abs(math.log(1 + (pair.error or 0.0))))[:most]


def unpredicted(comparison: Comparison) -> dict[str, int]:
    """Return why rows have no prediction, and how many.

    Parameters
    ----------
    comparison : Comparison
        The comparison.

    Returns
    -------
    dict
        Rows by kind and reason. [1]
    """
    found: dict[str, int] = {}
    for pair in comparison.pairs:
        if pair.predicted_s is None:
            kind, reason = pair.observation.kind, pair.observation.reason
            name = f"{kind}: {reason or 'nothing of this kind was fitted'}"
            found[name] = found.get(name, 0) + 1
    return found


def describe(pair: Pair) -> tuple[str, str]:
    """Return what a row is, and how the planner's floor for it came about.

    Parameters
    ----------
    pair : Pair
        A row with a prediction.

    Returns
    -------
    (str, str)
        Shape with times, and the explanation.
    """
    row = pair.observation
    columns = ", ".join(f"{k}={v}" for k, v in row.shape.items() if v not in (None, ""))
    name = " ".join(filter(None, (row.kind, row.device, row.backend, row.dtype)))
    times = (
        f"predicted {format_seconds(pair.predicted_s or 0)}, measured "
        f"{format_seconds(row.measured_s or 0)} ({pair.error:+.0%})"
    )
    return f"{name} {columns}: {times}", row.forecast.explain() if row.forecast else ""


def text(comparison: Comparison) -> str:
    """Return a comparison for a terminal.

    Parameters
    ----------
    comparison : Comparison
        The comparison.

    Returns
    -------
    str
        Tables, the worst rows, and what has no prediction or went wrong.
    """
    right = [1, 2, 3, 4, 5, 6]
    fitted = sum(pair.fitted for pair in comparison.pairs)
    note = f"; {fitted} fitted rows do not count" if fitted else ""
    blocks = [
        f"{comparison.source}: times predicted by {comparison.by}{note}",
        align(by_kind(comparison), right=right),
        align(by_size(comparison), right=right),
    ]
    lines = []
    for pair in worst(comparison):
        title, why = describe(pair)
        lines += [f"  {title}", *([f"    {why}"] if why else [])]
    for title, found in (
        ("Worst rows", lines),
        (
            "Without a prediction",
            [f"  {n} × {name}" for name, n in unpredicted(comparison).items()],
        ),
        ("Wrong or failed", [f"  {row.id}: {row.reason}" for row in comparison.faults]),
    ):
        if found:
            blocks.append("\n".join([title, *found]))
    if comparison.record is not None:
        blocks.append(_counts(comparison.record))
    return "\n\n".join(blocks)


def _counts(record: Record) -> str:
    checks = [check for row in record.rows for check in row.checks if check.rule != "shown"]
    passed = sum(check.passed for check in checks)
    kernels = [row for row in record.rows if row.correctness is not None]
    right = sum(row.status == "ok" for row in kernels)
    return (
        f"{passed} of {len(checks)} counts of bytes, FLOP and parameters as predicted; "
        f"{right} of {len(kernels)} kernels right against their reference"
    )
