"""Predictions for a table of served loads, those with the same site together."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from planner.errors import PlannerError
from planner.served_sites import site_of
from planner.served_table import Kind, ServedRow, ServedRun
from planner.serving.engine_habits import Figure, Habits, band_of, habits_of, load_habits
from planner.serving.served_load import BareSteps, Floats, closed_loop, saturated, static_batch
from planner.serving.site import Site

_HASH_DIGITS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Predicted:
    """What is predicted for one run.

    Parameters
    ----------
    ttft_s, tpot_s, output_tokens_per_s : tuple of float or None
        Value, p10 and p90; None where the load has no such figure. [s], [s], [tokens/s]
    fitted : bool
        Whether a constant was fitted on this very run.
    note : str
        What stands in for a measurement that nobody made; the band is wider then.
    """

    ttft_s: tuple[float, float, float] | None
    tpot_s: tuple[float, float, float] | None
    output_tokens_per_s: tuple[float, float, float] | None
    fitted: bool = False
    note: str = ""


def bare_steps(site: Site, runs: Sequence[ServedRun]) -> BareSteps:
    """Return the kernel seconds of runs on one site.

    Parameters
    ----------
    site : Site
        Of all of them.
    runs : sequence of ServedRun
        Of one kind.

    Returns
    -------
    BareSteps
        With a column for each.
    """
    isl, osl = (np.array([getattr(run, name) for run in runs]) for name in ("isl", "osl"))
    isl, osl = np.maximum(isl, 1.0), np.maximum(osl, 1.0)
    if runs[0].kind == "saturated":
        return saturated(site, isl, osl)
    each = np.array([run.concurrency / run.replicas for run in runs])
    form: Callable[..., BareSteps] = static_batch if runs[0].kind == "static_batch" else closed_loop
    return form(site, each, isl, osl)


def group_of(run: ServedRun, parameters: int) -> str:
    """Return the hash of what a run shares with its neighbours at other concurrencies.

    Models are told apart by their parameters, so that the same run under two names is one.

    Parameters
    ----------
    run : ServedRun
        The run.
    parameters : int
        Of its model. [1]

    Returns
    -------
    str
        Hexadecimal digits; an even first byte is the fitted half.
    """
    parts = (parameters // 10**9, *run.place[1:], run.isl, run.osl, run.kind)
    return hashlib.sha256("|".join(map(str, parts)).encode()).hexdigest()[:_HASH_DIGITS]


def predict_served(rows: Sequence[ServedRow]) -> list[Predicted | str]:
    """Return the prediction for every row, or the reason why there is none.

    Parameters
    ----------
    rows : sequence of ServedRow
        A table.

    Returns
    -------
    list of Predicted or str
        In the order of the rows.
    """
    found: list[Predicted | str] = [row.reason for row in rows]
    groups: dict[tuple[object, ...], list[int]] = {}
    for index, row in enumerate(rows):
        if row.run is not None:
            groups.setdefault((row.run.kind, *row.run.place), []).append(index)
    for members in groups.values():
        runs = [run for index in members if (run := rows[index].run) is not None]
        try:
            answers = _answers(runs)
        except PlannerError as error:
            for index in members:
                found[index] = str(error)
            continue
        for index, answer in zip(members, answers, strict=True):
            found[index] = answer
    return found


def _answers(runs: Sequence[ServedRun]) -> list[Predicted]:
    site, run = site_of(runs[0]), runs[0]
    bare, habits = bare_steps(site, runs), habits_of(run.engine, run.precision)
    note = _note(run, bare, habits)
    habits = replace(habits, measured=habits.measured and bare.calibrated)
    ranks = site.execution.layout.attention_dp * np.array([each.replicas for each in runs])
    columns = _figures(run.kind, bare, habits, ranks)
    fitted = set(load_habits().fitted)
    return [
        Predicted(
            ttft_s=_banded("ttft", columns[0], at, habits),
            tpot_s=_banded("tpot", columns[1], at, habits),
            output_tokens_per_s=_banded("throughput", columns[2], at, habits),
            fitted=group_of(each, site.model.parameters) in fitted,
            note=note,
        )
        for at, each in enumerate(runs)
    ]


def _note(run: ServedRun, bare: BareSteps, habits: Habits) -> str:
    said = []
    if not bare.calibrated:
        said.append(f"no calibration profile covers {run.device}: kernels count at their floor")
    if not habits.measured:
        said.append(
            f"no run of {run.engine or 'an unnamed engine'} in {run.precision or 'its own format'} "
            "was fitted: other engines' constants or the kernels' own pace stand in"
        )
    return "; ".join(said)


def _figures(
    kind: Kind, bare: BareSteps, habits: Habits, ranks: np.ndarray
) -> tuple[Floats | None, Floats, Floats | None]:
    """TTFT, TPOT and throughput of runs of a kind; None for what it does not tell.

    With prompts read elsewhere, TTFT and throughput hang on workers that decode rows do not tell.
    """
    in_flight = ranks * bare.sequences
    if kind == "saturated":
        tpot_s = bare.tpot_s(habits)
        return None, tpot_s, np.asarray(habits.queued * in_flight / tpot_s)
    if kind == "disaggregated":
        return None, bare.step_s(habits), None
    loop = kind == "closed_loop"
    ttft_s = bare.ttft_s(habits) if loop else bare.batch_ttft_s(habits)
    tpot_s = bare.tpot_s(habits) if loop else bare.step_s(habits)
    whole_s = ttft_s + tpot_s * np.maximum(bare.osl - 1, 0)
    return ttft_s, tpot_s, np.asarray(in_flight * bare.osl / whole_s)


def _banded(
    figure: Figure, column: Floats | None, at: int, habits: Habits
) -> tuple[float, float, float] | None:
    if column is None:
        return None
    low, high = band_of(figure, habits.measured)
    value = float(column[at])
    return value, value * low, value * high


__all__ = ["Predicted", "bare_steps", "group_of", "predict_served"]
