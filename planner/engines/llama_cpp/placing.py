"""Which of a model's weights stand on a device and which on the host, by layers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from planner.model import Execution, Model
from planner.model.model import Layer


@dataclass(frozen=True, slots=True, kw_only=True)
class Placing:
    """The layers of one device.

    Parameters
    ----------
    model : Model
        The whole model.
    layers : tuple of Layer
        Those whose weights and caches stand on the fullest device.
    head : bool
        Whether the head stands there too.
    devices : int
        Devices that share the layers. [1]
    """

    model: Model
    layers: tuple[Layer, ...]
    head: bool
    devices: int = 1

    @classmethod
    def of(cls, model: Model, offloaded: int | None, devices: int) -> Placing:
        """Return what the fullest device holds.

        Parameters
        ----------
        model : Model
            The model.
        offloaded : int or None
            Layers for the devices, ``n_gpu_layers``; all and the head without it. The head counts
            as one more layer, and the last layers go first. [1]
        devices : int
            Devices that share them evenly. [1]

        Returns
        -------
        Placing
            The last device's share, which the head belongs to.

        References
        ----------
        llama-cpp
        """
        whole = len(model.layers) + 1
        asked = whole if offloaded is None else min(offloaded, whole)
        head = asked == whole
        own = -(-asked // devices)
        count = max(0, own - 1) if head else own
        return cls(
            model=model,
            layers=model.layers[len(model.layers) - count :],
            head=head,
            devices=devices,
        )

    @property
    def stack(self) -> Model:
        """A model of the device's layers only."""
        return _last_layers(self.model, len(self.layers))

    def weights_bytes(self, execution: Execution) -> int:
        """Return the weights of the device: its layers, and the head with its norm.

        Parameters
        ----------
        execution : Execution
            Gives the storage scheme.

        Returns
        -------
        int
            The token table stays on the host; a head that shares it is copied. [bytes]
        """
        inner = _last_layers(self.model, 0)
        layers = self.stack.weights_bytes(execution) - inner.weights_bytes(execution)
        if not self.head:
            return layers
        table = self.table_bytes(execution)
        rest = inner.weights_bytes(execution) - table
        return layers + rest + (table if self.model.head.tied else 0)

    def table_bytes(self, execution: Execution) -> int:
        """Return the token table. [bytes]."""
        scheme = execution.weights.in_layer(None)
        return sum(scheme.tensor_bytes(tensor) for tensor in self.model.embedding.tensors())

    def host_bytes(self, execution: Execution) -> int:
        """Return the weights that stay on the host. [bytes]."""
        every = self.model.weights_bytes(execution)
        if self.head and self.model.head.tied:
            every += self.table_bytes(execution)
        if self.devices > 1:
            return self.table_bytes(execution)
        return every - self.weights_bytes(execution)


@lru_cache(maxsize=64)
def _last_layers(model: Model, count: int) -> Model:
    """A model of the last layers only."""
    return replace(model, layers=model.layers[len(model.layers) - count :], mtp=())
