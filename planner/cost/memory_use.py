"""Where the bytes of one rank go."""

from __future__ import annotations

from dataclasses import dataclass

from planner.arrays import Numeric
from planner.model import Model


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryUse:
    """Where the bytes of one rank go; every field may be an array.

    What is offloaded lives elsewhere and is no part of the total.
    """

    weights_bytes: int
    cache_bytes: Numeric
    activations_bytes: Numeric
    runtime_bytes: int
    graphs_bytes: int = 0
    reserve_bytes: Numeric = 0
    offloaded_weights_bytes: int = 0
    offloaded_cache_bytes: Numeric = 0

    @property
    def total_bytes(self) -> Numeric:
        """Sum of all parts. [bytes]."""
        return (
            self.weights_bytes
            + self.cache_bytes
            + self.activations_bytes
            + self.runtime_bytes
            + self.graphs_bytes
            + self.reserve_bytes
        )

    def on_stage(self, stage: Model, devices: int) -> dict[str, int | bool]:
        """Return what one device of a pipeline stage holds, as plain data.

        Parameters
        ----------
        stage : Model
            The layers of the stage.
        devices : int
            How many hold the same. [1]

        Returns
        -------
        dict
            Which layers, and their bytes.
        """
        return {
            "first_layer": stage.first_layer,
            "layers": len(stage.layers),
            "embedding": stage.first,
            "head": stage.last,
            "devices": devices,
            "weights_bytes": self.weights_bytes,
            "cache_bytes": int(self.cache_bytes),
            "activations_bytes": int(self.activations_bytes),
            "runtime_bytes": self.runtime_bytes,
            "total_bytes": int(self.total_bytes),
        }
