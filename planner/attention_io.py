"""What the order of computation saves in the attention of a plan's prefill, by kind of layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from planner.cost.traffic import AttentionTraffic, attention_traffic
from planner.errors import ScenarioError
from planner.plan import Plan

ORDERS = (
    "materialised_bytes",
    "flash1_bytes",
    "flash2_bytes",
    "fused_bytes",
    "compulsory_bytes",
)
"""Figures in bytes, from the order that moves most to what no order goes below."""
RATIOS = ("saving", "materialised_memory_share")


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerTraffic:
    """Attention of one kind of layer on the fullest rank.

    Parameters
    ----------
    layer : str
        Kind of layer.
    layers : int
        How often it occurs. [1]
    traffic : AttentionTraffic
        Of one such layer and one prompt.
    """

    layer: str
    layers: int
    traffic: AttentionTraffic

    def to_dict(self) -> dict[str, Any]:
        """Return the layer as plain data, ready for JSON.

        Returns
        -------
        dict
            Shape, tile, and every figure with how it came about.
        """
        traffic = self.traffic
        return {
            "layer": self.layer,
            "layers": self.layers,
            "tokens": traffic.tokens,
            "query_heads": traffic.query_heads,
            "kv_heads": traffic.kv_heads,
            "head_dim": traffic.head_dim,
            "tile_query_rows": traffic.tile.query_rows,
            "tile_key_rows": traffic.tile.key_rows,
            "on_chip_bytes": traffic.on_chip_bytes,
            "resident_fraction": float(traffic.resident_fraction),
            "figures": [traffic.explain(name).to_dict() for name in (*ORDERS, *RATIOS)],
        }


def layer_traffic(plan: Plan) -> tuple[LayerTraffic, ...]:
    """Return what attention over whole prompts moves in every order of computation.

    Parameters
    ----------
    plan : Plan
        Gives model, device, layout, formats and length of the prompt.

    Returns
    -------
    tuple of LayerTraffic
        One for each kind of layer whose queries see the whole prompt.

    Raises
    ------
    ScenarioError
        No layer is of that kind, or the device's shared memory is not known or too small.

    References
    ----------
    dao-2022, dao-2023, shah-2024

    Examples
    --------
    >>> from planner import Scenario, load_hardware, load_model
    >>> from planner.plan import plan
    >>> asked = Scenario(model=load_model("llama-3.1-8b"), hardware=load_hardware("h100-sxm"))
    >>> (layer,) = layer_traffic(plan(asked))
    >>> layer.layers, layer.traffic.query_heads, round(layer.traffic.saving)
    (32, 32, 103)
    """
    deployment = plan.deployment
    found = []
    for item in plan.prefill.operations:
        shape = item.operation.shape
        if item.operation.kind != "attention_prefill" or shape.get("window") is not None:
            continue
        if "value_dim" in shape or not shape.get("causal", True):
            continue
        traffic = attention_traffic(
            deployment.scenario.hardware.device,
            tokens=deployment.load.isl,
            head_dim=int(shape["head_dim"]),
            query_heads=int(shape["query_heads"]),
            kv_heads=int(shape["kv_heads"]),
            fmt=deployment.execution.stream,
        )
        found.append(LayerTraffic(layer=item.layer, layers=item.count, traffic=traffic))
    if not found:
        raise ScenarioError(
            "no layer attends to the whole prompt with keys and values of one width",
            where="model",
            got=plan.model.name,
            fix="Windows, latents and states have no traffic of this kind.",
        )
    return tuple(found)
