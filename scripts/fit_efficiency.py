"""Fit the calibration profiles to tables of measured operations.

Usage: ``python scripts/fit_efficiency.py FOLDER [PROFILE ...]``, where FOLDER holds the tables.
Needs SciPy. Four rows of five are fitted, by a hash of the row; errors are of the fifth.
"""

from __future__ import annotations

import functools
import hashlib
import sys
import warnings
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sparse
import yaml
from profile_designs import DESIGNS, Design
from scipy.optimize import least_squares
from scipy.sparse.linalg import LinearOperator, cg

from planner.cost import calibration as form
from planner.cost.correction import grid_of
from planner.cost.efficiency import cells_of, operation_times
from planner.cost.peaks import Peaks, axes_of, base_s, peaks_of, place_rows
from planner.cost.work import codes_of
from planner.hardware import Device, load_device
from planner.operation_table import OperationTable, read_operation_table

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "hardware_specs" / "calibration"
RULE = "first 8 hex digits of SHA-256 of the row's cells joined by '|', over 16^8: tested if >= 0.8"
FOLDS = 5
FITTED = 0.8
HUBER = 0.15
ROUNDS = 5


@dataclass(frozen=True)
class Rows:
    """Measured rows of one profile, whatever their kinds, with what the model sees of them."""

    parts: list[tuple[str, dict[str, np.ndarray]]]
    measured: np.ndarray
    place: np.ndarray
    devices: dict[str, Device]

    def take(self, chosen: np.ndarray) -> Rows:
        """The rows of a mask."""
        parts, start = [], 0
        for kind, columns in self.parts:
            end = start + len(columns["device"])
            kept = chosen[start:end]
            parts.append((kind, {name: column[kept] for name, column in columns.items()}))
            start = end
        parts = [part for part in parts if len(part[1]["device"])]
        return Rows(parts, self.measured[chosen], self.place[chosen], self.devices)

    def cells(self, measured: tuple[Device, ...]) -> dict[str, np.ndarray]:
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
    return Rows(parts, np.concatenate(measured), np.concatenate(place), devices)


def hashes_of(table: OperationTable, rows: np.ndarray) -> np.ndarray:
    """Where each row falls in 0–1 by its hash."""
    lines = list(zip(*table.cells, strict=True))
    hashes = (hashlib.sha256("|".join(lines[row]).encode()).hexdigest()[:8] for row in rows)
    return np.array([int(each, 16) / 16**8 for each in hashes])


def bases(
    rows: Rows, measured: tuple[Device, ...]
) -> tuple[dict[str, form.Roofline], np.ndarray, dict[str, np.ndarray]]:
    """The roofline of each kind, base times and coordinates of all rows."""
    lines, base, coordinates, start = {}, [], defaultdict(list), 0
    for kind, columns in rows.parts:
        peak = peaks_of(kind, columns, place_rows(columns, rows.devices, measured))
        assert not (peak.reason != "").any(), set(peak.reason)
        seconds = rows.measured[start : start + len(peak.floor_s)]
        start += len(seconds)
        lines[kind] = roofline(peak, seconds)
        base.append(base_s(peak, lines[kind]))
        for name, values in axes_of(peak, base[-1]).items():
            coordinates[name].append(values)
    joined = {name: np.concatenate(values) for name, values in coordinates.items()}
    return lines, np.concatenate(base), joined


def roofline(peak: Peaks, measured: np.ndarray) -> form.Roofline:
    """The four numbers under the corrections, robustly."""

    def deviation(x: np.ndarray) -> np.ndarray:
        line = form.Roofline(
            overhead_s=np.exp(x[0]), compute_fraction=np.exp(x[1]),
            memory_fraction=np.exp(x[2]), norm=1 + np.exp(x[3]),
        )  # fmt: skip
        return np.log(base_s(peak, line) / measured)

    bounds = ([np.log(1e-6), np.log(0.02), np.log(0.1), -4], [np.log(1e-4), 0, 0.3, 2])
    x = least_squares(deviation, [np.log(5e-6), -0.7, -0.3, 0.5], bounds=bounds, loss="soft_l1").x
    figures = [float(f"{v:.4g}") for v in (*np.exp(x[:3]), 1 + np.exp(x[3]))]
    names = ("overhead_s", "compute_fraction", "memory_fraction", "norm")
    return form.Roofline(**dict(zip(names, figures, strict=True)))


