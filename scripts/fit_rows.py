"""Measured rows of one calibration profile, whatever their kinds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from profile_designs import Design

from planner.cost import calibration as form
from planner.cost.efficiency import cells_of
from planner.cost.peaks import place_rows
from planner.hardware import Device, load_device
from planner.operation_table import OperationTable, read_operation_table


@dataclass(frozen=True)
class Rows:
    """Measured rows of one profile, whatever their kinds, with what the model sees of them."""

    parts: list[tuple[str, dict[str, np.ndarray]]]
    measured: np.ndarray
    place: np.ndarray
    devices: dict[str, Device]
    origins: tuple[str, ...]

    def take(self, chosen: np.ndarray) -> Rows:
        """The rows of a mask."""
        parts, start = [], 0
        for kind, columns in self.parts:
            end = start + len(columns["device"])
            kept = chosen[start:end]
            parts.append((kind, {name: column[kept] for name, column in columns.items()}))
            start = end
        parts = [part for part in parts if len(part[1]["device"])]
        return Rows(parts, self.measured[chosen], self.place[chosen], self.devices, self.origins)

    def cells(self, measured: Mapping[str, Device]) -> dict[str, np.ndarray]:
        """Their level columns."""
        found = [cells_of(kind, c, place_rows(c, self.devices, measured)) for kind, c in self.parts]
        names = set().union(*found)
        return {
            name: np.concatenate(
                [cells.get(name, np.full(len(cells["kind"]), "", object)) for cells in found]
            )
            for name in names
        }


def rows_of(folder: Path, design: Design) -> Rows:
    """Read the rows of a profile."""
    table = read_operation_table(folder / f"{design.table}.csv")
    kinds = table.text("kind")
    parts, measured, place = [], [], []
    for kind in design.kinds:
        chosen = np.flatnonzero(kinds == kind)
        if not len(chosen):
            continue
        parts.append((kind, dict(table.columns_of(kind, chosen))))
        measured.append(table.numbers("measured_s", chosen))
        place.append(hashes_of(table, chosen))
    devices = {name: load_device(name) for name in dict.fromkeys(table.text("device"))}
    origins = tuple(sorted(set(table.text("source"))))
    return Rows(parts, np.concatenate(measured), np.concatenate(place), devices, origins)


def hashes_of(table: OperationTable, rows: np.ndarray) -> np.ndarray:
    """Where each row falls in 0–1 by its hash."""
    lines = list(table.lines())
    return np.array([form.place_of_row(lines[row]) for row in rows])
