"""Fit what engines take beyond their kernels: python scripts/fit_served_loads.py CLOSED SATURATED.

Half of the groups of runs, by a hash, are fitted; a group is a model, device, engine, precision,
layout and pair of lengths at all its concurrencies. Bands come from groups left out in turn within
that half. Only then is the other half asked, once.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from planner.errors import PlannerError
from planner.served_prediction import bare_steps, group_of
from planner.served_sites import site_of
from planner.served_table import ServedRow, read_served_table
from planner.serving.engine_habits import PARTS, Habits
from planner.serving.served_load import BareSteps

TARGET = Path(__file__).parents[1] / "hardware_specs/served_loads/engines.yaml"
ENGINES = ("tensorrt-llm", "vllm", "sglang")
PRECISIONS = ("fp8", "fp4", "int4")
SPLIT = (
    "sha256 of billions of parameters, device, engine, precision, layout, lengths and kind; an "
    "even first byte is fitted"
)
HEAD = "# Written by scripts/fit_served_loads.py; change that, not this file.\n"
TPOT = (("pace", 1.0, 2.0), ("step_s", 3e-4, 1.0), ("layer_s", 2e-6, 1.0),
        ("sequence_s", 3e-6, 1.0), ("interleaved", 1.0, 2.0))  # fmt: skip
TTFT = (("request_s", 1e-2, 3.0), ("launch_s", 3e-5, 1.0), ("prompt", 1.0, 2.0),
        ("waited_steps", 0.6, 1.0), ("burst", 0.05, 1.0))  # fmt: skip
"""Constants of each engine: where they start, and how firmly they are held there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """Runs of a table with their kernel seconds, a column each."""

    rows: list[ServedRow]
    bare: BareSteps
    engine: np.ndarray
    precision: np.ndarray
    group: np.ndarray
    model: np.ndarray
    device: np.ndarray

    def measured(self, column: str) -> np.ndarray:
        """A measured column; NaN where there is none."""
        return np.array([row.measured(column) or np.nan for row in self.rows])

    @property
    def fitted(self) -> np.ndarray:
        """Whether a run is in the half that constants are fitted on."""
        return np.array([int(each[:2], 16) % 2 == 0 for each in self.group])

    def take(self, at: np.ndarray) -> tuple[BareSteps, np.ndarray, np.ndarray]:
        """Kernel seconds, engines and precisions of some of them."""
        bare = self.bare
        chosen = BareSteps(
            decode_s=bare.decode_s[:, at], prefill_s=bare.prefill_s[:, at],
            sequences=bare.sequences[at], osl=bare.osl[at], layers=np.asarray(bare.layers)[at],
            launches=np.asarray(bare.launches)[at],
        )  # fmt: skip
        return chosen, self.engine[at], self.precision[at]


