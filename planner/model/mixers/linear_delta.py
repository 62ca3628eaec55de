"""Gated DeltaNet: a matrix state per head in which a key's old value is replaced, not added to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from planner.model.bounds import Size
from planner.model.cache import StateCache
from planner.model.execution import Execution
from planner.model.layout import Section
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
)
from planner.model.mixers.scan_flop import delta_scan_flop
from planner.model.operation import Operation, elementwise, gemm
from planner.model.step import Step
from planner.model.tensor import Tensor, linear


@dataclass(frozen=True, slots=True, kw_only=True)
class GatedDeltaNet:
    """Gated DeltaNet: queries and keys shared by groups of value heads.

    Parameters
    ----------
    hidden : int
        Width of the residual stream. [elements]
    key_heads, value_heads : int
        Heads of queries and keys, and of values and states. [1]
    key_dim, value_dim : int
        Width of one head's key and value. [elements]
    conv_kernel : int
        Taps of the short convolution over queries, keys and values. [1]
    chunk : int
        Tokens that the prefill kernel handles as one matrix product. [tokens]
    state_format : {"stream", "fp32", "bf16", "fp16"}
        Format of the recurrent state.
    """

    kind: Literal["gated_delta_net"] = "gated_delta_net"
    hidden: Size
    key_heads: Size
    value_heads: Size
    key_dim: Size
    value_dim: Size
    conv_kernel: Size = 4
    chunk: Size = 64
    state_format: StateFormat = "stream"

    @property
    def variant(self) -> str:
        """Common name."""
        return "gated DeltaNet"

    def _keys(self) -> Section:
        return Section(self.key_heads, self.key_dim, "linear key heads")

    def _values(self, width: int) -> Section:
        return Section(self.value_heads, width, "linear value heads")

    def _convolved(self) -> tuple[Section, ...]:
        return (self._keys(), self._keys(), self._values(self.value_dim))

    def _projections(self) -> tuple[Tensor, ...]:
        values, numbers = self._values(self.value_dim), self._values(1)
        rows = {"q": self._keys(), "k": self._keys(), "v": values, "z": values}
        rows |= {"b": numbers, "a": numbers}
        return tuple(
            tensor
            for name, part in rows.items()
            for tensor in linear(
                f"linear_attn.{name}_proj", part.units * part.width, self.hidden, out=(part,)
            )
        )

    def _convolution(self) -> tuple[Tensor, ...]:
        return depthwise("linear_attn.conv1d", self._convolved(), self.conv_kernel)

    def _decay(self) -> tuple[Tensor, ...]:
        per_head = (self._values(1),)
        return tuple(vector(f"linear_attn.{n}", per_head, "state") for n in ("dt_bias", "A_log"))

    def _output(self) -> tuple[Tensor, ...]:
        values = self._values(self.value_dim)
        inner = values.units * values.width
        return linear("linear_attn.out_proj", self.hidden, inner, inner=(values,))

    def tensors(self) -> tuple[Tensor, ...]:
        """Return projections, convolution, decays and the gated norm.

        Returns
        -------
        tuple of Tensor
            Heads are cut over ranks; the norm's weight is one head's.

        References
        ----------
        yang-2024

        Examples
        --------
        >>> mixer = GatedDeltaNet(
        ...     hidden=2048, key_heads=16, value_heads=32, key_dim=128, value_dim=128
        ... )
        >>> sum(t.elements for t in mixer.tensors())
        33718464
        """
        norm = Tensor("linear_attn.norm.weight", (self.value_dim,), "norm")
        return (
            *self._projections(),
            *self._convolution(),
            *self._decay(),
            norm,
            *self._output(),
        )

    def caches(self) -> tuple[StateCache, ...]:
        """Return a matrix per value head and the last columns of the convolution's input.

        Returns
        -------
        tuple of StateCache
            Neither grows with the context.

        References
        ----------
        yang-2024

        Examples
        --------
        >>> from planner.model.execution import half
        >>> qwen = GatedDeltaNet(
        ...     hidden=5120,
        ...     key_heads=16,
        ...     value_heads=48,
        ...     key_dim=128,
        ...     value_dim=128,
        ...     state_format="fp32",
        ... )
        >>> sum(c.sequence_bytes(1, half(), tp=1) for c in qwen.caches())
        3207168
        """
        state = StateCache(
            kind="state",
            sections=(self._values(self.value_dim),),
            shape=(self.key_dim,),
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
        yang-2024

        Examples
        --------
        >>> from planner.model.execution import half
        >>> mixer = GatedDeltaNet(
        ...     hidden=2048, key_heads=16, value_heads=32, key_dim=128, value_dim=128
        ... )
        >>> mixer.operations(Step.decode(1, 1), half())[2].flop
        3670016
        """
        tp, tokens = execution.layout.tp, step.tokens
        keys, heads = self._keys().units_on_rank(tp), self._values(1).units_on_rank(tp)
        inner = heads * self.value_dim
        state, kept = self.caches()
        shape = scan_shape(
            step, "gated_delta_net", hidden=self.hidden, heads=heads, head_dim=self.value_dim,
            groups=keys, state_dim=self.key_dim, conv_kernel=self.conv_kernel,
        )  # fmt: skip
        flop = delta_scan_flop(
            step, chunk=self.chunk, heads=heads, key_dim=self.key_dim, value_dim=self.value_dim
        )
        update = scan(
            "linear_attn.scan", (state,), step, execution, flop=flop,
            read_width=2 * keys * self.key_dim + inner + 2 * heads, write_width=inner,
            shape=shape, weights=self._decay(),
        )  # fmt: skip
        return (
            gemm("linear_attn.in_proj", self._projections(), tokens, execution),
            short_convolution(
                "linear_attn.conv1d", self._convolution(), kept, step, execution, shape
            ),
            update,
            elementwise("linear_attn.gated_norm", tokens, 2 * inner, inner, execution),
            *projected_out("linear_attn.out_proj", self._output(), self.hidden, step, execution),
        )
