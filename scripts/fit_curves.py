"""Roofline and correction curves of one calibration profile, by penalised least squares."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np
import scipy.sparse as sparse
from fit_rows import Rows
from profile_designs import Design
from scipy.optimize import least_squares
from scipy.sparse.linalg import LinearOperator, cg

from planner.cost import calibration as form
from planner.cost.correction import grid_of
from planner.cost.peaks import Peaks, axes_of, base_s, peaks_of, place_rows
from planner.cost.work import codes_of
from planner.hardware import Device, Devices

RULE = "fitted where the row's place by its hash (place_of_row) is below fitted_below"
FITTED = 0.8
HUBER = 0.15
ROUNDS = 5


def bases(
    rows: Rows, measured: Mapping[str, Device]
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
    index, weight = (placed.T for placed in grid.place(x, rows))
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
    measured = Devices(names)
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
        split=form.Split(
            rule=RULE, fitted_below=FITTED, origins=rows.origins,
            fitted=len(rows.measured), tested=0,
        ), errors=(),
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
