"""Recorded requests from a CSV or JSONL file, checked line by line."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from planner.errors import PlannerError
from planner.serving.arrivals import Replay
from planner.serving.lengths import LONGEST_TOKENS, Empirical
from planner.serving.workload import Workload

COLUMNS = ("arrival_s", "prompt_tokens", "output_tokens")


class TraceError(PlannerError):
    """A line of a recorded trace that cannot be used."""


def load_trace(path: str | Path) -> Workload:
    """Read a recorded workload.

    Parameters
    ----------
    path : str or Path
        A ``.csv`` file with a header, or a ``.jsonl`` file with an object on each line. Each row
        has ``arrival_s``, ``prompt_tokens`` and ``output_tokens``; other fields are not read.

    Returns
    -------
    Workload
        That replays it: times, and lengths in pairs.

    Raises
    ------
    TraceError
        The file cannot be read, or a line has a missing, negative or unsorted time or a length
        that is no whole number of at least 1. The line is named.
    """
    file = Path(path)
    times: list[float] = []
    prompts: list[int] = []
    outputs: list[int] = []
    for line, row in _rows(file):
        times.append(_time(file, line, row, times[-1] if times else None))
        prompts.append(_length(file, line, row, "prompt_tokens"))
        outputs.append(_length(file, line, row, "output_tokens"))
    if len(times) < 2 or times[-1] <= times[0]:
        raise TraceError(
            "no trace",
            where=str(file),
            got=f"{len(times)} requests",
            allowed="requests at two different times at least",
        )
    return Workload(
        prompt=Empirical(tuple(prompts)),
        output=Empirical(tuple(outputs)),
        arrivals=Replay(tuple(times)),
        paired=True,
    )


def _rows(file: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    read = {".csv": _csv_rows, ".jsonl": _json_rows}.get(file.suffix.lower())
    if read is None:
        raise TraceError("unknown kind of trace", where=str(file), allowed=".csv or .jsonl")
    try:
        with file.open(encoding="utf-8", newline="") as stream:
            yield from read(file, stream)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TraceError(f"cannot be read: {error}", where=str(file)) from error


def _csv_rows(file: Path, stream: Any) -> Iterator[tuple[int, Mapping[str, Any]]]:
    reader = csv.DictReader(stream)
    missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
    if missing:
        raise TraceError(
            f"no column {', '.join(missing)}",
            where=f"{file}, line 1",
            got=reader.fieldnames,
            allowed=", ".join(COLUMNS),
        )
    for row in reader:
        yield reader.line_num, row


def _json_rows(file: Path, stream: Any) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, text in enumerate(stream, start=1):
        if not text.strip():
            continue
        try:
            row = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise TraceError("not JSON", where=f"{file}, line {number}", got=text) from error
        if not isinstance(row, dict):
            raise TraceError("not an object", where=f"{file}, line {number}", got=row)
        yield number, row


def _time(file: Path, line: int, row: Mapping[str, Any], last: float | None) -> float:
    where = f"{file}, line {line}, arrival_s"
    value = _number(row.get("arrival_s"), where, "seconds from the start, 0 or later")
    if value < 0:
        raise TraceError("a negative time", where=where, got=value, allowed="0 or later")
    if last is not None and value < last:
        raise TraceError(
            "times are not sorted",
            where=where,
            got=value,
            allowed=f"at least {last:g}, the time of the line before",
            fix="Sort the trace by arrival.",
        )
    return value


def _length(file: Path, line: int, row: Mapping[str, Any], name: str) -> int:
    where = f"{file}, line {line}, {name}"
    allowed = f"a whole number of tokens from 1 to {LONGEST_TOKENS:,}"
    value = _number(row.get(name), where, allowed)
    if value != int(value) or not 1 <= value <= LONGEST_TOKENS:
        raise TraceError("not a length", where=where, got=value, allowed=allowed)
    return int(value)


def _number(value: Any, where: str, allowed: str) -> float:
    if value is None or (isinstance(value, str) and not value.strip()):
        raise TraceError("missing", where=where, allowed=allowed)
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise TraceError("not a number", where=where, got=value, allowed=allowed)
    return number


__all__ = ["TraceError", "load_trace"]
