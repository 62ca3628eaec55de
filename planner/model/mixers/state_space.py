"""State-space mixers: a recurrent state of fixed size instead of keys and values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from planner.model.bounds import Flag, Size
from planner.model.cache import StateCache
from planner.model.execution import Execution
from planner.model.layout import Section, Split
from planner.model.mixers.recurrence import (
    StateFormat,
    columns,
    depthwise,
    projected_out,
    scan,
    scan_shape,
    short_convolution,
    state_format,
    vector,
    width,
)
from planner.model.mixers.scan_flop import linear_scan_flop
from planner.model.operation import Operation, all_reduce, elementwise, gemm
from planner.model.step import Step
from planner.model.tensor import Tensor, linear


@dataclass(frozen=True, slots=True, kw_only=True)
class Mamba1:
    """The Mamba mixer: a short convolution and a selective state space per channel.

    Ranks share the channels; the product that makes time steps, B and C has channels as its inputs,
    so that their partial results are summed over ranks before they are used.

    Parameters
    ----------
    hidden, inner : int
        Width of the residual stream, and of the channels. [elements]
    state_dim : int
        State per channel. [elements]
    rank : int
        Width of what time steps are made of. [elements]
    conv_kernel : int
        Taps of the short convolution. [1]
    heads : int
        Groups of channels with time steps, B and C of their own. [1]
    bias, conv_bias : bool
        Whether projections and convolution have biases.
    norm : bool
        RMSNorm with weights of time steps, B and C.
    state_format : {"stream", "fp32", "bf16", "fp16"}
        Format of the recurrent state; the authors' module keeps it as its weights are.
    """

    kind: Literal["mamba1"] = "mamba1"
    hidden: Size
    inner: Size
    state_dim: Size
    rank: Size
    conv_kernel: Size = 4
    heads: Size = 1
    bias: Flag = False
    conv_bias: Flag = True
    norm: Flag = False
    state_format: StateFormat = "stream"

    @property
    def variant(self) -> str:
        """Common name."""
        return "SSM"

    def _channels(self) -> tuple[Section, ...]:
        return (Section(self.inner, 1, "state-space channels"),)

    def _projections(self) -> tuple[Tensor, ...]:
        out = (*self._channels(), *self._channels())
        return linear("mixer.in_proj", width(out), self.hidden, bias=self.bias, out=out)

    def _selection(self) -> tuple[Tensor, ...]:
        columns_out = self.rank + 2 * self.state_dim
        return linear("mixer.x_proj", columns_out, self.inner, inner=self._channels())

    def _steps(self) -> tuple[Tensor, ...]:
        return linear("mixer.dt_proj", self.inner, self.rank, bias=True, out=self._channels())

    def _convolution(self) -> tuple[Tensor, ...]:
        return depthwise("mixer.conv1d", self._channels(), self.conv_kernel, bias=self.conv_bias)

    def _recurrence(self) -> tuple[Tensor, ...]:
        decay = Tensor(
            "mixer.A_log", (self.inner, self.state_dim), "state", Split(0, self._channels())
        )
        return (decay, vector("mixer.D", self._channels(), "state"))

    def _output(self) -> tuple[Tensor, ...]:
        return linear(
            "mixer.out_proj", self.hidden, self.inner, bias=self.bias, inner=self._channels()
        )

    def tensors(self) -> tuple[Tensor, ...]:
        """Return projections, convolution, the recurrence's own parameters and norms.

        Returns
        -------
        tuple of Tensor
            Channels are cut over ranks.

        References
        ----------
        gu-2023

        Examples
        --------
        >>> mixer = Mamba1(hidden=2560, inner=5120, state_dim=16, rank=160)
        >>> sum(t.elements for t in mixer.tensors())
        41241600
        """
        widths = {"dt": self.rank, "b": self.state_dim, "c": self.state_dim}
        norms = [
            Tensor(f"mixer.{name}_layernorm.weight", (size,), "norm")
            for name, size in widths.items()
            if self.norm
        ]
        return (
            *self._projections(), *self._convolution(), *self._selection(), *self._steps(),
            *self._recurrence(), *norms, *self._output(),
        )  # fmt: skip

    def caches(self) -> tuple[StateCache, ...]:
        """Return the recurrent state and the last columns of the convolution's input.

        Returns
        -------
        tuple of StateCache
            Neither grows with the context.

        References
        ----------
        gu-2023

        Examples
        --------
        >>> from planner.model.execution import half
        >>> mixer = Mamba1(hidden=2560, inner=5120, state_dim=16, rank=160)
        >>> 64 * sum(c.sequence_bytes(1, half(), tp=1) for c in mixer.caches())
        12451840
        """
        state = StateCache(
            kind="state",
            sections=self._channels(),
            shape=(self.state_dim,),
            format=state_format(self.state_format),
        )
        return (state, columns(self._channels(), self.conv_kernel))

    def operations(self, step: Step, execution: Execution) -> tuple[Operation, ...]:
        """Return projections, convolution, scan or update with its gate, and the sum over ranks.

        Parameters
        ----------
        step : Step
            The forward pass.
        execution : Execution
            Formats and layout.

        Returns
        -------
        tuple of Operation
            In the order of execution; the scan does 9 FLOP per element of the state and token.

        Raises
        ------
        LayoutError
            The ranks do not divide the channels.

        References
        ----------
        gu-2023

        Examples
        --------
        >>> from planner.model.execution import half
        >>> mixer = Mamba1(hidden=2560, inner=5120, state_dim=16, rank=160)
        >>> {op.name: op.flop for op in mixer.operations(Step.decode(1, 1), half())}["mixer.scan"]
        737280
        """
        tp, tokens = execution.layout.tp, step.tokens
        inner = self._channels()[0].units_on_rank(tp)
        shared = 2 * self.heads * self.state_dim
        selected = self.heads * self.rank + shared
        state, kept = self.caches()
        shape = scan_shape(
            step, "mamba1", hidden=self.hidden, heads=self.heads, head_dim=inner // self.heads,
            state_dim=self.state_dim, conv_kernel=self.conv_kernel,
        )  # fmt: skip
        operations = [
            gemm("mixer.in_proj", self._projections(), tokens, execution),
            short_convolution("mixer.conv1d", self._convolution(), kept, step, execution, shape),
            gemm("mixer.x_proj", self._selection(), tokens, execution),
        ]
        if tp > 1:
            operations.append(all_reduce("mixer.x_all_reduce", tokens, selected, execution))
        if self.norm:
            operations.append(elementwise("mixer.norms", tokens, selected, selected, execution))
        update = scan(
            "mixer.scan", (state,), step, execution, flop=9 * tokens * inner * self.state_dim,
            read_width=3 * inner + shared, write_width=inner, shape=shape,
            weights=self._recurrence(),
        )  # fmt: skip
        output = projected_out("mixer.out_proj", self._output(), self.hidden, step, execution)
        steps = gemm("mixer.dt_proj", self._steps(), tokens, execution)
        return (*operations, steps, update, *output)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mamba2:
    """The Mamba-2 mixer: a short convolution and a selective state space per head.

    Parameters
    ----------
    hidden : int
        Width of the residual stream. [elements]
    heads, head_dim : int
        Heads and their width; the inner width is their product. [1], [elements]
    groups, state_dim : int
        Groups that share the B and C projections, and the width of the state. [1], [elements]
    conv_kernel : int
        Taps of the short convolution. [1]
    chunk : int
        Tokens that the prefill kernel handles as one matrix product. [tokens]
    bias, conv_bias, norm : bool
        Whether projections and convolution have biases, and whether the gated norm exists.
    state_format : {"stream", "fp32", "bf16", "fp16"}
        Format of the recurrent state; the convolution's columns are in the stream's.
    """

    kind: Literal["mamba2"] = "mamba2"
    hidden: Size
    heads: Size
    head_dim: Size
    groups: Size
    state_dim: Size
    conv_kernel: Size = 4
    chunk: Size = 256
    bias: Flag = False
    conv_bias: Flag = True
    norm: Flag = True
    state_format: StateFormat = "fp32"

    @property
    def variant(self) -> str:
        """Common name."""
        return "SSM"

    def _inner(self) -> Section:
        return Section(self.heads, self.head_dim, "state-space heads")

    def _per_head(self) -> tuple[Section, ...]:
        return (Section(self.heads, 1, "state-space heads"),)

    def _convolved(self) -> tuple[Section, ...]:
        shared = Section(self.groups, 2 * self.state_dim, "state-space groups", "replicate")
        return (self._inner(), shared)

    def _projections(self) -> tuple[Tensor, ...]:
        sections = (self._inner(), *self._convolved(), *self._per_head())
        return linear("mixer.in_proj", width(sections), self.hidden, bias=self.bias, out=sections)

    def _output(self) -> tuple[Tensor, ...]:
        inner = self.heads * self.head_dim
        return linear("mixer.out_proj", self.hidden, inner, bias=self.bias, inner=(self._inner(),))

    def _convolution(self) -> tuple[Tensor, ...]:
        return depthwise("mixer.conv1d", self._convolved(), self.conv_kernel, bias=self.conv_bias)

    def _recurrence(self) -> tuple[Tensor, ...]:
        names = ("dt_bias", "A_log", "D")
        return tuple(vector(f"mixer.{name}", self._per_head(), "state") for name in names)

    def tensors(self) -> tuple[Tensor, ...]:
        """Return projections, convolution, per-head parameters and the gated norm.

        Returns
        -------
        tuple of Tensor
            Heads are cut over ranks, groups copied where ranks outnumber them.

        References
        ----------
        dao-2024

        Examples
        --------
        >>> mixer = Mamba2(hidden=2560, heads=80, head_dim=64, groups=1, state_dim=128)
        >>> sum(t.elements for t in mixer.tensors())
        40214000
        """
        norm = (vector("mixer.norm.weight", (self._inner(),), "norm"),) if self.norm else ()
        return (
            *self._projections(), *self._convolution(), *self._recurrence(), *norm,
            *self._output(),
        )  # fmt: skip

    def caches(self) -> tuple[StateCache, ...]:
        """Return the recurrent state and the last columns of the convolution's input.

        Returns
        -------
        tuple of StateCache
            Neither grows with the context.

        References
        ----------
        dao-2024

        Examples
        --------
        >>> from planner.model.execution import half
        >>> mixer = Mamba2(hidden=2560, heads=80, head_dim=64, groups=1, state_dim=128)
        >>> sum(c.sequence_bytes(1, half(), tp=1) for c in mixer.caches())
        2653696
        """
        state = StateCache(
            kind="state",
            sections=(self._inner(),),
            shape=(self.state_dim,),
            format=state_format(self.state_format),
        )
        return (state, columns(self._convolved(), self.conv_kernel))

    def operations(self, step: Step, execution: Execution) -> tuple[Operation, ...]:
        """Return projections, convolution, scan or update, gate and the sum over ranks.

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
            The ranks do not divide the heads.

        References
        ----------
        dao-2024

        Examples
        --------
        >>> from planner.model.execution import half
        >>> mixer = Mamba2(hidden=2560, heads=80, head_dim=64, groups=1, state_dim=128)
        >>> [op.flop for op in mixer.operations(Step.decode(1, 1), half())][2]
        3276800
        """
        tokens = step.tokens
        inner = self._inner().units_on_rank(execution.layout.tp) * self.head_dim
        shape = self._shape(step, execution.layout.tp)
        kept = self.caches()[1]
        return (
            gemm("mixer.in_proj", self._projections(), tokens, execution),
            short_convolution("mixer.conv1d", self._convolution(), kept, step, execution, shape),
            self._scan(step, execution, shape),
            elementwise("mixer.gated_norm", tokens, 2 * inner, inner, execution),
            *projected_out("mixer.out_proj", self._output(), self.hidden, step, execution),
        )

    def _shape(self, step: Step, tp: int) -> dict[str, Any]:
        heads, groups = (section.units_on_rank(tp) for section in self._convolved())
        return scan_shape(
            step, "mamba2", hidden=self.hidden, heads=heads, head_dim=self.head_dim,
            groups=groups, state_dim=self.state_dim, conv_kernel=self.conv_kernel,
        )  # fmt: skip

    def _scan(self, step: Step, execution: Execution, shape: dict[str, Any]) -> Operation:
        tp = execution.layout.tp
        heads, groups = (section.units_on_rank(tp) for section in self._convolved())
        flop = linear_scan_flop(
            step, chunk=self.chunk, heads=heads, key_dim=self.state_dim,
            value_dim=self.head_dim, key_heads=groups,
        )  # fmt: skip
        inner = heads * self.head_dim
        return scan(
            "mixer.scan", (self.caches()[0],), step, execution, flop=flop,
            read_width=inner + 2 * groups * self.state_dim + heads, write_width=inner,
            shape=shape, weights=self._recurrence(),
        )  # fmt: skip
