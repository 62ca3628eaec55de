"""Charts of a fleet: speed against throughput, and times against load."""

from __future__ import annotations

from dataclasses import dataclass

from planner.charts import Axis, Chart, Component, Series
from planner.fleet import Fleet
from planner.units import format_seconds

LOADS = (0.2, 0.4, 0.6, 0.8, 0.9, 1.0, 1.1, 1.25)
PERCENTS: tuple[tuple[int, Component], ...] = ((50, "decode"), (90, "prefill"), (99, "roof"))
_SHADES: tuple[Component, ...] = ("MHA", "GQA", "MQA", "MLA", "SWA", "SSM", "HYBRID")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPoint:
    """The shown fleet at one load, simulated.

    Parameters
    ----------
    rate_per_s : float
        Requests per second over the fleet. [1/s]
    ttft_s, tpot_s : dict
        Percentile by percent. [s]
    overloaded : bool
        Whether the queue still grew.
    holds : bool
        Whether all objectives hold at their percentile.
    """

    rate_per_s: float
    ttft_s: dict[int, float]
    tpot_s: dict[int, float]
    overloaded: bool
    holds: bool


def load_curve(fleet: Fleet, *, requests: int = 1500) -> tuple[LoadPoint, ...]:
    """Simulate the shown fleet at loads around the peak.

    Parameters
    ----------
    fleet : Fleet
        The answer.
    requests : int
        Requests of one replica at each load. [1]

    Returns
    -------
    tuple of LoadPoint
        By load, ascending.
    """
    service, place = fleet.service, fleet.shown
    replicas = fleet.row(place)["replicas"]
    objectives = service.question.objectives
    found = []
    for share in LOADS:
        outcome = service.simulated(place, requests=requests, replicas=replicas / share)
        held = all(
            outcome.percentile(name, objectives.percent) <= most
            for name, most in objectives.bounds().items()
        )
        found.append(
            LoadPoint(
                rate_per_s=service.rate_per_s * share,
                ttft_s={p: outcome.percentile("ttft_s", p) for p, _ in PERCENTS},
                tpot_s={p: outcome.percentile("tpot_s", p) for p, _ in PERCENTS},
                overloaded=outcome.overloaded,
                holds=held and not outcome.overloaded,
            )
        )
    return tuple(found)


def load_chart(points: tuple[LoadPoint, ...], figure: str) -> Chart:
    """Return the chart of a time against load.

    Parameters
    ----------
    points : tuple of LoadPoint
        The curve.
    figure : {"ttft_s", "tpot_s"}
        Which time.

    Returns
    -------
    Chart
        A line for each percentile.
    """
    name = figure.removesuffix("_s").upper()
    rates = tuple(point.rate_per_s for point in points)
    series = tuple(
        Series(
            name=f"p{percent}",
            component=component,
            mark="line",
            x=rates,
            y=tuple(getattr(point, figure)[percent] for point in points),
            texts=tuple(
                f"{point.rate_per_s:.3g}/s: {format_seconds(getattr(point, figure)[percent])}"
                for point in points
            ),
            dashed=percent == PERCENTS[-1][0],
        )
        for percent, component in PERCENTS
    )
    return Chart(
        title=f"{name} against load",
        alt=f"{name} of one replica, simulated, at p50, p90 and p99 from {rates[0]:.3g} to "
        f"{rates[-1]:.3g} requests per second.",
        x=Axis(label="requests per second, whole fleet"),
        y=Axis(label=f"{name} [s]", log=True),
        series=series,
    )


def front_chart(fleet: Fleet) -> Chart:
    """Return the chart of speed for each user against throughput of each device.

    Parameters
    ----------
    fleet : Fleet
        The answer.

    Returns
    -------
    Chart
        The points that none beats in both, in a colour for each of the first few deployables.
    """
    front = fleet.service.search.front()
    names = list(dict.fromkeys(point.deployable for point in front))
    series = []
    for at, name in enumerate(names):
        own = [point for point in front if point.deployable == name]
        label = fleet.service.deployables[name].id
        series.append(
            Series(
                name=label,
                component=_SHADES[at % len(_SHADES)],
                mark="point",
                x=tuple(point.tokens_per_s_per_user for point in own),
                y=tuple(point.tokens_per_s_per_device for point in own),
                texts=tuple(
                    f"{label}: {point.batch:.0f} sequences, {point.tokens_per_s_per_user:,.0f} "
                    f"tokens/s per user, {point.tokens_per_s_per_device:,.0f} per device"
                    for point in own
                ),
            )
        )
    return Chart(
        title="Speed for a user against throughput of a device",
        alt=f"{len(front)} operating points of {len(names)} deployments that no other beats in "
        "both speed and throughput.",
        x=Axis(label="output tokens per second and user", log=True),
        y=Axis(label="output tokens per second and device", log=True),
        series=tuple(series),
    )


__all__ = ["LoadPoint", "front_chart", "load_chart", "load_curve"]
