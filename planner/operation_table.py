"""Tables of operations as CSV: read into columns, predicted, written back with their times."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from planner.coded_columns import CodedColumn, LineError, read_lines, written
from planner.cost.calibration import load_calibrations, place_of_row
from planner.cost.efficiency import Times, operation_times
from planner.cost.message_times import Network, message_times
from planner.cost.own_times import Spoken
from planner.cost.work import OPTIONAL_COLUMNS, SHAPE_COLUMNS, TEXT_COLUMNS, Columns, codes_of
from planner.errors import PlannerError, ScenarioError, printable
from planner.hardware import Device, Hardware, Node, calibrated, load_hardware

PREDICTED = ("predicted_s", "predicted_p10_s", "predicted_p90_s", "bound")
_TEXT = ("device", "dtype", "kv_dtype", "routing", "backend", "version", "kernel")
MOST = 2.0**53
"""Sizes beyond it are not exact."""

_MOST_BYTES = 2 * 1024**3


@dataclass(frozen=True, kw_only=True)
class OperationTable:
    """A table of operations, as text.

    Parameters
    ----------
    name : str
        The file, for errors.
    header : tuple of str
        Names of the columns.
    columns : tuple of CodedColumn
        Their cells.
    """

    name: str
    header: tuple[str, ...]
    columns: tuple[CodedColumn, ...]

    @property
    def rows(self) -> int:
        """How many operations it has. [1]."""
        return len(self.columns[0].codes) if self.columns else 0

    def lines(self) -> Iterator[tuple[str, ...]]:
        """Return the rows as they are written, without the header.

        Returns
        -------
        iterator of tuple of str
            Cells, line by line.
        """
        return zip(*(column.cells().tolist() for column in self.columns), strict=True)

    def text(self, column: str) -> np.ndarray:
        """Return a column as it is written.

        Parameters
        ----------
        column : str
            Its name.

        Returns
        -------
        numpy.ndarray
            Text; empty cells where there is no such column.
        """
        if column not in self.header:
            return np.full(self.rows, "", object)
        return self._column(column).cells()

    def _column(self, name: str) -> CodedColumn:
        return self.columns[self.header.index(name)]

    def numbers(self, column: str, rows: np.ndarray) -> np.ndarray:
        """Return a column as numbers.

        Parameters
        ----------
        column : str
            Its name.
        rows : numpy.ndarray
            Which rows. [1]

        Returns
        -------
        numpy.ndarray
            NaN for an empty cell.

        Raises
        ------
        ScenarioError
            A cell holds neither a number nor nothing.
        """
        try:
            return self._column(column).numbers(rows)
        except ValueError:
            cells = self._column(column).cells(rows)
            row = next(i for i, cell in enumerate(cells) if not _is_number(cell))
            raise self._error("not a number", int(rows[row]), column, cells[row]) from None

    def columns_of(self, kind: str, rows: np.ndarray) -> Columns:
        """Return what the rows of one kind need for a prediction.

        Parameters
        ----------
        kind : str
            Their kind.
        rows : numpy.ndarray
            Which rows. [1]

        Returns
        -------
        mapping
            Text and numbers by column.

        Raises
        ------
        ScenarioError
            A column is missing, or a cell empty, negative or no number.
        """
        columns = {name: self._column(name).cells(rows) for name in _TEXT if name in self.header}
        for name in (name for part in SHAPE_COLUMNS[kind] for name in part):
            if name in TEXT_COLUMNS and name not in self.header:
                columns[name] = np.full(len(rows), "", object)
            elif name in TEXT_COLUMNS:
                columns[name] = self._column(name).cells(rows)
            elif name in self.header:
                columns[name] = self._sizes(name, rows)
            elif name not in OPTIONAL_COLUMNS:
                raise ScenarioError(
                    f"rows of kind {kind} need this column", where=f"{self.name}: {name}"
                )
        return columns

    def _sizes(self, name: str, rows: np.ndarray) -> np.ndarray:
        """A column of sizes: whole, none negative, and only the optional ones left empty."""
        sizes = self.numbers(name, rows)
        least = 0 if name == "cached_tokens" else 1
        wrong = (sizes < least) | (sizes != np.floor(sizes)) | (sizes > MOST)
        wrong = np.where(np.isnan(sizes), name not in OPTIONAL_COLUMNS, wrong)
        if wrong.any():
            row = int(rows[np.argmax(wrong)])
            cell = str(self.text(name)[row])
            what = f"not a whole number of at least {least}, exact to the unit"
            raise self._error(what, row, name, cell)
        return sizes

    def _error(self, what: str, row: int, column: str, cell: str) -> ScenarioError:
        return ScenarioError(what, where=f"{self.name}: line {row + 2}, column {column}", got=cell)


def _is_number(cell: str) -> bool:
    try:
        float(cell or "nan")
    except ValueError:
        return False
    return True


def read_operation_table(path: Path) -> OperationTable:
    """Read a table of operations.

    Parameters
    ----------
    path : pathlib.Path
        A CSV file with a header.

    Returns
    -------
    OperationTable
        Its text.

    Raises
    ------
    ScenarioError
        It cannot be read, has no rows, or a line has too few or too many cells.
    """
    name = printable(path.name)
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ScenarioError("too large for a table", where=name)
        with path.open(newline="", encoding="utf-8-sig") as stream:
            header, columns = read_lines(stream)
    except LineError as error:
        raise ScenarioError(str(error), where=f"{name}: line {error.line}") from error
    except (OSError, UnicodeDecodeError, csv.Error, ValueError) as error:
        raise ScenarioError(f"cannot be read ({str(error)[:120]})", where=name) from error
    table = OperationTable(name=name, header=header, columns=columns)
    if not table.rows:
        raise ScenarioError("no operations in the table", where=name)
    for missing in {"kind", "dtype"} - set(header):
        raise ScenarioError("the column is missing", where=f"{name}: {missing}")
    return table


def predict_table(
    table: OperationTable, device: str | None = None, calibration: str | None = None
) -> Times:
    """Return the times of every operation of a table.

    Parameters
    ----------
    table : OperationTable
        The table.
    device : str, optional
        Where rows without a device run.
    calibration : str, optional
        A user's own times of one of the devices, as a file.

    Returns
    -------
    Times
        A row that cannot be predicted has its reason, and no figures.

    Raises
    ------
    ScenarioError
        A cell is unusable, or a row names no device and none was given.
    SpecError
        The calibration cannot be used, or is of a device that no row names.
    """
    rows = table.rows
    times = Times.without_figures(rows)
    names = _device_names(table, device)
    hardware, unknown = _hardware(names)
    if calibration is not None:
        found_here = calibrated(tuple(hardware.values()), calibration)
        hardware = dict(zip(hardware, found_here, strict=True))
    devices = {name: _joined(each) for name, each in hardware.items()}
    networks = {name: _network(each.node) for name, each in hardware.items() if each.node}
    times.reason[:] = [unknown.get(name, "") for name in names]
    profiles = load_calibrations()
    own: list[Spoken] = []
    codes, kinds = codes_of([table.text("kind")], rows)
    for code, (kind,) in enumerate(kinds):
        if kind not in profiles:
            times.reason[codes == code] = f"no calibration profile for operations of kind {kind}"
            continue
        chosen = np.flatnonzero((codes == code) & (times.reason == ""))
        if not len(chosen):
            continue
        columns = {**table.columns_of(kind, chosen), "device": names[chosen]}
        if "ranks" in columns:
            found = message_times(kind, columns, devices, networks, profiles[kind])
        else:
            found = operation_times(kind, columns, devices, profiles[kind])
        times.fill(chosen, found)
        own += [replace(each, rows=chosen[each.rows]) for each in found.own]
    return replace(times, own=tuple(own))


def fitted_rows(table: OperationTable) -> np.ndarray:
    """Return which rows the shipped profiles were fitted on.

    Parameters
    ----------
    table : OperationTable
        A table of measurements.

    Returns
    -------
    numpy.ndarray
        True where a row's error says nothing.
    """
    profiles = load_calibrations()
    places = np.array([place_of_row(line) for line in table.lines()])
    fitted = np.zeros(table.rows, dtype=bool)
    sources, kinds = table.text("source"), table.text("kind")
    for kind in set(kinds) & set(profiles):
        split = profiles[kind].split
        fitted |= (kinds == kind) & np.isin(sources, split.origins) & (places < split.fitted_below)
    return fitted


def _device_names(table: OperationTable, device: str | None) -> np.ndarray:
    names = table.text("device").copy()
    empty = names == ""
    if empty.any() and device is None:
        raise ScenarioError(
            "a row without a device",
            where=f"{table.name}: line {int(np.argmax(empty)) + 2}, column device",
            fix="Name the device with -d.",
        )
    names[empty] = device
    return names


def _hardware(names: np.ndarray) -> tuple[dict[str, Hardware], dict[str, str]]:
    """Devices and nodes by name, and why a name is none."""
    found: dict[str, Hardware] = {}
    unknown: dict[str, str] = {}
    for name in dict.fromkeys(names):
        try:
            found[name] = load_hardware(name)
        except PlannerError as error:
            unknown[name] = str(error)
    return found, unknown


def _joined(hardware: Hardware) -> Device:
    """A device, joined to its peers as in its node."""
    return replace(hardware.device, scale_up=hardware.scale_up)


def _network(node: Node) -> Network:
    return Network(node.devices, node.network.per_direction_bytes_per_s if node.network else None)


def table_text(table: OperationTable, times: Times) -> str:
    """Return a table with its predictions, as CSV.

    Parameters
    ----------
    table : OperationTable
        The table.
    times : Times
        Of its rows.

    Returns
    -------
    str
        The columns of the table, then :data:`PREDICTED`; cells of a row without a time are empty.
    """
    kept = [at for at, name in enumerate(table.header) if name not in PREDICTED]
    columns: list[Iterable[str]] = [table.columns[at].quoted() for at in kept]
    columns += [_written(values) for values in (times.time_s, times.p10_s, times.p90_s)]
    columns.append([b if r == "" else "" for b, r in zip(times.bound, times.reason, strict=True)])
    return written([*(table.header[at] for at in kept), *PREDICTED], columns)


def _written(seconds: np.ndarray) -> list[str]:
    return ["" if value != value else f"{value:.5g}" for value in seconds.tolist()]


def reasons_of(times: Times) -> Iterator[tuple[str, int, int]]:
    """Return why rows have no time, one entry per reason.

    Parameters
    ----------
    times : Times
        Of a table's rows.

    Returns
    -------
    iterator of tuple
        Reason, rows, and the line of the first one.
    """
    lacking = times.reason[times.reason != ""]
    for reason in dict.fromkeys(lacking):
        rows = np.flatnonzero(times.reason == reason)
        yield str(reason), len(rows), int(rows[0]) + 2
