"""Under what conditions a step runs: number formats, layout, what lives elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

from planner.model.layout import SINGLE, Layout
from planner.model.offload import ON_DEVICE, Offload
from planner.model.storage import BF16, Format, WeightScheme


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """Number formats, layout and places of a deployment.

    Parameters
    ----------
    weights : WeightScheme
        Storage of the weights.
    activations : Format
        Operands of matrix products with quantised weights.
    stream : Format
        The residual stream, norms, attention and everything else: fp32, bf16 or fp16.
    cache : Format
        Keys and values.
    layout : Layout
        Parallel sizes.
    offload : Offload
        What lives outside the device.
    """

    weights: WeightScheme
    activations: Format
    stream: Format
    cache: Format
    layout: Layout = SINGLE
    offload: Offload = ON_DEVICE

    @property
    def stream_bytes(self) -> int:
        """Size of one element of the residual stream. [bytes]."""
        return self.stream.bits // 8

    def operand(self, weight: Format) -> Format:
        """Return the format in which activations enter a product with a weight.

        Parameters
        ----------
        weight : Format
            Storage format of the weight.

        Returns
        -------
        Format
            The low-precision operand where the weight is stored so too, else the stream.

        Examples
        --------
        >>> half().operand(BF16).name
        'bf16'
        """
        if weight.bits >= 16 or self.activations.bits >= 16:
            return self.stream
        return self.activations


def half(layout: Layout = SINGLE) -> Execution:
    """Return the plain execution: weights, stream and cache in bf16.

    Parameters
    ----------
    layout : Layout
        Parallel sizes.

    Returns
    -------
    Execution
        All formats bf16.

    Examples
    --------
    >>> half().stream_bytes
    2
    """
    scheme = WeightScheme(base=BF16, quantised=BF16)
    return Execution(weights=scheme, activations=BF16, stream=BF16, cache=BF16, layout=layout)
