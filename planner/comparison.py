"""One backbone with its mixer exchanged: cache, FLOP, bytes and step time against context."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from planner.arrays import Numeric
from planner.cost.limits import MOST_TOKENS
from planner.cost.roofline import FLOORS, step_cost
from planner.crossovers import Lower, lower_ranges
from planner.deployment import Deployment, resolve
from planner.model import Model, Step
from planner.model.admission import check_layout
from planner.scenario import Scenario
from planner.units import parse_count
from planner.variants import VARIANTS, Exchange, VariantName, labels, variant

MetricName = Literal["cache_bytes", "flop_per_token", "bytes_per_token", "step_time_s"]
METRICS: tuple[MetricName, ...] = get_args(MetricName)

MEANINGS: Mapping[MetricName, tuple[str, str]] = {
    "cache_bytes": ("Cache and state of one sequence, whole model", "bytes"),
    "flop_per_token": ("Arithmetic per generated token, one device", "FLOP"),
    "bytes_per_token": ("Memory traffic per generated token, one device", "bytes"),
    "step_time_s": ("Decode step, a floor", "s"),
}
"""Metric → what it is, and its unit."""

_POINTS = 25
_SHORTEST_TOKENS = 256
_SHORT_RANGE_TOKENS = 32_768

Values = Mapping[MetricName, NDArray[np.float64]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One model over contexts.

    Parameters
    ----------
    label : str
        What is printed.
    name : str
        ``"model"`` for the backbone as it is, else the family of the mixer.
    model : Model
        The model.
    weights_bytes : int
        Its weights, one copy. [bytes]
    values : Mapping
        Metric to one value per context.
    """

    label: str
    name: Literal["model"] | VariantName
    model: Model
    weights_bytes: int
    values: Values


