"""Charts as plain data: what is drawn, not how. The page and the reports draw the same ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from planner.comparison import MEANINGS, METRICS, Comparison, Curve, MetricName
from planner.model import Model
from planner.plan import Plan
from planner.units import GIB, format_bytes, format_quantity, format_si
from planner.variants import VARIANTS, Exchange, labels, variant

Component = Literal[
    "weights", "cache", "activations", "runtime", "graphs", "reserve", "free", "capacity", "model",
    "MHA", "GQA", "MQA", "MLA", "SWA", "SSM", "HYBRID", "prefill", "decode", "roof",
]  # fmt: skip
"""What a series stands for; one colour each, the same everywhere."""

_CURVE_POINTS = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """A labelled axis; the label holds the unit."""

    label: str
    log: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Points of one thing, with a text for each.

    Parameters
    ----------
    name : str
        Legend entry.
    component : str
        What it stands for; decides the colour.
    mark : {"bar", "line", "point"}
        How it is drawn.
    x : tuple
        Positions; names for bars.
    y : tuple of float
        Values.
    texts : tuple of str
        One per point, for tooltips and tables.
    dashed : bool
        Whether a line is dashed.
    """

    name: str
    component: Component
    mark: Literal["bar", "line", "point"]
    x: tuple[float | str, ...]
    y: tuple[float, ...]
    texts: tuple[str, ...] = ()
    dashed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A chart with its alternative text."""

    title: str
    alt: str
    x: Axis
    y: Axis
    series: tuple[Series, ...]
    stacked: bool = False


def memory_chart(plan: Plan) -> Chart:
    """Return the stacked bar of the fullest device against its capacity.

    Parameters
    ----------
    plan : Plan
        The answer.

    Returns
    -------
    Chart
        One bar in GiB, and the capacity as a line.
    """
    memory = plan.memory
    parts: list[tuple[str, Component, float]] = [
        ("Weights", "weights", memory.weights_bytes),
        ("KV cache and state", "cache", memory.cache_bytes),
        ("Activations", "activations", memory.activations_bytes),
        ("Runtime", "runtime", memory.runtime_bytes),
        ("Graphs", "graphs", memory.graphs_bytes),
        ("Left alone", "reserve", memory.reserve_bytes),
        ("Free", "free", max(plan.headroom_bytes, 0)),
    ]
    shown = [part for part in parts if part[2]]
    bars = tuple(
        Series(
            name=name,
            component=component,
            mark="bar",
            x=("fullest device",),
            y=(value / GIB,),
            texts=(f"{name}: {format_bytes(value)}",),
        )
        for name, component, value in shown
    )
    capacity = format_bytes(plan.capacity_bytes)
    limit = Series(
        name=f"Capacity {capacity}",
        component="capacity",
        mark="line",
        x=("fullest device",),
        y=(plan.capacity_bytes / GIB,),
        texts=(f"Capacity: {capacity}",),
        dashed=True,
    )
    listing = ", ".join(f"{name} {format_bytes(value)}" for name, _, value in shown)
    return Chart(
        title="Memory of the fullest device",
        alt=f"Stacked bar of device memory: {listing}; capacity {capacity}.",
        x=Axis(label=""),
        y=Axis(label="GiB"),
        series=(*bars, limit),
        stacked=True,
    )


def _contexts(plan: Plan) -> tuple[int, ...]:
    longest = max(plan.deployment.load.context, plan.model.usable_context or 0, 32_768)
    first = 256
    steps = (longest / first) ** (1 / (_CURVE_POINTS - 1))
    points = {round(first * steps**i) for i in range(_CURVE_POINTS)}
    return tuple(sorted(points | {plan.deployment.load.context}))


def cache_chart(plan: Plan) -> Chart:
    """Return what one sequence remembers, against context, with the mixer exchanged.

    Parameters
    ----------
    plan : Plan
        The answer; its model is the backbone.

    Returns
    -------
    Chart
        The model as it is, then every variant of the same backbone, in GiB of the whole model and
        one sequence.
    """
    contexts = _contexts(plan)
    execution = plan.deployment.execution

    def curve(name: str, component: Component, model: Model) -> Series:
        sizes = [model.cache_bytes(context, execution) for context in contexts]
        return Series(
            name=name,
            component=component,
            mark="line",
            x=contexts,
            y=tuple(size / GIB for size in sizes),
            texts=tuple(
                f"{name}: {format_bytes(size)} at {context:,} tokens"
                for size, context in zip(sizes, contexts, strict=True)
            ),
            dashed=component != "model",
        )

    series = [curve(plan.model.name, "model", plan.model)]
    named = zip(VARIANTS, labels([Exchange(name=name) for name in VARIANTS]), strict=True)
    series += [curve(label, name, variant(plan.model, name)) for name, label in named]
    last = ", ".join(f"{s.name} {format_bytes(s.y[-1] * GIB)}" for s in series)
    return Chart(
        title="Cache of one sequence against context, mixer exchanged",
        alt=f"Lines of cache size against context; at {contexts[-1]:,} tokens: {last}.",
        x=Axis(label="context in tokens", log=True),
        y=Axis(label="GiB per sequence", log=True),
        series=tuple(series),
    )


def roofline_chart(plan: Plan) -> Chart:
    """Return every operation under the roof of its device.

    Parameters
    ----------
    plan : Plan
        The answer.

    Returns
    -------
    Chart
        Arithmetic intensity in FLOP/B against the rate the roof admits, in TFLOP/s.
    """
    device = plan.deployment.scenario.hardware.device
    stream = plan.deployment.execution.stream.precision
    peak = device.rate(stream)
    bandwidth = device.memory_bandwidth_bytes_per_s
    points = []
    component: Component
    for component, cost in (("prefill", plan.prefill), ("decode", plan.decode)):
        xs, ys, texts = [], [], []
        for item in cost.operations:
            operation = item.operation
            moved = operation.read_bytes + operation.write_bytes
            if operation.flop and moved:
                intensity = operation.flop / moved
                rate = min(device.rate(operation.precision), intensity * bandwidth)
                xs.append(float(intensity))
                ys.append(rate / 1e12)
                texts.append(
                    f"{component} {item.layer} · {operation.name}: {intensity:.3g} FLOP/B, "
                    f"{item.bound} bound"
                )
        points.append(
            Series(
                name=component.capitalize(),
                component=component,
                mark="point",
                x=tuple(xs),
                y=tuple(ys),
                texts=tuple(texts),
            )
        )
    ridge = peak / bandwidth
    left = min([0.1, *(float(x) for s in points for x in s.x)])
    right = max([10 * ridge, *(float(x) for s in points for x in s.x)])
    roof = Series(
        name=f"Roof in {stream}",
        component="roof",
        mark="line",
        x=(left, ridge, right),
        y=(left * bandwidth / 1e12, peak / 1e12, peak / 1e12),
        texts=("memory roof", f"ridge at {ridge:.0f} FLOP/B", "compute roof"),
    )
    return Chart(
        title=f"Roofline of {device.name}",
        alt=f"Operations under a roof of {format_si(peak, 'FLOP/s')} and "
        f"{format_si(bandwidth, 'B/s')}; ridge at {ridge:.0f} FLOP per byte. Prefill is mostly "
        f"{plan.prefill.bound} bound, decode mostly {plan.decode.bound} bound.",
        x=Axis(label="arithmetic intensity in FLOP/B", log=True),
        y=Axis(label="attainable TFLOP/s", log=True),
        series=(roof, *points),
    )


def charts(plan: Plan) -> tuple[Chart, ...]:
    """Return the charts of a plan, in the order of the page and the report.

    Parameters
    ----------
    plan : Plan
        The answer.

    Returns
    -------
    tuple of Chart
        Memory, cache against context, roofline.
    """
    return (memory_chart(plan), cache_chart(plan), roofline_chart(plan))


_SCALED: dict[MetricName, tuple[float, str]] = {
    "cache_bytes": (GIB, "GiB per sequence"),
    "flop_per_token": (1e9, "GFLOP per token"),
    "bytes_per_token": (GIB, "GiB per token"),
    "step_time_s": (1e-3, "ms per step"),
}


def comparison_chart(comparison: Comparison, metric: MetricName) -> Chart:
    """Return one metric of a backbone under several mixers against context.

    Parameters
    ----------
    comparison : Comparison
        The curves.
    metric : {"cache_bytes", "flop_per_token", "bytes_per_token", "step_time_s"}
        What is drawn.

    Returns
    -------
    Chart
        One line per mixer, and a point on the backbone's where another becomes better.
    """
    size, unit = _SCALED[metric]
    lines = [_line(comparison, curve, metric, size) for curve in comparison.curves]
    points = _crossings(comparison, metric, size)
    longest = int(comparison.contexts[-1])
    ends = ", ".join(
        f"{curve.label} {format_quantity(float(curve.values[metric][-1]), MEANINGS[metric][1])}"
        for curve in comparison.curves
    )
    turns = "; ".join(series.texts[0] for series in points)
    return Chart(
        title=f"{MEANINGS[metric][0]} against context, mixer exchanged",
        alt=f"Lines of {MEANINGS[metric][0].lower()} against context; at {longest:,} tokens: "
        f"{ends}. " + (f"Crossovers: {turns}." if turns else "No line crosses the model's."),
        x=Axis(label="context in tokens", log=True),
        y=Axis(label=unit, log=True),
        series=(*lines, *points),
    )


def _line(comparison: Comparison, curve: Curve, metric: MetricName, size: float) -> Series:
    contexts = [int(context) for context in comparison.contexts]
    values = [float(value) for value in curve.values[metric]]
    return Series(
        name=curve.label,
        component=curve.name,
        mark="line",
        x=tuple(contexts),
        y=tuple(value / size for value in values),
        texts=tuple(
            f"{curve.label}: {format_quantity(value, MEANINGS[metric][1])} at {context:,} tokens"
            for value, context in zip(values, contexts, strict=True)
        ),
        dashed=curve.name != "model",
    )


def _crossings(comparison: Comparison, metric: MetricName, size: float) -> list[Series]:
    """Points where a variant begins to need less than the backbone, within the range."""
    backbone = comparison.curves[0]
    first = int(comparison.contexts[0])
    marked = []
    for curve in comparison.curves[1:]:
        found = comparison.crossover(curve.label, metric)
        if found.start is None or found.start <= first:
            continue
        height = _between(comparison, backbone, metric, found.start)
        marked.append(
            Series(
                name=f"{curve.label} from {found.start:,}",
                component=curve.name,
                mark="point",
                x=(found.start,),
                y=(height / size,),
                texts=(
                    f"{curve.label} needs less from {found.start:,} tokens on, "
                    f"{found.factor} times less at the longest context",
                ),
            )
        )
    return marked


def _between(comparison: Comparison, curve: Curve, metric: MetricName, context: int) -> float:
    return float(np.interp(context, comparison.contexts, curve.values[metric]))


def comparison_charts(comparison: Comparison) -> tuple[Chart, ...]:
    """Return every metric of a comparison as a chart.

    Parameters
    ----------
    comparison : Comparison
        The curves.

    Returns
    -------
    tuple of Chart
        Cache, arithmetic, traffic and step time, over the same contexts.
    """
    return tuple(comparison_chart(comparison, metric) for metric in METRICS)
