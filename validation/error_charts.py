"""Charts of predictions beside measurements, as data."""

from __future__ import annotations

from planner.charts import Axis, Chart, Component, Series
from validation.compare import Comparison, Pair, describe
from validation.shares import percent, signed

_PHASES: tuple[tuple[str, Component], ...] = (
    ("Prefill", "prefill"),
    ("Decode", "decode"),
    ("Products, copies, norms, messages", "activations"),
)
_MS = 1e3


def _phase(pair: Pair) -> str:
    last = pair.observation.kind.rpartition("_")[2]
    return _PHASES[{"prefill": 0, "decode": 1}.get(last, 2)][0]


def _measured_s(pair: Pair) -> float:
    return float(pair.observation.measured_s or 0.0)


def _series(pairs: tuple[Pair, ...], name: str, component: Component, *, by_kind: bool) -> Series:
    shown = [pair for pair in pairs if _phase(pair) == name]
    kinds = tuple(pair.observation.kind.replace("_", " ") for pair in shown)
    times = tuple(_measured_s(pair) * _MS for pair in shown)
    predicted = tuple(float(pair.predicted_s or 0.0) * _MS for pair in shown)
    return Series(
        name=name,
        component=component,
        mark="point",
        x=kinds if by_kind else times,
        y=tuple(100 * float(pair.error or 0.0) for pair in shown) if by_kind else predicted,
        texts=tuple(describe(pair)[0] for pair in shown),
    )


def _all_series(comparison: Comparison, *, by_kind: bool) -> tuple[Series, ...]:
    found = (
        _series(comparison.pairs, name, component, by_kind=by_kind) for name, component in _PHASES
    )
    return tuple(series for series in found if series.x)


def scatter_chart(comparison: Comparison) -> Chart:
    """Return predicted against measured times, a series per phase.

    Parameters
    ----------
    comparison : Comparison
        At least one row; all of them count.

    Returns
    -------
    Chart
        Milliseconds on logarithmic axes, and the line on which both are equal.
    """
    points = _all_series(comparison, by_kind=False)
    times = [time for series in points for time in (*map(float, series.x), *series.y)]
    ends = (min(times), max(times))
    equal = Series(
        name="Predicted = measured",
        component="roof",
        mark="line",
        x=ends,
        y=ends,
        texts=("least time", "greatest time"),
    )
    return Chart(
        title="Predicted against measured",
        alt=f"Predicted against measured time of {len(comparison.pairs)} rows, by "
        f"{comparison.by}, from {ends[0]:.3g} to {ends[1]:.3g} ms; off by "
        f"{percent(comparison.median_error or 0.0)} in the median.",
        x=Axis(label="measured time in ms", log=True),
        y=Axis(label="predicted time in ms", log=True),
        series=(equal, *points),
    )


def error_chart(comparison: Comparison) -> Chart:
    """Return the error of every row, by kind.

    Parameters
    ----------
    comparison : Comparison
        At least one row; all of them count.

    Returns
    -------
    Chart
        Percent of the measured time; below zero where a row took longer than predicted.
    """
    points = _all_series(comparison, by_kind=True)
    kinds = [str(kind) for series in points for kind in dict.fromkeys(series.x)]
    errors = [error for series in points for error in series.y]
    none = Series(
        name="No error",
        component="roof",
        mark="line",
        x=(kinds[0], kinds[-1]),
        y=(0.0, 0.0),
        texts=("no error", "no error"),
    )
    return Chart(
        title="Error by kind",
        alt=f"Error of {len(errors)} rows, by {comparison.by}, of the kinds {', '.join(kinds)}; "
        f"from {signed(min(errors) / 100)} to {signed(max(errors) / 100)}.",
        x=Axis(label=""),
        y=Axis(label="predicted less measured, in % of measured"),
        series=(*points, none),
    )
