"""Fit the calibration profiles to tables of measured operations.

Usage: ``python scripts/fit_efficiency.py FOLDER [PROFILE ...]``, where FOLDER holds the tables.
Needs SciPy: ``pip install -e '.[fit]'``. Four rows of five are fitted, by a hash of the row; errors
are of the fifth.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from fit_curves import FITTED, fit
from fit_rows import Rows, rows_of
from profile_designs import DESIGNS, Design
from profile_text import text_of

from planner.cost import calibration as form
from planner.cost.efficiency import operation_times
from planner.cost.work import codes_of
from planner.hardware import Devices

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "hardware_specs" / "calibration"
FOLDS = 5


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
    measured = Devices(sorted(rows.devices))
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


ERRORS_BY = ("kind", "dtype", "kv_dtype", "device")


def errors(train: Rows, test: Rows, profile: form.Calibration) -> tuple[form.Errors, ...]:
    """Errors by kind, format and device of rows kept apart, beside those of simpler models."""
    found = predicted(test, profile)
    off = np.abs(found["time_s"] / test.measured - 1)
    inside = (found["p10_s"] <= test.measured) & (test.measured <= found["p90_s"])
    ratio = test.measured / found["floor_s"]
    shares = constant_shares(train, profile)
    codes, keys = keys_of(test, profile)
    found_errors = []
    for code, key in enumerate(keys):
        here = codes == code
        constant = np.abs(shares.get(key, 1.0) / ratio[here] - 1)
        found_errors.append(
            form.Errors(
                key=key, rows=int(here.sum()),
                median_fraction=_third(np.median(off[here])),
                p90_fraction=_third(np.quantile(off[here], 0.9)),
                in_band_fraction=_third(inside[here].mean()),
                floor_fraction=_third(np.median(np.abs(1 / ratio[here] - 1))),
                constant_fraction=_third(np.median(constant)),
            )
        )  # fmt: skip
    return tuple(sorted(found_errors, key=lambda each: each.key))


def keys_of(rows: Rows, profile: form.Calibration) -> tuple[np.ndarray, list[Any]]:
    """Kind, format and device of rows."""
    cells = rows.cells(profile.measured)
    empty = np.full(len(rows.measured), "", object)
    return codes_of([cells.get(name, empty) for name in ERRORS_BY], len(rows.measured))


def constant_shares(rows: Rows, profile: form.Calibration) -> dict[Any, float]:
    """Median of measured over floor among fitted rows: a constant efficiency, inverted."""
    ratio = rows.measured / predicted(rows, profile)["floor_s"]
    codes, keys = keys_of(rows, profile)
    return {key: float(np.median(ratio[codes == code])) for code, key in enumerate(keys)}


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
    profile = profile.model_copy(update={"errors": errors(train, test, profile)})
    report(design, test, profile)
    TARGET.mkdir(exist_ok=True)
    (TARGET / f"{design.id}.json").write_text(text_of(profile), encoding="utf-8")


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
