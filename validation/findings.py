"""What a record that anybody may have written shows: predictions beside measurements.

Nothing here needs PyTorch: times come from the record, predictions from today's planner.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from planner.errors import PlannerError, printable
from planner.hardware import device_ids
from planner.importers import model_ids, parse_json
from validation.calibrate import calibrate
from validation.compare import Comparison, Pair, compare
from validation.entries import Row
from validation.profile import Profile
from validation.record import Record, RecordError
from validation.writers import to_csv

MOST_RECORD_BYTES = 4 * 2**20
MOST_ROWS = 1_000
MOST_GROUPS = 200
"""Kernels in their dtypes; each is fitted by itself."""

_BELOW_FLOOR = 0.98


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What a record shows.

    Parameters
    ----------
    record : Record
        The record.
    floors : Comparison
        With floors at efficiency 1: rows that have a time and a floor.
    calibrated : Comparison or None
        With calibrated times: rows of the half that was not fitted; None without any.
    profile : Profile or None
        Fitted on the other half.
    uncalibrated : str
        Why there is no profile.
    table : str
        Every row with a time and what was predicted, in CSV.
    """

    record: Record
    floors: Comparison
    calibrated: Comparison | None
    profile: Profile | None
    uncalibrated: str
    table: str

    @property
    def faults(self) -> tuple[Row, ...]:
        """Rows that failed or came out wrong."""
        return self.floors.faults

    @property
    def is_host(self) -> bool:
        """Whether the record is of a processor."""
        return self.record.environment.device.startswith("cpu")

    @property
    def below_floor(self) -> int:
        """Rows that were faster than their floor by more than a clock may err. [1]."""
        return sum((pair.error or 0.0) > 1 / _BELOW_FLOOR - 1 for pair in self.floors.pairs)


def read_record(content: bytes, name: str) -> Record:
    """Read a record that anybody may have written.

    Parameters
    ----------
    content : bytes
        JSON.
    name : str
        Its file, for errors.

    Returns
    -------
    Record
        Its content, which names only devices and models of the catalogs.

    Raises
    ------
    SpecError
        Too large, not JSON, not a record, or about something that the catalogs do not have.
    """
    where = printable(name)
    if len(content) > MOST_RECORD_BYTES:
        got, allowed = f"{len(content):,} bytes", f"at most {MOST_RECORD_BYTES:,} bytes"
        raise RecordError("too large for a record", where=where, got=got, allowed=allowed)
    try:
        record = Record.model_validate(parse_json(content, where))
    except ValidationError as error:
        first: Any = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = printable(".".join(str(part) for part in first["loc"]))
        raise RecordError(
            f"not a record of a validation run: {first['msg'][:1].lower()}{first['msg'][1:]}",
            where=f"{where}: {place}" if place else where,
            fix="A record is what python -m validation run writes.",
        ) from error
    _check_contents(record, where)
    return record


def _check_contents(record: Record, where: str) -> None:
    """Names lead to entries of the catalogs and never to files; the fit stays affordable."""
    for row in record.rows:
        if row.timing is not None and not row.timing.measured_s > 0:
            got = row.timing.measured_s
            raise RecordError("not a time", where=f"{where}: {printable(row.id)}", got=got)
    device = record.environment.spec_id
    if device is not None and device not in device_ids():
        raise RecordError("no device of the catalog", where=f"{where}: spec_id", got=device)
    models = {str(row.shape["model"]) for row in record.rows if "model" in row.shape}
    strangers = sorted(models - set(model_ids()))
    if strangers:
        raise RecordError("no model of the catalog", where=f"{where}: model", got=strangers[0])
    groups = {(row.kind, row.kernel, row.dtype) for row in record.rows}
    for what, count, most in (
        ("rows", len(record.rows), MOST_ROWS),
        ("kernels and dtypes", len(groups), MOST_GROUPS),
    ):
        if count > most:
            raise RecordError(
                f"too many {what}", where=where, got=count, allowed=f"at most {most:,}"
            )


def examine(content: bytes, name: str) -> Findings:
    """Hold today's predictions against a record, and calibrate on half of it.

    Parameters
    ----------
    content : bytes
        The record's file.
    name : str
        Its name.

    Returns
    -------
    Findings
        Floors for every row with a time, calibrated times for the half not fitted.

    Raises
    ------
    SpecError
        It is no record.
    RecordError
        A row cannot be followed.
    """
    record = read_record(content, name)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "record.json"
        path.write_bytes(content)
        try:
            return _examined(record, path)
        except (ArithmeticError, AssertionError, LookupError, TypeError, ValueError) as error:
            raise RecordError(
                "holds a row that cannot be followed", where=printable(name), got=str(error)
            ) from error


def _examined(record: Record, path: Path) -> Findings:
    profile, why_not = None, ""
    try:
        profile = calibrate(record, path)
    except PlannerError as error:
        why_not = error.what
    floors = compare(path)
    calibrated = compare(path, profile) if profile else None
    counted = _countable(calibrated) if calibrated else None
    return Findings(
        record=record,
        floors=_countable(floors),
        calibrated=counted if counted and counted.pairs else None,
        profile=profile,
        uncalibrated=why_not,
        table=to_csv(calibrated or floors),
    )


def _countable(comparison: Comparison) -> Comparison:
    """Only rows whose error counts, and can be drawn on a logarithmic axis."""
    drawn = tuple(
        each
        for each in comparison.pairs
        if each.counts and each.error is not None and -1 < each.error < math.inf
    )
    return replace(comparison, pairs=drawn)


def off(pairs: Sequence[Pair], percentile: float = 50.0) -> float | None:
    """Return how far predictions are off, either way.

    Parameters
    ----------
    pairs : sequence of Pair
        Predictions beside measurements.
    percentile : float
        Of the errors; the median without it. [1]

    Returns
    -------
    float or None
        Share of the measured time; None without pairs. [1]
    """
    errors = [abs(pair.error) for pair in pairs if pair.error is not None]
    return float(np.percentile(errors, percentile)) if errors else None