def load_runs(path: Path, kind: str) -> Runs:
    """Read the runs of one kind that a site can be found for."""
    places: dict[tuple[Any, ...], list[ServedRow]] = {}
    for row in read_served_table(path):
        if row.run is not None and row.run.kind == kind:
            places.setdefault(row.run.place, []).append(row)
    rows, steps, groups, parameters, layers, launches = [], [], [], [], [], []
    for members in places.values():
        runs = [row.run for row in members]
        try:
            site = site_of(runs[0])
            steps.append(bare_steps(site, runs))
        except PlannerError:
            continue
        rows += members
        groups += [group_of(run, site.model.parameters) for run in runs]
        parameters += [site.model.parameters // 10**9] * len(runs)
        layers += [steps[-1].layers] * len(runs)
        launches += [steps[-1].launches] * len(runs)
    bare = BareSteps(
        decode_s=np.concatenate([each.decode_s for each in steps], axis=1),
        prefill_s=np.concatenate([each.prefill_s for each in steps], axis=1),
        sequences=np.concatenate([each.sequences for each in steps]),
        osl=np.concatenate([each.osl for each in steps]),
        layers=np.array(layers, dtype=float),
        launches=np.array(launches, dtype=float),
    )
    return Runs(
        rows=rows, bare=bare, group=np.array(groups), model=np.array(parameters),
        engine=np.array([ENGINES.index(row.run.engine) for row in rows]),
        precision=np.array([(*PRECISIONS, row.run.precision).index(row.run.precision)
                            if row.run.precision in PRECISIONS else len(PRECISIONS)
                            for row in rows]),
        device=np.array([row.run.device for row in rows]),
    )  # fmt: skip


def start() -> tuple[np.ndarray, np.ndarray]:
    """Logarithms of the constants before anything is fitted, and how firmly they are held."""
    first = np.zeros(len(PARTS) + 2 * len(PRECISIONS))
    firm = np.concatenate([np.full(len(PARTS), 3.0), np.full(2 * len(PRECISIONS), 2.0)])
    for _, value, hold in (*TPOT, *TTFT):
        first = np.concatenate([first, np.full(len(ENGINES), np.log(value))])
        firm = np.concatenate([firm, np.full(len(ENGINES), hold)])
    return first, firm


def habits_from(x: np.ndarray, engine: np.ndarray, precision: np.ndarray) -> Habits:
    """The constants of each run."""
    parts, count = np.exp(x[: len(PARTS)]), len(PARTS)
    scales = {}
    for name in ("gemm", "moe"):
        scale = np.append(np.exp(x[count : count + len(PRECISIONS)]), 1.0)
        scales[name], count = scale[precision], count + len(PRECISIONS)
    fields = {}
    for name, _, _ in (*TPOT, *TTFT):
        fields[name] = np.exp(x[count : count + len(ENGINES)])[engine]
        count += len(ENGINES)
    scaled = tuple(part * scales.get(name, 1.0) for name, part in zip(PARTS, parts, strict=True))
    return Habits(parts=scaled, **fields)


def tpot_s(runs: Runs, x: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Predicted TPOT."""
    bare, engine, precision = runs.take(at)
    return bare.tpot_s(habits_from(x, engine, precision))


def ttft_s(runs: Runs, x: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Predicted TTFT."""
    bare, engine, precision = runs.take(at)
    return bare.ttft_s(habits_from(x, engine, precision))


def minimise(
    residual: Callable[[np.ndarray], np.ndarray], x: np.ndarray, firm: np.ndarray,
    free: np.ndarray, delta: float,
) -> np.ndarray:  # fmt: skip
    """Huber's loss of the residuals plus a hold on the start, by damped Gauss-Newton steps."""
    first, x, damping = x, x.copy(), 1e-2

    def loss(r: np.ndarray, x: np.ndarray) -> float:
        a = np.abs(r)
        huber = np.where(a < delta, a * a / 2, delta * (a - delta / 2)).sum()
        return float(huber + ((firm * (x - first))[free] ** 2).sum() / 2)

    r = residual(x)
    best = loss(r, x)
    for _ in range(60):
        jacobian = np.empty((r.size, free.size))
        for column, index in enumerate(free):
            moved = x.copy()
            moved[index] += 1e-4
            jacobian[:, column] = (residual(moved) - r) / 1e-4
        weight = np.minimum(1.0, delta / np.maximum(np.abs(r), 1e-12))
        hold = firm[free] ** 2
        curvature = jacobian.T @ (jacobian * weight[:, None]) + np.diag(hold)
        slope = jacobian.T @ (weight * r) + hold * (x - first)[free]
        for _ in range(8):
            tried = x.copy()
            tried[free] -= np.linalg.solve(curvature + damping * np.diag(np.diag(curvature)), slope)
            new = residual(tried)
            if loss(new, tried) < best:
                break
            damping *= 4
        else:
            return x
        gain, x, r, best = best - loss(new, tried), tried, new, loss(new, tried)
        damping = max(damping / 3, 1e-6)
        if gain < 1e-7 * best:
            return x
    return x


def fit(runs: Runs, at: np.ndarray) -> np.ndarray:
    """Constants fitted on some runs: those of TPOT first, then those that TTFT adds."""
    x, firm = start()
    steps = len(PARTS) + 2 * len(PRECISIONS) + len(TPOT) * len(ENGINES)
    for predict, column, free, delta in (
        (tpot_s, "tpot_s", np.arange(steps), 0.12),
        (ttft_s, "ttft_s", np.arange(steps, x.size), 0.3),
    ):
        measured = runs.measured(column)
        some = at[np.isfinite(measured[at])]
        truth = np.log(measured[some])
        x = minimise(
            lambda y, some=some, truth=truth, predict=predict: (
                np.log(predict(runs, y, some)) - truth
            ), x, firm, free, delta,
        )  # fmt: skip
    return x


def left_out(runs: Runs, at: np.ndarray, by: np.ndarray) -> dict[str, np.ndarray]:
    """Logarithms of predicted over measured, each fold predicted by constants of the others."""
    found: dict[str, list[np.ndarray]] = {"tpot": [], "ttft": [], "throughput": []}
    for name in np.unique(by[at]):
        inside, outside = at[by[at] == name], at[by[at] != name]
        x = fit(runs, outside)
        for figure, values in logs(runs, x, inside).items():
            found[figure].append(values)
    return {name: np.concatenate(parts) for name, parts in found.items()}


def logs(runs: Runs, x: np.ndarray, at: np.ndarray) -> dict[str, np.ndarray]:
    """Logarithms of predicted over measured where measured."""
    found = {}
    times = {"tpot": tpot_s(runs, x, at), "ttft": ttft_s(runs, x, at)}
    truth = {name: runs.measured(f"{name}_s")[at] for name in times}
    osl = runs.bare.osl[at]
    times["throughput"] = 1 / (times["ttft"] + times["tpot"] * (osl - 1))
    truth["throughput"] = 1 / (truth["ttft"] + truth["tpot"] * (osl - 1))
    for name, values in times.items():
        ratio = np.log(values / truth[name])
        found[name] = ratio[np.isfinite(ratio)]
    return found


def error_row(ratio: np.ndarray, band: dict[str, float]) -> dict[str, float | int]:
    """Count, median and p90 of absolute relative errors, and the share inside the band."""
    errors, factor = np.abs(np.expm1(ratio)), np.exp(-ratio)
    inside = (band["low"] <= factor) & (factor <= band["high"])
    return {
        "rows": int(errors.size),
        "median_fraction": round(float(np.median(errors)), 4),
        "p90_fraction": round(float(np.quantile(errors, 0.9)), 4),
        "in_band_fraction": round(float(inside.mean()), 4),
    }


def queued_logs(queue: Runs, x: np.ndarray, pace: float) -> np.ndarray:
    """Logarithms of predicted over measured throughput of the half that is not fitted."""
    at = np.flatnonzero(~queue.fitted & np.isfinite(queue.measured("output_tokens_per_s")))
    return np.log(pace * rates(queue, x, at) / queue.measured("output_tokens_per_s")[at])


def rates(queue: Runs, x: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Tokens per second with all requests queued, by the closed form."""
    ranks = np.array([row.run.attention_dp * row.run.replicas for row in queue.rows])[at]
    return queue.bare.sequences[at] * ranks / tpot_s(queue, x, at)


def queued_pace(runs: Runs, x: np.ndarray) -> float:
    """Measured throughput over the closed form's with all requests queued, fitted half alone."""
    at = np.flatnonzero(runs.fitted & np.isfinite(runs.measured("output_tokens_per_s")))
    return float(np.median(runs.measured("output_tokens_per_s")[at] / rates(runs, x, at)))


def band_of(ratio: np.ndarray) -> dict[str, float]:
    """Factors from a prediction to the tenth and ninetieth percentile of what is measured."""
    low, high = np.exp(-np.quantile(ratio, [0.9, 0.1]))
    return {"low": figure(low), "high": figure(high)}


def errors_of(
    runs: Runs,
    queue: Runs,
    x: np.ndarray,
    folds: dict[str, Any],
    bands: dict[str, Any],
    pace: float,
) -> dict[str, Any]:
    """Errors of each figure, of folds and of the half that is not fitted."""
    outside = np.flatnonzero(~runs.fitted)
    asked = dict(folds)
    asked["other half"] = logs(runs, x, outside)
    for number, engine in enumerate(ENGINES):
        asked[f"other half, {engine}"] = logs(runs, x, outside[runs.engine[outside] == number])
    errors = {
        name: {fold: error_row(ratios[name], bands[name]) for fold, ratios in asked.items()}
        for name in ("tpot", "ttft", "throughput")
    }
    errors["throughput"]["all queued, other half"] = error_row(
        queued_logs(queue, x, pace), bands["throughput"]
    )
    return errors


def document(runs: Runs, queue: Runs, x: np.ndarray, folds: dict[str, Any]) -> dict[str, Any]:
    """The file."""
    engines: dict[str, dict[str, float]] = {}
    precision = np.arange(len(PRECISIONS))
    scales = habits_from(x, np.zeros(len(PRECISIONS), int), precision)
    plain = habits_from(x, np.arange(len(ENGINES)), np.full(len(ENGINES), len(PRECISIONS)))
    for at, engine in enumerate(ENGINES):
        engines[engine] = {n: figure(getattr(plain, n)[at]) for n, _, _ in (*TPOT, *TTFT)}
    parts = np.exp(x[: len(PARTS)])
    pace = queued_pace(queue, x)
    bands = {name: band_of(ratio) for name, ratio in folds["group left out"].items()}
    group = sorted(set(runs.group[runs.fitted]) | set(queue.group[queue.fitted]))
    return {
        "source": "InferenceMAX runs as collected by ai-dynamo/aiconfigurator 095f58a5 "
        "(Apache-2.0); performance pages of TensorRT-LLM (Apache-2.0)",
        "split": SPLIT,
        "fitted_rows": int(runs.fitted.sum() + queue.fitted.sum()),
        "parts": {name: figure(value) for name, value in zip(PARTS, parts, strict=True)},
        "precisions": {
            name: {
                "gemm": figure(scales.parts[PARTS.index("gemm")][at] / parts[PARTS.index("gemm")]),
                "moe": figure(scales.parts[PARTS.index("moe")][at] / parts[PARTS.index("moe")]),
            }
            for at, name in enumerate(PRECISIONS)
        },
        "engines": engines,
        "queued": figure(pace),
        "bands": bands,
        "errors": errors_of(runs, queue, x, folds, bands, pace),
        "fitted": [str(each) for each in group],
    }


def figure(value: float) -> float:
    """Four digits."""
    return float(f"{float(value):.4g}")


def main(arguments: Sequence[str]) -> None:
    """Fit, ask the other half once, and write the file."""
    closed, queued = (Path(each) for each in arguments)
    runs, queue = load_runs(closed, "closed_loop"), load_runs(queued, "saturated")
    inside = np.flatnonzero(runs.fitted)
    x = fit(runs, inside)
    fold = np.array([int(each[2:4], 16) % 5 for each in runs.group])
    folds = {
        "group left out": left_out(runs, inside, fold),
        "model left out": left_out(runs, inside, runs.model),
        "device left out": left_out(runs, inside, runs.device),
    }
    data = document(runs, queue, x, folds)
    for what, errors in data["errors"].items():
        for name, row in errors.items():
            print(f"{what:10s} {name:26s} {row}")
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(HEAD + yaml.safe_dump(data, sort_keys=False, width=100), encoding="utf-8")
    print(f"wrote {TARGET}")


if __name__ == "__main__":
    main(sys.argv[1:])
