"""The record of a run: what was measured, on what, and what went wrong.

A record is one JSON file that is valid at every moment: it is written beside itself and then moved
into place after every row.
"""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from planner.errors import ScenarioError, SpecError
from validation.entries import Ceilings, Entry, Environment, Row

SCHEMA_VERSION = 1
BENCHMARK_VERSION = 1
"""Goes up whenever *how* something is measured changes, so that old figures are told apart."""


class RecordError(SpecError):
    """A record that cannot be read, or cannot be continued here."""


class Record(Entry):
    """Everything of a run.

    Parameters
    ----------
    schema_version, benchmark_version : int
        Form of this file, and way of measuring. [1]
    created : str
        When it was begun, ISO 8601 in UTC.
    seed : int
        First seed of the inputs.
    """

    schema_version: Literal[1]
    benchmark_version: int
    created: str
    seed: int
    environment: Environment
    ceilings: Ceilings | None = None
    rows: tuple[Row, ...] = Field(default=())

    @classmethod
    def begin(cls, environment: Environment, seed: int) -> Record:
        """Return an empty record of now.

        Parameters
        ----------
        environment : Environment
            What it runs on.
        seed : int
            First seed of the inputs.

        Returns
        -------
        Record
            Without rows.
        """
        return cls(
            schema_version=SCHEMA_VERSION,
            benchmark_version=BENCHMARK_VERSION,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            seed=seed,
            environment=environment,
        )

    @property
    def done(self) -> frozenset[str]:
        """Ids of the cases that have a row."""
        return frozenset(row.id for row in self.rows)

    def adding(self, *rows: Row) -> Record:
        """Return the record with more rows; a later row of the same case replaces the earlier.

        Parameters
        ----------
        *rows : Row
            What to add.

        Returns
        -------
        Record
            A new record.
        """
        kept = {row.id: row for row in (*self.rows, *rows)}
        return self.model_copy(update={"rows": tuple(kept.values())})

    def merged(self, other: Record) -> Record:
        """Return this record with the rows of another of the same environment.

        Parameters
        ----------
        other : Record
            From the same device and versions.

        Returns
        -------
        Record
            Rows of the other win.

        Raises
        ------
        RecordError
            They differ in device, versions or way of measuring.
        """
        self.check_continues(other.environment, other.benchmark_version, "the other record")
        return self.adding(*other.rows)

    def check_continues(self, environment: Environment, version: int, where: str) -> None:
        """Raise unless measurements of an environment may join this record.

        Parameters
        ----------
        environment : Environment
            Where they are made.
        version : int
            How they are made. [1]
        where : str
            For the error.

        Raises
        ------
        RecordError
            Names what differs.
        """
        differences = self.environment.differences(environment)
        if version != self.benchmark_version:
            differences.insert(0, f"benchmark_version: {self.benchmark_version}, {version}")
        if differences:
            raise RecordError(
                "the record was made elsewhere and cannot be continued",
                where=where,
                got="; ".join(differences),
                fix="Write a new record with -o, or run where this one was made.",
            )


def load_record(path: Path) -> Record:
    """Read a record.

    Parameters
    ----------
    path : pathlib.Path
        A JSON file.

    Returns
    -------
    Record
        Its content.

    Raises
    ------
    RecordError
        It cannot be read or is not a record.
    """
    try:
        return Record.model_validate_json(path.read_bytes())
    except OSError as error:
        raise RecordError(f"cannot be read: {error.strerror}", where=str(path)) from error
    except ValidationError as error:
        first: Any = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise RecordError(
            f"not a record of a validation run: {first['msg'][:1].lower()}{first['msg'][1:]}",
            where=f"{path}: {place}" if place else str(path),
        ) from error


def save_record(record: Record, path: Path) -> None:
    """Write a record so that a crash at any moment leaves the old one or the new one.

    Parameters
    ----------
    record : Record
        The record.
    path : pathlib.Path
        Where to.

    Raises
    ------
    ScenarioError
        It cannot be written.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("w", encoding="utf-8") as stream:
            stream.write(_text(record))
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise ScenarioError(
            f"cannot be written: {error.strerror}", where="-o", got=str(path)
        ) from error


def _text(record: Record) -> str:
    """JSON with one row per line, so that two records can be compared line by line."""
    head = record.model_dump_json(exclude={"rows"}, exclude_none=True)
    rows = [row.model_dump_json(exclude_defaults=True) for row in record.rows]
    return head.removesuffix("}") + ',"rows":[\n' + ",\n".join(rows) + "\n]}\n"


def file_hash(path: Path) -> str:
    """Return the hash of a file.

    Parameters
    ----------
    path : pathlib.Path
        The file.

    Returns
    -------
    str
        SHA-256 in hexadecimal digits.
    """
    return hashlib.sha256(path.read_bytes()).hexdigest()
