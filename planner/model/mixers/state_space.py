"""State-space mixers: a recurrent state of fixed size instead of keys and values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from planner.arrays import Numeric, minimum
from planner.model.bounds import Flag, Size
from planner.model.cache import StateCache
from planner.model.execution import Execution
from planner.model.layout import Section, Split
from planner.model.operation import Operation, all_reduce, elementwise, gemm
from planner.model.step import Step
from planner.model.storage import COMPUTE_FORMATS
from planner.model.tensor import Tensor, linear


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
    state_format : {"fp32", "bf16", "fp16"}
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
    state_format: Literal["fp32", "bf16", "fp16"] = "fp32"

    @property
    def variant(self) -> str:
        """Common name."""
        return "SSM"

    def _inner(self) -> Section:
        return Section(self.heads, self.head_dim, "state-space heads")

    def _convolved(self) -> tuple[Section, ...]:
        shared = Section(self.groups, 2 * self.state_dim, "state-space groups", "replicate")
        return (self._inner(), shared)

    def _projections(self) -> tuple[Tensor, ...]:
        per_head = Section(self.heads, 1, "state-space heads")
        sections = (self._inner(), *self._convolved(), per_head)
        width = sum(section.units * section.width for section in sections)
        return linear("mixer.in_proj", width, self.hidden, bias=self.bias, out=sections)

    def _output(self) -> tuple[Tensor, ...]:
        inner = self.heads * self.head_dim
        return linear("mixer.out_proj", self.hidden, inner, bias=self.bias, inner=(self._inner(),))

    def _convolution(self) -> tuple[Tensor, ...]:
        split = Split(0, self._convolved())
        channels = sum(section.units * section.width for section in self._convolved())
        weight = Tensor(
            "mixer.conv1d.weight", (channels, 1, self.conv_kernel), "convolution", split
        )
        bias = Tensor("mixer.conv1d.bias", (channels,), "bias", split)
        return (weight, bias) if self.conv_bias else (weight,)

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
        per_head = Split(0, (Section(self.heads, 1, "state-space heads"),))
        inner = self.heads * self.head_dim
        small = [
            Tensor(f"mixer.{name}", (self.heads,), "state", per_head)
            for name in ("dt_bias", "A_log", "D")
        ]
        if self.norm:
            small.append(Tensor("mixer.norm.weight", (inner,), "norm", Split(0, (self._inner(),))))
        return (*self._projections(), *self._convolution(), *small, *self._output())

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
        return (
            StateCache(
                kind="state",
                sections=(self._inner(),),
                shape=(self.state_dim,),
                format=COMPUTE_FORMATS[self.state_format],
            ),
            StateCache(
                kind="convolution", sections=self._convolved(), shape=(self.conv_kernel - 1,)
            ),
        )

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
        operations = [
            gemm("mixer.in_proj", self._projections(), tokens, execution),
            self._short_convolution(step, execution),
            self._scan(step, execution),
            elementwise("mixer.gated_norm", tokens, 2 * inner, inner, execution),
            gemm("mixer.out_proj", self._output(), tokens, execution),
        ]
        if execution.layout.tp > 1:
            operations.append(all_reduce("mixer.all_reduce", tokens, self.hidden, execution))
        return tuple(operations)

    def _shape(self, step: Step, heads: int) -> dict[str, Any]:
        return {
            "variant": "mamba2",
            "batch": step.batch,
            "new_tokens": step.new_tokens,
            "hidden": self.hidden,
            "heads": heads,
            "head_dim": self.head_dim,
            "groups": self.groups,
            "state_dim": self.state_dim,
            "conv_kernel": self.conv_kernel,
        }

    def _short_convolution(self, step: Step, execution: Execution) -> Operation:
        tp = execution.layout.tp
        parts = [tensor.on_rank(tp) for tensor in self._convolution()]
        channels = parts[0].shape[0]
        state = step.batch * self.caches()[1].sequence_bytes(0, execution, tp=tp)
        moved = step.tokens * channels * execution.stream_bytes
        return Operation(
            name="mixer.conv1d",
            kind=(
                "short_convolution_prefill"
                if step.phase == "prefill"
                else "short_convolution_decode"
            ),
            precision=execution.stream.precision,
            flop=2 * step.tokens * channels * self.conv_kernel,
            weight_bytes=sum(execution.weights.tensor_bytes(part) for part in parts),
            cache_read_bytes=state,
            cache_write_bytes=state,
            input_bytes=moved,
            output_bytes=moved,
            shape=self._shape(step, self.heads // tp),
        )

    def _scan(self, step: Step, execution: Execution) -> Operation:
        tp = execution.layout.tp
        heads = self._inner().units_on_rank(tp)
        groups = self._convolved()[1].units_on_rank(tp)
        state_elements = heads * self.head_dim * self.state_dim
        if step.phase == "decode":
            flop: Numeric = 5 * step.tokens * state_elements
        else:
            flop = step.tokens * self._chunked_flop(step.new_tokens, heads, groups)
        state = step.batch * self.caches()[0].sequence_bytes(0, execution, tp=tp)
        inner = heads * self.head_dim
        width = inner + 2 * groups * self.state_dim + heads
        return Operation(
            name="mixer.scan",
            kind="state_space_prefill" if step.phase == "prefill" else "state_space_decode",
            precision=execution.stream.precision,
            flop=flop,
            cache_read_bytes=state,
            cache_write_bytes=state,
            input_bytes=step.tokens * width * execution.stream_bytes,
            output_bytes=step.tokens * inner * execution.stream_bytes,
            shape=self._shape(step, heads),
        )

    def _chunked_flop(self, new_tokens: Numeric, heads: int, groups: int) -> Numeric:
        """FLOP per token of the chunked scan: scores, outputs, states in and out, their passing."""
        chunk = minimum(new_tokens, self.chunk)
        inner = heads * self.head_dim
        return (
            2 * chunk * (groups * self.state_dim + inner)
            + 4 * inner * self.state_dim
            + 2 * inner * self.state_dim / chunk
        )