def curves_of(coordinates: dict[str, np.ndarray], design: Design) -> dict[str, Any]:
    """Every curve with its knots over the range of the fitted rows."""

    def axis(name: str, step: float) -> form.Axis:
        low, high = np.floor(coordinates[name].min()), np.ceil(coordinates[name].max())
        count = max(int(np.ceil((high - low) / step)) + 1, 2)
        return form.Axis(of=name, start=float(low), step=step, count=count)

    found: dict[str, Any] = {"offset": ()}
    for name in (*design.axes, "time", "balance"):
        found[name] = (axis(name, design.step),)
    for pair in design.surfaces:
        found[form.TIMES.join(pair)] = tuple(axis(name, design.surface_step) for name in pair)
    return found


def matrix(
    design: Design, curves: dict[str, Any], x: dict[str, np.ndarray], cells: Any
) -> tuple[sparse.csr_matrix, sparse.csr_matrix, list[Any]]:
    """The design matrix, the penalty on its heights, and what the columns are."""
    rows = len(cells["kind"])
    empty = np.full(rows, "", object)
    grid = grid_of(curves)
    index, weight = grid.place(x, rows)
    row = np.repeat(np.arange(rows), index.shape[1])
    costs = [
        _roughness(tuple(a.count for a in axes), design.smoothness) for axes in curves.values()
    ]
    cost = sparse.block_diag(costs)
    blocks, penalties, labels, start = [], [], [], 0
    for number, (by, strength) in enumerate(design.levels):
        codes, keys = codes_of([cells.get(name, empty) for name in by], rows)
        shape = (rows, len(keys) * grid.heights)
        column = codes[:, None] * grid.heights + index
        blocks.append(sparse.csr_matrix((weight.ravel(), (row, column.ravel())), shape=shape))
        penalties += [strength * cost] * len(keys)
        for code, key in enumerate(keys):
            count = int((codes == code).sum())
            labels.append((number, key, start + code * grid.heights, count))
        start += shape[1]
    return sparse.hstack(blocks).tocsr(), sparse.block_diag(penalties).tocsr(), labels


@functools.lru_cache(maxsize=256)
def _roughness(counts: tuple[int, ...], smoothness: float) -> sparse.csr_matrix:
    """What heights cost: their squares, and those of steps between neighbours."""
    size = int(np.prod(counts)) if counts else 1
    if not counts:
        return sparse.identity(1) * 0.1
    total = sparse.identity(size)
    for at, count in enumerate(counts):
        step = sparse.diags([-1.0, 1.0], [0, 1], shape=(count - 1, count))
        parts = [sparse.identity(n) if i != at else step.T @ step for i, n in enumerate(counts)]
        total = total + smoothness * functools.reduce(sparse.kron, parts)
    return sparse.csr_matrix(total)


def solve(a: sparse.csr_matrix, penalty: sparse.csr_matrix, y: np.ndarray) -> np.ndarray:
    """Penalised least squares with outliers held down."""
    weights, found = np.ones(len(y)), np.zeros(a.shape[1])
    squares = a.multiply(a).tocsr()
    for _ in range(ROUNDS):
        normal = LinearOperator(
            (a.shape[1],) * 2,
            matvec=lambda x, w=weights: a.T @ (w * (a @ x)) + penalty @ x,
            dtype=float,
        )
        preconditioner = sparse.diags(1 / (squares.T @ weights + penalty.diagonal()))
        target = a.T @ (weights * y)
        found, _ = cg(normal, target, x0=found, M=preconditioner, maxiter=300, rtol=1e-4)
        off = np.abs(y - a @ found)
        weights = np.where(off < HUBER, 1.0, HUBER / np.maximum(off, 1e-9))
    return found


