"""Convolutions as sequence mixers: a short one with gates, and Hyena's long implicit ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from planner.arrays import Numeric, log2
from planner.model.bounds import Flag, Size
from planner.model.cache import Cache, StateCache
from planner.model.execution import Execution
from planner.model.input_cache import InputCache
from planner.model.layout import Section
from planner.model.mixers.recurrence import (
    columns,
    depthwise,
    projected_out,
    scan_shape,
    short_convolution,
    vector,
)
from planner.model.mixers.structured import monarch_transform_flop
from planner.model.operation import Operation, elementwise, gemm
from planner.model.step import Step
from planner.model.tensor import Tensor, linear


def fourier_convolution_flop(length: Numeric) -> Numeric:
    r"""Return the FLOP of one causal convolution as long as its input, by Fourier transforms.

    Three real transforms of ``2N`` points, a complex product per frequency:

    .. math::
        3 \cdot 2.5 \cdot 2N \log_2 2N + 6(N + 1)

    Parameters
    ----------
    length : numeric
        Length of input and filter ``N``. [tokens]

    Returns
    -------
    numeric
        Work of one channel. [FLOP]

    References
    ----------
    poli-2023

    Examples
    --------
    >>> fourier_convolution_flop(8192)
    1769478.0
    """
    points = 2 * length
    return 3 * 2.5 * points * log2(points) + 6.0 * (length + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShortConvolution:
    """A gated short convolution, as in LFM2: ``C · conv(B · x)``, all three made of the input.

    Parameters
    ----------
    hidden : int
        Width of the residual stream and of the convolution. [elements]
    conv_kernel : int
        Taps. [1]
    bias : bool
        Whether projections and convolution have biases.
    """

    kind: Literal["short_convolution"] = "short_convolution"
    hidden: Size
    conv_kernel: Size = 3
    bias: Flag = False

    @property
    def variant(self) -> str:
        """Common name."""
        return "short convolution"

    def _channels(self) -> tuple[Section, ...]:
        return (Section(self.hidden, 1, "convolution channels"),)

    def _projections(self) -> tuple[Tensor, ...]:
        out = self._channels() * 3
        return linear("conv.in_proj", 3 * self.hidden, self.hidden, bias=self.bias, out=out)

    def _convolution(self) -> tuple[Tensor, ...]:
        return depthwise("conv.conv", self._channels(), self.conv_kernel, bias=self.bias)

    def _output(self) -> tuple[Tensor, ...]:
        inner = self._channels()
        return linear("conv.out_proj", self.hidden, self.hidden, bias=self.bias, inner=inner)

    def tensors(self) -> tuple[Tensor, ...]:
        """Return projections and convolution.

        Returns
        -------
        tuple of Tensor
            Channels are cut over ranks.

        References
        ----------
        lfm2-2025

        Examples
        --------
        >>> sum(t.elements for t in ShortConvolution(hidden=2048).tensors())
        16783360
        """
        return (*self._projections(), *self._convolution(), *self._output())

    def caches(self) -> tuple[StateCache, ...]:
        """Return the last columns of the convolution's input.

        Returns
        -------
        tuple of StateCache
            They do not grow with the context.

        References
        ----------
        lfm2-2025

        Examples
        --------
        >>> from planner.model.execution import half
        >>> ShortConvolution(hidden=2048).caches()[0].sequence_bytes(1, half(), tp=1)
        8192
        """
        return (columns(self._channels(), self.conv_kernel),)

    def operations(self, step: Step, execution: Execution) -> tuple[Operation, ...]:
        """Return projections, gate, convolution, gate and the sum over ranks.

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
        lfm2-2025

        Examples
        --------
        >>> from planner.model.execution import half
        >>> ops = ShortConvolution(hidden=2048).operations(Step.decode(1, 1), half())
        >>> [op.flop for op in ops]
        [25165824, 0, 12288, 0, 8388608]
        """
        tokens = step.tokens
        inner = self._channels()[0].units_on_rank(execution.layout.tp)
        (kept,) = self.caches()
        shape = scan_shape(
            step, "short_convolution", hidden=self.hidden, heads=1, head_dim=inner, state_dim=0,
            conv_kernel=self.conv_kernel,
        )  # fmt: skip
        return (
            gemm("conv.in_proj", self._projections(), tokens, execution),
            elementwise("conv.input_gate", tokens, 2 * inner, inner, execution),
            short_convolution("conv.conv", self._convolution(), kept, step, execution, shape),
            elementwise("conv.output_gate", tokens, 2 * inner, inner, execution),
            *projected_out("conv.out_proj", self._output(), self.hidden, step, execution),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Hyena:
    """The Hyena operator: long convolutions between gates, their filters made by a small network.

    Nothing small stands for the past of such a filter: what was convolved is kept token by token,
    and each new token costs as many multiply-adds per channel as there were tokens before it. The
    filters themselves are made once for the longest sequence, which costs no step anything.

    Parameters
    ----------
    hidden : int
        Width of the residual stream. [elements]
    order : int
        Depth of the recurrence: ``order - 1`` long convolutions and as many gates. [1]
    filter_embedding, filter_width, filter_layers : int
        Position features, width and inner layers of the network that makes the filters.
        [elements], [1]
    conv_kernel : int
        Taps of the short convolution. [1]
    transform : {"fourier", "monarch"}
        How prefill convolves: by fast Fourier transforms, or by three Monarch products of
        ``transform_order`` factors on matrix units.
    transform_order : int
        Factors of the Monarch form. [1]
    """

    kind: Literal["hyena"] = "hyena"
    hidden: Size
    order: Size = 2
    filter_embedding: Size = 5
    filter_width: Size = 64
    filter_layers: Size = 2
    conv_kernel: Size = 3
    transform: Literal["fourier", "monarch"] = "fourier"
    transform_order: Size = 2

    @property
    def variant(self) -> str:
        """Common name."""
        return "Hyena" if self.transform == "fourier" else "Monarch Mixer"

    def _streams(self, count: int) -> tuple[Section, ...]:
        return (Section(self.hidden, count, "convolution channels"),)

    def _projections(self) -> tuple[Tensor, ...]:
        out = self._streams(self.order + 1)
        rows = (self.order + 1) * self.hidden
        return linear("mixer.in_proj", rows, self.hidden, bias=True, out=out)

    def _convolution(self) -> tuple[Tensor, ...]:
        streams = self._streams(self.order + 1)
        return depthwise("mixer.short_filter", streams, self.conv_kernel, bias=True)

    def _filter(self) -> tuple[Tensor, ...]:
        name, width = "mixer.filter_fn", self.filter_width
        outputs = self._streams(self.order - 1)
        inner = [
            tensor
            for layer in range(self.filter_layers)
            for tensor in linear(f"{name}.{layer + 1}", width, width, bias=True)
        ]
        return (
            *linear(f"{name}.0", width, self.filter_embedding, bias=True),
            *inner,
            *linear(f"{name}.out", (self.order - 1) * self.hidden, width, out=outputs),
            Tensor(f"{name}.frequency", (width,), "state"),
            vector(f"{name}.bias", outputs, "state"),
        )

    def _output(self) -> tuple[Tensor, ...]:
        inner = self._streams(1)
        return linear("mixer.out_proj", self.hidden, self.hidden, bias=True, inner=inner)

    def tensors(self) -> tuple[Tensor, ...]:
        """Return projections, short convolution and the network that makes the filters.

        Returns
        -------
        tuple of Tensor
            Channels are cut over ranks.

        References
        ----------
        poli-2023

        Examples
        --------
        >>> sum(t.elements for t in Hyena(hidden=768).tensors())
        2430272
        """
        return (*self._projections(), *self._convolution(), *self._filter(), *self._output())

    def caches(self) -> tuple[Cache, ...]:
        """Return the projected inputs of every token.

        Returns
        -------
        tuple of Cache
            ``(order + 1)·hidden`` elements per token.

        References
        ----------
        poli-2023, massaroli-2023

        Examples
        --------
        >>> from planner.model.execution import half
        >>> Hyena(hidden=768).caches()[0].token_bytes(half(), tp=1)
        4608
        """
        return (InputCache(sections=self._streams(self.order + 1)),)

    def operations(self, step: Step, execution: Execution) -> tuple[Operation, ...]:
        """Return projections, short convolution, long convolutions and the sum over ranks.

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
        poli-2023, fu-2023-monarch

        Examples
        --------
        >>> from planner.model.execution import half
        >>> hyena = Hyena(hidden=768)
        >>> round(sum(op.flop for op in hyena.operations(Step.prefill(1, 8192), half())) / 1e9, 3)
        40.139
        """
        tokens = step.tokens
        weights = self._convolution()
        channels = self._streams(1)[0].units_on_rank(execution.layout.tp)
        moved = channels * (self.order + 1)
        taps = elementwise("mixer.short_filter", tokens, moved, moved, execution)
        return (
            gemm("mixer.in_proj", self._projections(), tokens, execution),
            Operation(
                name=taps.name,
                kind="short_convolution_prefill"
                if step.phase == "prefill"
                else "short_convolution_decode",
                precision=taps.precision,
                flop=2 * tokens * moved * self.conv_kernel,
                weight_bytes=sum(
                    execution.weights.tensor_bytes(tensor.on_rank(execution.layout))
                    for tensor in weights
                ),
                input_bytes=taps.input_bytes,
                output_bytes=taps.output_bytes,
                shape=self._shape(step, channels),
            ),
            self._long_convolution(step, execution, channels),
            *projected_out("mixer.out_proj", self._output(), self.hidden, step, execution),
        )

    def _shape(self, step: Step, channels: int) -> dict[str, Numeric]:
        shape = scan_shape(
            step, self.kind, hidden=self.hidden, heads=1, head_dim=channels, state_dim=0,
            conv_kernel=self.conv_kernel,
        )  # fmt: skip
        return {**shape, "order": self.order, "cached_tokens": step.cached_tokens}

    def _long_convolution(self, step: Step, execution: Execution, channels: int) -> Operation:
        (cache,) = self.caches()
        tp = execution.layout.tp
        length = step.cached_tokens + step.new_tokens
        filters = channels * (self.order - 1)
        if step.phase == "decode":
            each = 2.0 * step.new_tokens * length
        else:
            each = self._convolved(length) + 2.0 * step.new_tokens
        token_bytes = cache.token_bytes(execution, tp=tp)
        return Operation(
            name="mixer.long_convolution",
            kind="long_convolution_prefill"
            if step.phase == "prefill"
            else "long_convolution_decode",
            precision=execution.stream.precision,
            flop=step.batch * filters * each,
            cache_read_bytes=step.batch * step.cached_tokens * token_bytes,
            cache_write_bytes=step.tokens * token_bytes,
            input_bytes=step.tokens * channels * (self.order + 1) * execution.stream_bytes
            + length * filters * execution.stream_bytes,
            output_bytes=step.tokens * channels * execution.stream_bytes,
            shape=self._shape(step, channels),
        )

    def _convolved(self, length: Numeric) -> Numeric:
        """FLOP of one channel's convolution in the chosen form."""
        if self.transform == "fourier":
            return fourier_convolution_flop(length)
        points = 2 * length
        return 3 * monarch_transform_flop(points, self.transform_order) + 6.0 * (length + 1)