def _printed(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossover:
    """Where another mixer is better than the backbone's own.

    Parameters
    ----------
    metric : str
        In what.
    label : str
        The other mixer.
    start : int or None
        First context at which it needs less; None if it never does. [tokens]
    end : int or None
        Last one; None where it stays better. [tokens]
    factor_at_longest : float
        What the backbone needs at the longest context over what the other needs. [1]
    """

    metric: MetricName
    label: str
    start: int | None
    end: int | None
    factor_at_longest: float

    @property
    def factor(self) -> str:
        """The factor for people, such as ``"7.95"`` or ``"1,012"``."""
        return _printed(self.factor_at_longest)

    @property
    def outcome(self) -> str:
        """What it needs there, such as ``"7.95× less"``, ``"4× as much"`` or ``"the same"``."""
        value = self.factor_at_longest
        if value == 1:
            return "the same"
        times = _printed(value if value > 1 else 1 / value)
        return (
            "about the same" if times == "1" else f"{times}× {'less' if value > 1 else 'as much'}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The backbone and its variants over one range of contexts.

    Parameters
    ----------
    deployment : Deployment
        Device, formats, layout and load that hold for all of them.
    contexts : array, shape (n,)
        Tokens in each cache. [tokens]
    curves : tuple of Curve
        The backbone as it is, then its variants.
    crossovers : tuple of Crossover
        One per variant and metric.
    """

    deployment: Deployment
    contexts: NDArray[np.float64]
    curves: tuple[Curve, ...]
    crossovers: tuple[Crossover, ...]

    def crossover(self, label: str, metric: MetricName) -> Crossover:
        """Return how a variant compares with the backbone in one metric.

        Parameters
        ----------
        label : str
            Of the variant.
        metric : str
            In what.

        Returns
        -------
        Crossover
            Where it is better.

        Raises
        ------
        StopIteration
            No such variant.
        """
        return next(c for c in self.crossovers if (c.label, c.metric) == (label, metric))

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data, ready for JSON.

        Returns
        -------
        dict
            Inputs, contexts, one entry per curve, crossovers.
        """
        chosen = self.deployment
        return {
            "inputs": {
                "model": self.curves[0].model.id,
                "device": chosen.scenario.hardware.device.id,
                "tp": chosen.layout.tp,
                "weights": chosen.execution.weights.name,
                "kv_cache_dtype": chosen.execution.cache.name,
                "sequences": chosen.replica_sequences,
            },
            "assumptions": [*chosen.assumptions, FLOORS],
            "contexts_tokens": [int(context) for context in self.contexts],
            "variants": [
                {
                    "name": curve.name,
                    "label": curve.label,
                    "parameters": curve.model.parameters,
                    "weights_bytes": curve.weights_bytes,
                    **{metric: curve.values[metric].tolist() for metric in METRICS},
                }
                for curve in self.curves
            ],
            "crossovers": [
                {
                    "metric": each.metric,
                    "variant": each.label,
                    "from_context_tokens": each.start,
                    "until_context_tokens": each.end,
                    "factor_at_longest": each.factor_at_longest,
                }
                for each in self.crossovers
            ],
        }


def compare_variants(
    scenario: Scenario,
    exchanges: Sequence[Exchange | VariantName] = VARIANTS,
    *,
    longest: int | None = None,
) -> Comparison:
    """Compare a backbone with itself under other mixers, everything else equal.

    Device, formats and layout are resolved once, for the backbone and its load, and hold for all.

    Parameters
    ----------
    scenario : Scenario
        Backbone, device and load; its context is among the contexts.
    exchanges : sequence of Exchange or str
        The mixers to put in.
    longest : int, optional
        Longest context; that of the model or of the load without it. [tokens]

    Returns
    -------
    Comparison
        At most 26 contexts, evenly spaced on a logarithmic axis.

    Raises
    ------
    ScenarioError
        A number is out of range.
    LayoutError
        The ranks do not divide a variant.
    UnknownNameError
        No such variant.

    Examples
    --------
    >>> from planner import load_hardware, load_model
    >>> found = compare_variants(
    ...     Scenario(model=load_model("llama-3.1-8b"), hardware=load_hardware("h100-sxm")),
    ...     ("SSM", "HYBRID"),
    ... )
    >>> [found.crossover(label, "cache_bytes").start for label in ("SSM", "hybrid 7:1")]
    [1037, 1037]
    """
    deployment = resolve(scenario)
    backbone = deployment.scenario.model
    wanted = [e if isinstance(e, Exchange) else Exchange(name=e) for e in exchanges]
    contexts = _contexts(deployment, longest)
    models = [backbone, *(variant(backbone, each) for each in wanted)]
    names: list[Literal["model"] | VariantName] = ["model", *(each.name for each in wanted)]
    measures = [_measure(model, deployment) for model in models]
    curves = tuple(
        Curve(
            label=label,
            name=name,
            model=model,
            weights_bytes=model.weights_bytes(deployment.execution),
            values=measure(contexts),
        )
        for label, name, model, measure in zip(
            (backbone.name, *labels(wanted)), names, models, measures, strict=True
        )
    )
    crossovers = tuple(
        _crossover(metric, curve, curves[0], (measures[0], measure), contexts)
        for curve, measure in zip(curves[1:], measures[1:], strict=True)
        for metric in METRICS
    )
    return Comparison(
        deployment=deployment, contexts=contexts, curves=curves, crossovers=crossovers
    )


def _contexts(deployment: Deployment, longest: int | None) -> NDArray[np.float64]:
    load, model = deployment.load, deployment.scenario.model
    end = max(load.context, model.usable_context or 0, _SHORT_RANGE_TOKENS)
    if longest is not None:
        end = parse_count(longest, where="--longest", least=2, most=MOST_TOKENS)
    points = np.geomspace(min(_SHORTEST_TOKENS, end), end, _POINTS).round()
    asked = [load.context] if points[0] <= load.context <= end else []
    return np.unique(np.append(points, asked))


Measure = Callable[[NDArray[np.float64]], Values]


def _measure(model: Model, deployment: Deployment) -> Measure:
    """Return what computes every metric of a model at contexts."""
    execution, batch = deployment.execution, deployment.replica_sequences
    device = deployment.scenario.hardware.device
    check_layout(model, execution.layout)

    def measure(contexts: NDArray[np.float64]) -> Values:
        cost = step_cost(model, Step.decode(batch, contexts), execution, device, deployment.links)

        def spread(value: Numeric) -> NDArray[np.float64]:
            return np.broadcast_to(np.asarray(value, dtype=np.float64), contexts.shape)

        return {
            "cache_bytes": spread(model.cache_bytes(contexts, execution)),
            "flop_per_token": spread(cost.flop / batch),
            "bytes_per_token": spread((cost.read_bytes + cost.write_bytes) / batch),
            "step_time_s": spread(cost.floor_s),
        }

    return measure


def _crossover(
    metric: MetricName,
    curve: Curve,
    backbone: Curve,
    measures: tuple[Measure, Measure],
    contexts: NDArray[np.float64],
) -> Crossover:
    own, other = measures
    ranges: tuple[Lower, ...] = lower_ranges(
        lambda points: other(points)[metric] - own(points)[metric],
        lambda points: own(points)[metric],
        contexts,
    )
    last = ranges[-1] if ranges else None
    least = float(curve.values[metric][-1])
    return Crossover(
        metric=metric,
        label=curve.label,
        start=last.start if last else None,
        end=last.end if last else None,
        factor_at_longest=float(backbone.values[metric][-1]) / least if least else float("inf"),
    )
