"""Explanations of the inverse answers, and of the link that offloading rests on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from planner.explanation import Explanation

if TYPE_CHECKING:
    from planner.fewest import Fewest
    from planner.plan import Plan

Explain = Callable[["Plan"], Explanation]


def largest_context(figure: str) -> Explain:
    """Return how the longest context is explained.

    Parameters
    ----------
    figure : str
        Path of the figure.

    Returns
    -------
    callable
        From a plan to the explanation.
    """

    def explain(plan: Plan) -> Explanation:
        limit = plan.largest_context
        return Explanation(
            figure=figure,
            meaning="Longest context at which the given sequences fit together, at most what the "
            "model's positions are good for.",
            formula="max n ≤ usable context with total_bytes(n, sequences) ≤ capacity",
            substituted=f"{plan.deployment.replica_sequences:,} sequences per replica; "
            f"limited by {limit.limited_by}",
            value=limit.value,
            unit="tokens",
        )

    return explain


def _most_sequences(plan: Plan) -> Explanation:
    limit = plan.most_sequences
    return Explanation(
        figure="capacity.most_sequences",
        meaning="Most sequences of the given context over all replicas.",
        formula="dp · max s with total_bytes(context, s) ≤ capacity",
        substituted=f"{plan.deployment.layout.dp} replicas at "
        f"{plan.deployment.load.context:,} tokens; limited by {limit.limited_by}",
        value=limit.value,
        unit="sequences",
    )


def _fewest_devices(figure: str, value: Callable[[Fewest], int]) -> Explain:
    def explain(plan: Plan) -> Explanation:
        fleet = plan.fewest_devices
        return Explanation(
            figure=figure,
            meaning="Fewest devices of this kind that hold the load.",
            formula="min over admitted tp · pp · attention_dp ≤ 64 of tp · pp · dp, "
            "dp = attention_dp · ⌈sequences / (attention_dp · most sequences of a rank)⌉",
            substituted="none holds one sequence" if fleet is None else fleet.sizes,
            value=value(fleet) if fleet else None,
            unit="devices",
        )

    return explain


def offload_bandwidth(plan: Plan) -> Explanation:
    """Return what the offloaded part rests on.

    Parameters
    ----------
    plan : Plan
        The answer.

    Returns
    -------
    Explanation
        The link, or that nothing is offloaded.
    """
    link = plan.deployment.links.offload
    given = plan.deployment.execution.offload.bandwidth_bytes_per_s
    return Explanation(
        figure="memory.offload.bandwidth_bytes_per_s",
        meaning="What one device draws from where the offloaded part lives, at the link's peak.",
        formula="the host link's bandwidth, or what was given where that is less",
        substituted="nothing is offloaded"
        if link is None
        else f"{link.kind}" + (f", {given:,} B/s given" if given else ""),
        value=None if link is None else link.per_direction_bytes_per_s,
        unit="bytes/s",
    )


LIMITS: Mapping[str, Explain] = {
    "capacity.largest_context_tokens": largest_context("capacity.largest_context_tokens"),
    "capacity.most_sequences": _most_sequences,
    "capacity.fewest_devices": _fewest_devices(
        "capacity.fewest_devices", lambda fewest: fewest.devices
    ),
    "capacity.fewest_devices_tp": _fewest_devices(
        "capacity.fewest_devices_tp", lambda fewest: fewest.layout.tp
    ),
    "capacity.fewest_devices_pp": _fewest_devices(
        "capacity.fewest_devices_pp", lambda fewest: fewest.layout.pp
    ),
    "capacity.fewest_devices_dp": _fewest_devices(
        "capacity.fewest_devices_dp", lambda fewest: fewest.layout.dp
    ),
    "capacity.fewest_devices_ep": _fewest_devices(
        "capacity.fewest_devices_ep", lambda fewest: fewest.layout.ep
    ),
}
"""Path of an inverse answer → its explanation."""