def fit(design: Design, rows: Rows) -> form.Calibration:
    """Fit one profile, without bands or errors."""
    names = tuple(
        name
        for name in sorted(rows.devices)
        if any((columns["device"] == name).any() for _, columns in rows.parts)
    )
    measured = tuple(load_device(name) for name in names)
    lines, base, x = bases(rows, measured)
    curves = curves_of(x, design)
    a, penalty, labels = matrix(design, curves, x, rows.cells(measured))
    heights = solve(a, penalty, np.log(rows.measured / base))
    return form.Calibration(
        schema_version=1, kind="calibration", id=design.id, kinds=design.kinds, devices=names,
        formula="(launches t0 + ((c/ec)^p + (b/em)^p)^(1/p) + q/em) exp(sum of curves)",
        rooflines=lines, curves=curves, levels=levels(design, curves, labels, heights),
        bands=form.Bands(by=(), edges=(), p10=(-0.3,), p90=(0.3,), spreads=(), otherwise=1.0,
                         unmeasured=(-0.5, 0.5)),
        split=form.Split(rule=RULE, fitted=len(rows.measured), tested=0), errors=(),
        source_note=design.note, sources=design.sources,
    )  # fmt: skip


def levels(
    design: Design, curves: dict[str, Any], labels: list[Any], heights: np.ndarray
) -> tuple[form.Level, ...]:
    """The heights as text, group by group, the most measured first."""
    grid = grid_of(curves)
    ends = [*grid.firsts[1:], grid.heights]
    groups: dict[int, list[form.Group]] = defaultdict(list)
    for number, key, start, rows in sorted(labels, key=lambda label: (-label[3], label[1])):
        texts = {}
        for name, first, end in zip(curves, grid.firsts, ends, strict=True):
            whole = np.round(heights[start + first : start + end] * 1000).astype(int)
            if whole.any():
                texts[name] = " ".join(map(str, whole))
        groups[number].append(form.Group(key=key, rows=rows, curves=texts))
    return tuple(
        form.Level(by=by, groups=tuple(groups[number]))
        for number, (by, _) in enumerate(design.levels)
    )


def predicted(rows: Rows, profile: form.Calibration) -> Any:
    """Times of rows, all kinds one after another."""
    found = [operation_times(kind, c, rows.devices, profile) for kind, c in rows.parts]
    names = ("time_s", "p10_s", "p90_s", "floor_s")
    return {name: np.concatenate([getattr(each, name) for each in found]) for name in names}


def bands(design: Design, rows: Rows) -> form.Bands:
    """Quantiles of deviations on rows, and on devices, left out of a fit in turn."""
    fold = (rows.place * 1e6).astype(int) % FOLDS
    off, time = np.zeros(len(fold)), np.zeros(len(fold))
    for number in range(FOLDS):
        out = fold == number
        found = predicted(rows.take(out), fit(design, rows.take(~out)))["time_s"]
        off[out], time[out] = np.log(rows.measured[out] / found), found
    measured = tuple(load_device(name) for name in sorted(rows.devices))
    cells = rows.cells(measured)
    empty = np.full(len(fold), "", object)
    codes, keys = codes_of([cells.get(name, empty) for name in design.bands_by], len(fold))
    whole = float(np.median(np.abs(off)))
    spread = np.array([_spread(np.abs(off[codes == code]), whole) for code in range(len(keys))])
    scaled = off / spread[codes]
    log_time = np.log2(time * 1e6)
    edges = np.unique(np.round(np.quantile(log_time, np.linspace(0, 1, 7)[1:-1]), 2))
    place = np.searchsorted(edges, log_time)
    quantiles = [np.quantile(scaled[place == i], [0.1, 0.9]) for i in range(len(edges) + 1)]
    return form.Bands(
        by=design.bands_by, edges=tuple(edges.tolist()),
        p10=tuple(round(float(q[0]), 3) for q in quantiles),
        p90=tuple(round(float(q[1]), 3) for q in quantiles),
        spreads=tuple(
            form.Spread(key=key, deviation=round(float(s), 4))
            for key, s in zip(keys, spread, strict=True)
        ),
        otherwise=round(whole * 1.5, 4), unmeasured=unmeasured(design, rows),
    )  # fmt: skip


def _spread(off: np.ndarray, whole: float) -> float:
    """Median deviation of a group, drawn to that of all where the group is small."""
    return float((np.median(off) * len(off) + whole * 20) / (len(off) + 20))


