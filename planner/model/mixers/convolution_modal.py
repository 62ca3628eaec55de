"""Long convolutions in modal form, as in StripedHyena and Evo: a sum of complex exponentials.

A filter of few exponentials has a recurrent form: prefill convolves with the whole filter, decode
updates one complex number per channel and exponential.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from planner.arrays import Numeric
from planner.model.bounds import Flag, Size
from planner.model.cache import StateCache
from planner.model.execution import Execution
from planner.model.layout import Section, Split
from planner.model.mixers.convolution import fourier_convolution_flop
from planner.model.mixers.recurrence import (
    carried,
    columns,
    depthwise,
    projected_out,
    scan_shape,
    short_convolution,
    vector,
)
from planner.model.operation import Operation, gemm
from planner.model.step import Step
from planner.model.storage import FP32
from planner.model.tensor import Tensor, linear


@dataclass(frozen=True, slots=True, kw_only=True)
class ModalHyena:
    """Hyena's operator of order 2 with filters of poles and residues.

    Parameters
    ----------
    hidden : int
        Width of the residual stream. [elements]
    state_dim : int
        Exponentials of each filter. [1]
    filter_groups : int
        Channels that share a filter. [1]
    conv_kernel : int
        Taps of the short convolution. [1]
    conv_bias : bool
        Whether the short convolution has a bias.
    """

    kind: Literal["modal_hyena"] = "modal_hyena"
    hidden: Size
    state_dim: Size
    filter_groups: Size = 1
    conv_kernel: Size = 3
    conv_bias: Flag = True

    @property
    def variant(self) -> str:
        """Common name."""
        return "Hyena"

    def _channels(self, width: int = 1) -> tuple[Section, ...]:
        return (Section(self.hidden, width, "convolution channels"),)

    def _projections(self) -> tuple[Tensor, ...]:
        out = self._channels(3)
        return linear("projections", 3 * self.hidden, self.hidden, bias=True, out=out)

    def _convolution(self) -> tuple[Tensor, ...]:
        return depthwise(
            "filter.short_filter", self._channels(3), self.conv_kernel, bias=self.conv_bias
        )

    def _filter(self) -> tuple[Tensor, ...]:
        filters = self.hidden // self.filter_groups
        split = Split(0, (Section(filters, 1, "filters"),))
        shape = (filters, self.state_dim, 1, 2)
        return (
            Tensor("filter.poles", shape, "state", split),
            Tensor("filter.residues", shape, "state", split),
            vector("filter.D", self._channels(), "state"),
        )

    def _output(self) -> tuple[Tensor, ...]:
        inner = self._channels()
        return linear("out_filter_dense", self.hidden, self.hidden, bias=True, inner=inner)

    def tensors(self) -> tuple[Tensor, ...]:
        """Return projections, short convolution, poles, residues and the direct path.

        Returns
        -------
        tuple of Tensor
            Channels are cut over ranks.

        References
        ----------
        stripedhyena-2023

        Examples
        --------
        >>> sum(t.elements for t in ModalHyena(hidden=4096, state_dim=2).tensors())
        67211264
        """
        return (*self._projections(), *self._convolution(), *self._filter(), *self._output())

    def caches(self) -> tuple[StateCache, ...]:
        """Return a complex number per channel and exponential, and the convolution's columns.

        Returns
        -------
        tuple of StateCache
            Neither grows with the context; the state is fp32.

        References
        ----------
        stripedhyena-2023

        Examples
        --------
        >>> from planner.model.execution import half
        >>> mixer = ModalHyena(hidden=4096, state_dim=2)
        >>> [c.sequence_bytes(1, half(), tp=1) for c in mixer.caches()]
        [65536, 49152]
        """
        state = StateCache(
            kind="state", sections=self._channels(), shape=(self.state_dim, 2), format=FP32
        )
        return (state, columns(self._channels(3), self.conv_kernel))

    def operations(self, step: Step, execution: Execution) -> tuple[Operation, ...]:
        """Return projections, short and long convolution with gates, and the sum over ranks.

        Parameters
        ----------
        step : Step
            The forward pass.
        execution : Execution
            Formats and layout.

        Returns
        -------
        tuple of Operation
            In the order of execution.

        Raises
        ------
        LayoutError
            The ranks do not divide the channels.

        References
        ----------
        stripedhyena-2023, massaroli-2023

        Examples
        --------
        >>> from planner.model.execution import half
        >>> mixer = ModalHyena(hidden=4096, state_dim=2)
        >>> mixer.operations(Step.decode(1, 9), half())[2].flop
        98304
        """
        tokens = step.tokens
        channels = self._channels()[0].units_on_rank(execution.layout.tp)
        shape = scan_shape(
            step, self.kind, hidden=self.hidden, heads=1, head_dim=channels,
            state_dim=self.state_dim, conv_kernel=self.conv_kernel,
        )  # fmt: skip
        kept = self.caches()[1]
        weights = self._convolution()
        return (
            gemm("projections", self._projections(), tokens, execution),
            short_convolution("filter.short_filter", weights, kept, step, execution, shape),
            self._long_convolution(step, execution, channels, shape),
            *projected_out("filter.out_filter_dense", self._output(), self.hidden, step, execution),
        )

    def _long_convolution(
        self, step: Step, execution: Execution, channels: int, shape: dict[str, Numeric]
    ) -> Operation:
        """Return the convolution: 12 FLOP per complex state and token where it is recurrent."""
        states = carried(self.caches()[:1], step, execution)
        recurrent = 12 * step.tokens * channels * self.state_dim
        parallel = step.batch * channels * fourier_convolution_flop(step.new_tokens)
        parts = [tensor.on_rank(execution.layout) for tensor in self._filter()]
        decoding = step.phase == "decode"
        return Operation(
            name="filter.long_convolution",
            kind="long_convolution_decode" if decoding else "long_convolution_prefill",
            precision=execution.stream.precision,
            flop=recurrent if decoding else parallel + recurrent,
            weight_bytes=sum(execution.weights.tensor_bytes(part) for part in parts),
            cache_read_bytes=states * step.resumes,
            cache_write_bytes=states,
            input_bytes=3 * step.tokens * channels * execution.stream_bytes,
            output_bytes=step.tokens * channels * execution.stream_bytes,
            shape=shape,
        )
