"""What the sections are written from: one plan with its JSON and explanations, computed once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from planner.explain import EXPLAIN
from planner.explanation import Explanation
from planner.plan import Plan
from planner.report.blocks import Figure
from planner.units import format_quantity

LABELS: Mapping[str, str] = {
    "model.parameters": "Parameters",
    "model.active_parameters": "Active parameters per token",
    "model.layers": "Layers",
    "model.usable_context_tokens": "Usable context",
    "memory.architectural.weights_bytes": "Weights, whole model",
    "memory.architectural.cache_bytes": "Caches of the load, whole model",
    "memory.architectural.cache_bytes_per_token": "Cache per token",
    "memory.architectural.state_bytes_per_sequence": "State per sequence",
    "memory.per_device.weights_bytes": "Weights",
    "memory.per_device.cache_bytes": "KV cache and state",
    "memory.per_device.activations_bytes": "Activations",
    "memory.per_device.runtime_bytes": "Runtime",
    "memory.per_device.graphs_bytes": "Graphs",
    "memory.per_device.reserve_bytes": "Left alone by the engine",
    "memory.per_device.total_bytes": "Total",
    "memory.per_device.capacity_bytes": "Capacity",
    "memory.offload.weights_bytes": "Offloaded weights",
    "memory.offload.cache_bytes": "Offloaded caches",
    "memory.offload.bandwidth_bytes_per_s": "Bandwidth to what is offloaded",
    "engine.cache_pool_bytes": "Room for caches",
    "engine.block_tokens": "Tokens per block",
    "engine.blocks": "Blocks",
    "engine.reported_cache_tokens": "Tokens the pool holds",
    "engine.max_concurrency": "Sequences the pool holds",
    "engine.max_context_tokens": "Longest context",
    "capacity.largest_context_tokens": "Largest context",
    "capacity.most_sequences": "Most sequences",
    "capacity.fewest_devices": "Fewest devices",
    "capacity.fewest_devices_tp": "Fewest devices: tensor parallel",
    "capacity.fewest_devices_pp": "Fewest devices: pipeline stages",
    "capacity.fewest_devices_dp": "Fewest devices: data parallel",
    "capacity.fewest_devices_ep": "Fewest devices: expert parallel",
    "verdict.fits": "Fits",
    "verdict.headroom_bytes": "Headroom",
    **{
        f"{phase}.{field}": f"{name}: {label}"
        for phase, name in (("prefill", "Prefill"), ("decode", "Decode step"))
        for field, label in (
            ("flop", "FLOP"),
            ("read_bytes", "bytes read"),
            ("write_bytes", "bytes written"),
            ("floor_s", "time, floor"),
            ("time_s", "time"),
            ("time_p10_s", "time, 10th percentile"),
            ("time_p90_s", "time, 90th percentile"),
            ("bound", "bound by"),
            ("tokens_per_s", "tokens per second"),
        )
    },
}
"""Path of a figure → what people call it."""

_UNITS = (
    ("_bytes_per_token", "bytes/token"),
    ("_bytes_per_sequence", "bytes"),
    ("_bytes", "bytes"),
    ("_bytes_per_s", "bytes/s"),
    ("tokens_per_s", "tokens/s"),
    ("_tokens", "tokens"),
    ("_s", "s"),
    ("flop", "FLOP"),
)


def unit_of(path: str) -> str:
    """Return the unit that the last key of a path carries.

    Parameters
    ----------
    path : str
        A path in the plan's JSON.

    Returns
    -------
    str
        Base unit; ``"1"`` where the key carries none.

    Examples
    --------
    >>> unit_of("decode.time_s"), unit_of("verdict.headroom_bytes"), unit_of("model.layers")
    ('s', 'bytes', '1')
    """
    key = path.rpartition(".")[2]
    return next((unit for suffix, unit in _UNITS if key.endswith(suffix)), "1")


@dataclass(frozen=True, kw_only=True)
class Material:
    """One plan, and what a report needs of it.

    Parameters
    ----------
    plan : Plan
        The answer.
    share_link : str or None
        Where the page shows the same scenario.
    """

    plan: Plan
    share_link: str | None = None

    @cached_property
    def data(self) -> dict[str, Any]:
        """The plan as its JSON has it."""
        return self.plan.to_dict()

    @cached_property
    def explanations(self) -> dict[str, Explanation]:
        """Explanation of every figure, by path."""
        return {path: explain(self.plan) for path, explain in EXPLAIN.items()}

    def raw(self, path: str) -> Any:
        """Return a value of the plan.

        Parameters
        ----------
        path : str
            Keys joined by points.

        Returns
        -------
        object
            As in the JSON.

        Raises
        ------
        KeyError
            The plan has no such path.
        """
        found: Any = self.data
        for key in path.split("."):
            found = found[key]
        return found

    def figure(self, path: str, *, label: str = "", note: str = "", none: str = "–") -> Figure:
        """Return a figure of the plan as text and value.

        Parameters
        ----------
        path : str
            Where it stands in the JSON.
        label : str
            What to call it; the usual name without it.
        note : str
            What it is measured against.
        none : str
            What to write where the plan has no value.

        Returns
        -------
        Figure
            With its unit.
        """
        value = self.raw(path)
        explanation = self.explanations.get(path)
        unit = explanation.unit if explanation else unit_of(path)
        return Figure(
            label=label or LABELS.get(path) or path.rpartition(".")[2].replace("_", " "),
            text=none if value is None else format_quantity(value, unit),
            value=value,
            unit=unit,
            path=path,
            note=note,
        )