def unmeasured(design: Design, rows: Rows) -> tuple[float, float]:
    """Quantiles of deviations on devices left out in turn."""
    device = np.concatenate([columns["device"] for _, columns in rows.parts])
    off = []
    for name in dict.fromkeys(device):
        out = device == name
        if out.all():
            return -0.5, 0.5
        found = predicted(rows.take(out), fit(design, rows.take(~out)))["time_s"]
        log = np.log(rows.measured[out] / found)
        off.append(log)
        print(
            f"    without {name}: median error {np.median(np.abs(np.expm1(-log))):.3f}", flush=True
        )
    low, high = np.quantile(np.concatenate(off), [0.1, 0.9])
    return round(float(low), 3), round(float(high), 3)


def errors(design: Design, rows: Rows, profile: form.Calibration) -> tuple[form.Errors, ...]:
    """Errors by kind and format of rows kept apart."""
    found = predicted(rows, profile)
    off = np.abs(found["time_s"] / rows.measured - 1)
    inside = (found["p10_s"] <= rows.measured) & (rows.measured <= found["p90_s"])
    ratio = rows.measured / found["floor_s"]
    cells = rows.cells(tuple(load_device(name) for name in profile.devices))
    empty = np.full(len(off), "", object)
    by = ("kind", "dtype", "kv_dtype", "device")
    codes, keys = codes_of([cells.get(name, empty) for name in by], len(off))
    return tuple(
        form.Errors(
            key=tuple(part for part in key if part), rows=int((codes == code).sum()),
            median_fraction=_third(np.median(off[codes == code])),
            p90_fraction=_third(np.quantile(off[codes == code], 0.9)),
            in_band_fraction=_third(inside[codes == code].mean()),
            floor_fraction=_third(np.median(np.abs(1 / ratio[codes == code] - 1))),
            constant_fraction=_third(
                np.median(np.abs(np.median(ratio[codes == code]) / ratio[codes == code] - 1))
            ),
        )
        for code, key in enumerate(keys)
    )  # fmt: skip


def _third(value: Any) -> float:
    return round(float(value), 3)


def build(folder: Path, design: Design) -> None:
    """Fit, test and write one profile."""
    rows = rows_of(folder, design)
    tested = rows.place >= FITTED
    train, test = rows.take(~tested), rows.take(tested)
    profile = fit(design, train).model_copy(update={"bands": bands(design, train)})
    split = replace_split(profile, len(test.measured))
    profile = profile.model_copy(update={"split": split})
    profile = profile.model_copy(update={"errors": errors(design, test, profile)})
    report(design, test, profile)
    TARGET.mkdir(exist_ok=True)
    text = yaml.safe_dump(
        profile.model_dump(mode="json", exclude_none=True), sort_keys=False, width=10**6,
        default_flow_style=None, allow_unicode=True,
    )  # fmt: skip
    (TARGET / f"{design.id}.yaml").write_text(f"# Written by {Path(__file__).name}.\n{text}")


def replace_split(profile: form.Calibration, tested: int) -> form.Split:
    """The split with the count of rows kept apart."""
    return profile.split.model_copy(update={"tested": tested})


def report(design: Design, rows: Rows, profile: form.Calibration) -> None:
    """Print the errors on rows kept apart."""
    found = predicted(rows, profile)
    off = np.abs(found["time_s"] / rows.measured - 1)
    inside = (found["p10_s"] <= rows.measured) & (rows.measured <= found["p90_s"])
    print(
        f"{design.id}: {profile.split.fitted} fitted, {len(off)} tested, "
        f"median {np.median(off):.3f}, "
        f"p90 {np.quantile(off, 0.9):.3f}, in band {inside.mean():.3f}", flush=True,
    )  # fmt: skip


def main(arguments: Sequence[str]) -> None:
    """Build the profiles named, or all."""
    warnings.filterwarnings("ignore", category=RuntimeWarning)
    for design in DESIGNS:
        if not arguments[1:] or design.id in arguments[1:]:
            build(Path(arguments[0]), design)


if __name__ == "__main__":
    main(sys.argv[1:])
