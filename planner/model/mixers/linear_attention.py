"""Linear attention: keys and values add up to a matrix per head, which decays.

Lightning attention decays each head by a number of its own that is not learned; gated linear
attention by a number per token and channel of the key.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from planner.model.bounds import Count, Flag, Size
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
from planner.model.mixers.scan_flop import linear_scan_flop
from planner.model.operation import Operation, elementwise, gemm
from planner.model.step import Step
from planner.model.tensor import Tensor, linear


@dataclass(frozen=True, slots=True, kw_only=True)
class LightningAttention:
    """Lightning attention with an output gate, as MiniMax has it.

    Parameters
    ----------
    hidden : int
        Width of the residual stream. [elements]
    heads, head_dim : int
        Heads and their width. [1], [elements]
    chunk : int
        Tokens that the prefill kernel handles as one matrix product. [tokens]
    state_format : {"stream", "fp32", "bf16", "fp16"}
        Format of the recurrent state.
    """

    kind: Literal["lightning"] = "lightning"
    hidden: Size
    heads: Size
    head_dim: Size
    chunk: Size = 256
    state_format: StateFormat = "fp32"

    @property
    def variant(self) -> str:
        """Common name."""
        return "lightning attention"

    def _heads(self) -> Section:
        return Section(self.heads, self.head_dim, "linear heads")

    def _projections(self) -> tuple[Tensor, ...]:
        width = self.heads * self.head_dim
        return tuple(
            tensor
            for name in ("q_proj", "k_proj", "v_proj", "output_gate")
            for tensor in linear(f"self_attn.{name}", width, self.hidden, out=(self._heads(),))
        )

    def _output(self) -> tuple[Tensor, ...]:
        width = self.heads * self.head_dim
        return linear("self_attn.out_proj", self.hidden, width, inner=(self._heads(),))

    def tensors(self) -> tuple[Tensor, ...]:
        """Return projections, output gate and a norm over all heads.

        Returns
        -------
        tuple of Tensor
            Heads are cut over ranks.

        References
        ----------
        minimax-01-2025

        Examples
        --------
        >>> mixer = LightningAttention(hidden=6144, heads=64, head_dim=128)
        >>> sum(t.elements for t in mixer.tensors())
        251666432
        """
        norm = vector("self_attn.norm.weight", (self._heads(),), "norm")
        return (*self._projections(), norm, *self._output())

    def caches(self) -> tuple[StateCache, ...]:
        """Return a matrix per head.

        Returns
        -------
        tuple of StateCache
            It does not grow with the context.

        References
        ----------
        minimax-01-2025

        Examples
        --------
        >>> from planner.model.execution import half
        >>> (state,) = LightningAttention(hidden=6144, heads=64, head_dim=128).caches()
        >>> 70 * state.sequence_bytes(1, half(), tp=1) / 2**20
        280.0
        """
        return (
            StateCache(
                kind="state",
                sections=(self._heads(),),
                shape=(self.head_dim,),
                format=state_format(self.state_format),
            ),
        )

    def operations(self, step: Step, execution: Execution) -> tuple[Operation, ...]:
        """Return projections, scan or update, norm with gate and the sum over ranks.

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
        minimax-01-2025

        Examples
        --------
        >>> from planner.model.execution import half
        >>> mixer = LightningAttention(hidden=6144, heads=64, head_dim=128)
        >>> mixer.operations(Step.decode(1, 1), half())[1].flop
        5242880
        """
        heads = self._heads().units_on_rank(execution.layout.tp)
        inner = heads * self.head_dim
        shape = scan_shape(
            step, "lightning", hidden=self.hidden, heads=heads, head_dim=self.head_dim,
            groups=heads, state_dim=self.head_dim,
        )  # fmt: skip
        flop = linear_scan_flop(
            step, chunk=self.chunk, heads=heads, key_dim=self.head_dim, value_dim=self.head_dim
        )
        return (
            gemm("self_attn.in_proj", self._projections(), step.tokens, execution),
            scan(
                "self_attn.scan", self.caches(), step, execution, flop=flop,
                read_width=3 * inner, write_width=inner, shape=shape,
            ),
            elementwise("self_attn.gated_norm", step.tokens, 2 * inner, inner, execution),
            *projected_out("self_attn.out_proj", self._output(), self.hidden, step, execution),
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class GatedLinearAttention:
    """Gated linear attention (GLA).

    Parameters
    ----------
    hidden : int
        Width of the residual stream. [elements]
    heads, kv_heads : int
        Heads of queries, and of keys, values and decays; groups of the first share one of the
        second, but each has a state of its own. [1]
    key_dim, value_dim : int
        Width of one head's key and value. [elements]
    decay_rank : int
        Width of what decays are made of. [elements]
    output_gate : bool
        Whether a projection of the input scales the output.
    conv_kernel : int
        Taps of a short convolution over queries, keys and values; 0 without one. [1]
    chunk : int
        Tokens that the prefill kernel handles as one matrix product. [tokens]
    state_format : {"stream", "fp32", "bf16", "fp16"}
        Format of the recurrent state.
    """

    kind: Literal["gla"] = "gla"
    hidden: Size
    heads: Size
    kv_heads: Size
    key_dim: Size
    value_dim: Size
    decay_rank: Size = 16
    output_gate: Flag = True
    conv_kernel: Count = 0
    chunk: Size = 64
    state_format: StateFormat = "fp32"

    @property
    def variant(self) -> str:
        """Common name."""
        return "GLA"

    def _heads(self, width: int) -> Section:
        return Section(self.heads, width, "linear heads")

    def _shared(self, width: int) -> Section:
        return Section(self.kv_heads, width, "linear KV heads", "replicate")

    def _convolved(self) -> tuple[Section, ...]:
        return (self._heads(self.key_dim), self._shared(self.key_dim), self._shared(self.value_dim))

    def _projections(self) -> tuple[Tensor, ...]:
        rows = dict(zip("qkv", self._convolved(), strict=True))
        if self.output_gate:
            rows["g"] = self._heads(self.value_dim)
        wide = tuple(
            tensor
            for name, part in rows.items()
            for tensor in linear(
                f"attn.{name}_proj", part.units * part.width, self.hidden, out=(part,)
            )
        )
        return (*wide, *linear("attn.gk_proj.0", self.decay_rank, self.hidden))

    def _decay(self) -> tuple[Tensor, ...]:
        out = self._shared(self.key_dim)
        rows = out.units * out.width
        return linear("attn.gk_proj.1", rows, self.decay_rank, bias=True, out=(out,))

    def _convolution(self) -> tuple[Tensor, ...]:
        if not self.conv_kernel:
            return ()
        return depthwise("attn.conv1d", self._convolved(), self.conv_kernel)

    def _output(self) -> tuple[Tensor, ...]:
        inner = self._heads(self.value_dim)
        return linear("attn.o_proj", self.hidden, inner.units * inner.width, inner=(inner,))

    def tensors(self) -> tuple[Tensor, ...]:
        """Return projections, decays, convolution, norm and gate.

        Returns
        -------
        tuple of Tensor
            Heads are cut over ranks; shared ones are copied where ranks outnumber them.

        References
        ----------
        yang-2023

        Examples
        --------
        >>> mixer = GatedLinearAttention(
        ...     hidden=2048, heads=4, kv_heads=4, key_dim=256, value_dim=512
        ... )
        >>> sum(t.elements for t in mixer.tensors())
        16827904
        """
        norm = Tensor("attn.g_norm.weight", (self.value_dim,), "norm")
        return (
            *self._projections(), *self._decay(), *self._convolution(), norm, *self._output(),
        )  # fmt: skip

    def caches(self) -> tuple[StateCache, ...]:
        """Return a matrix per head and, with a convolution, the last columns of its input.

        Returns
        -------
        tuple of StateCache
            None grows with the context.

        References
        ----------
        yang-2023

        Examples
        --------
        >>> from planner.model.execution import half
        >>> (state,) = GatedLinearAttention(
        ...     hidden=2048, heads=4, kv_heads=4, key_dim=256, value_dim=512
        ... ).caches()
        >>> state.sequence_bytes(1, half(), tp=1)
        2097152
        """
        state = StateCache(
            kind="state",
            sections=(self._heads(self.value_dim),),
            shape=(self.key_dim,),
            format=state_format(self.state_format),
        )
        return (
            (state, columns(self._convolved(), self.conv_kernel)) if self.conv_kernel else (state,)
        )

    def operations(self, step: Step, execution: Execution) -> tuple[Operation, ...]:
        """Return projections, decays, convolution, scan or update, gate and the sum over ranks.

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
        yang-2023

        Examples
        --------
        >>> from planner.model.execution import half
        >>> mixer = GatedLinearAttention(
        ...     hidden=2048, heads=4, kv_heads=4, key_dim=256, value_dim=512
        ... )
        >>> mixer.operations(Step.decode(1, 1), half())[2].flop
        2621440
        """
        tp, tokens = execution.layout.tp, step.tokens
        heads, shared = self._heads(1).units_on_rank(tp), self._shared(1).units_on_rank(tp)
        inner = heads * self.value_dim
        shape = scan_shape(
            step, "gla", hidden=self.hidden, heads=heads, head_dim=self.value_dim,
            groups=shared, state_dim=self.key_dim, conv_kernel=self.conv_kernel,
        )  # fmt: skip
        operations = [gemm("attn.in_proj", self._projections(), tokens, execution)]
        state, *kept = self.caches()
        weights = self._convolution()
        operations += [
            short_convolution("attn.conv1d", weights, column, step, execution, shape)
            for column in kept
        ]
        flop = linear_scan_flop(
            step, chunk=self.chunk, heads=heads, key_dim=self.key_dim, value_dim=self.value_dim
        )
        update = scan(
            "attn.scan", (state,), step, execution, flop=flop,
            read_width=heads * self.key_dim + shared * (2 * self.key_dim + self.value_dim),
            write_width=inner, shape=shape,
        )  # fmt: skip
        read = (2 if self.output_gate else 1) * inner
        return (
            *operations,
            gemm("attn.gk_proj.1", self._decay(), tokens, execution),
            update,
            elementwise("attn.gated_norm", tokens, read, inner, execution),
            *projected_out("attn.o_proj", self._output(), self.hidden, step, execution),
        )
