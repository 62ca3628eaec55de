"""Measured times with what the planner says of them, from a record or a table of operations."""

from __future__ import annotations

import csv
import functools
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from planner.cost.shapes import execution_of, reading
from planner.errors import PlannerError, ScenarioError
from planner.hardware import Device, load_device
from validation.cases import STEP_KINDS
from validation.entries import Row
from validation.predict import Forecast, device_of, forecast
from validation.record import Record
from validation.reduction import model_of

_MOST_TABLE_BYTES = 200_000_000
# Columns of a table that say where a time comes from, not what was run.
_ORIGIN = frozenset({
    "measured_s", "backend", "version", "kernel", "source", "kind", "device", "dtype", "kv_dtype",
})  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One measured time.

    Parameters
    ----------
    id : str
        Of the case, or made of all cells of the row.
    kind, device, dtype, backend, kernel : str
        What was run, where, by what.
    shape : mapping
        Shape columns.
    measured_s : float or None
        None where nothing was measured. [s]
    forecast : Forecast or None
        What the planner says; None with ``reason``.
    reason : str
        Why there is no forecast.
    cells : mapping
        The row as read, for writing it out again.
    given : tuple of float or None
        ``predicted_s`` and its band, where the table has them already. [s]
    """

    id: str
    kind: str
    device: str
    dtype: str
    backend: str
    kernel: str
    shape: Mapping[str, Any] = field(hash=False)
    measured_s: float | None
    forecast: Forecast | None
    reason: str = ""
    cells: Mapping[str, Any] = field(hash=False)
    given: tuple[float, float | None, float | None] | None = None

    @property
    def hash(self) -> str:
        """Hash of the row, the same wherever it is read."""
        return hashlib.sha256(self.id.encode()).hexdigest()


def from_record(record: Record) -> list[Observation]:
    """Return the times of a record with the forecasts of today's planner.

    Parameters
    ----------
    record : Record
        The record.

    Returns
    -------
    list of Observation
        Rows without a time are left out: they are results, not times.
    """
    device = device_of(record.environment, record.ceilings)
    name = record.environment.spec_id or "host"
    return [_of_row(row, name, device) for row in record.rows if row.timing is not None]


def _of_row(row: Row, name: str, device: Device | None) -> Observation:
    assert row.timing is not None
    shape = {"variant": row.variant, **row.shape} if row.variant else dict(row.shape)
    said, reason = _forecast(row.kind, shape, row.dtype, None, device)
    cells = {"kind": row.kind, "device": name, "dtype": row.dtype, **shape}
    cells |= {"backend": row.backend, "kernel": row.kernel, "measured_s": row.timing.measured_s}
    return Observation(
        id=row.id,
        kind=row.kind,
        device=name,
        dtype=row.dtype,
        backend=row.backend,
        kernel=row.kernel,
        shape=shape,
        measured_s=row.timing.measured_s,
        forecast=said,
        reason=reason,
        cells=cells,
    )


def _forecast(
    kind: str, shape: Mapping[str, Any], dtype: str, kv_dtype: str | None, device: Device | None
) -> tuple[Forecast | None, str]:
    if device is None:
        return None, "the device is not in the catalog"
    try:
        with reading(kind, shape):
            model = model_of(shape) if kind in STEP_KINDS else None
        execution = execution_of(dtype, kv_dtype=kv_dtype)
        return forecast(kind, shape, execution, device, model=model), ""
    except PlannerError as error:
        return None, reason_of(error)


def reason_of(error: PlannerError) -> str:
    """Return what is wrong with a row, and with which value.

    Parameters
    ----------
    error : PlannerError
        Why there is no forecast.

    Returns
    -------
    str
        Short enough to count rows by.

    Examples
    --------
    >>> reason_of(PlannerError("unknown dtype", got="fp2"))
    'unknown dtype (fp2)'
    """
    return f"{error.what} ({error.got})" if isinstance(error.got, str) else error.what


@functools.lru_cache(maxsize=64)
def _device(name: str) -> Device:
    return load_device(name)


def from_table(path: Path) -> list[Observation]:
    """Return the rows of a table of operations.

    Parameters
    ----------
    path : pathlib.Path
        A CSV file with at least the columns ``kind, device, dtype`` and those of the kind's shape.

    Returns
    -------
    list of Observation
        All rows; those that cannot be predicted say why.

    Raises
    ------
    ScenarioError
        The file cannot be read, or has no such columns.
    """
    try:
        if path.stat().st_size > _MOST_TABLE_BYTES:
            raise ScenarioError("too large for a table", where=str(path))
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            names = reader.fieldnames or []
            missing = [name for name in ("kind", "device", "dtype") if name not in names]
            if missing:
                raise ScenarioError(
                    "not a table of operations",
                    where=str(path),
                    got=", ".join(names) or "an empty file",
                    allowed="columns kind, device, dtype and those of the kind's shape",
                )
            return [_of_cells(cells, f"{path}:{reader.line_num}") for cells in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ScenarioError(f"cannot be read ({error})", where=str(path)) from error


def _number(cells: Mapping[str, Any], name: str, where: str) -> float | None:
    text = (cells.get(name) or "").strip()
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0 < value < float("inf"):
        raise ScenarioError("not a positive number", where=f"{where}: {name}", got=text)
    return value


def _of_cells(cells: dict[str, Any], where: str) -> Observation:
    cells.pop(None, None)  # type: ignore[call-overload]
    measured = _number(cells, "measured_s", where)
    kind, dtype = cells["kind"] or "", cells["dtype"] or ""
    shape = {key: value for key, value in cells.items() if value and key not in _ORIGIN}
    try:
        said, reason = _forecast(
            kind, shape, dtype, cells.get("kv_dtype") or None, _device(cells["device"] or "")
        )
    except PlannerError as error:
        said, reason = None, reason_of(error)
    predicted = _number(cells, "predicted_s", where)
    band = (_number(cells, "predicted_p10_s", where), _number(cells, "predicted_p90_s", where))
    return Observation(
        id="/".join(str(value) for key, value in cells.items() if not key.startswith("predicted")),
        kind=kind,
        device=cells["device"] or "",
        dtype=dtype,
        backend=cells.get("backend") or "",
        kernel=cells.get("kernel") or "",
        shape=shape,
        measured_s=measured,
        forecast=said,
        reason=reason,
        cells=cells,
        given=None if predicted is None else (predicted, *band),
    )
