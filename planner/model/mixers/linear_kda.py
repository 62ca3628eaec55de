"""Kimi delta attention: the gated delta rule with a decay per channel of the key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from planner.model.bounds import Flag, Size
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
class KimiDeltaAttention:
    """Kimi delta attention (KDA): the gated delta rule with a decay per channel of the key.

    Parameters
    ----------
    hidden : int
        Width of the residual stream. [elements]
    heads, head_dim : int
        Heads and their width, the same for queries, keys and values. [1], [elements]
    decay_rank, gate_rank : int, optional
        Width of what decays and the output gate are made of; None for a direct projection.
        [elements]
    gate_bias : bool
        Whether the output gate has a bias.
    conv_kernel : int
        Taps of the short convolution over queries, keys and values. [1]
    chunk : int
        Tokens that the prefill kernel handles as one matrix product. [tokens]
    state_format : {"stream", "fp32", "bf16", "fp16"}
        Format of the recurrent state.
    """

    kind: Literal["kda"] = "kda"
    hidden: Size
    heads: Size
    head_dim: Size
    decay_rank: Size | None = None
    gate_rank: Size | None = None
    gate_bias: Flag = False
    conv_kernel: Size = 4
    chunk: Size = 64
    state_format: StateFormat = "fp32"

    @property
    def variant(self) -> str:
        """Common name."""
        return "KDA"

    def _heads(self, width: int) -> Section:
        return Section(self.heads, width, "linear heads")

    def _wide(self, name: str, inputs: int, *, bias: bool = False) -> tuple[Tensor, ...]:
        out = self._heads(self.head_dim)
        return linear(f"self_attn.{name}", out.units * out.width, inputs, bias=bias, out=(out,))

    def _projections(self) -> tuple[Tensor, ...]:
        """Return everything that is made of the layer's input in one product."""
        wide = [tensor for name in "qkv" for tensor in self._wide(f"{name}_proj", self.hidden)]
        wide += linear("self_attn.b_proj", self.heads, self.hidden, out=(self._heads(1),))
        for name, rank in (("f", self.decay_rank), ("g", self.gate_rank)):
            if rank is None:
                bias = self.gate_bias and name == "g"
                wide += self._wide(f"{name}_proj", self.hidden, bias=bias)
            else:
                wide += linear(f"self_attn.{name}_a_proj", rank, self.hidden)
        return tuple(wide)

    def _second(self) -> tuple[tuple[Tensor, ...], ...]:
        """Return what widens decays and gate again, where they are made of something narrow."""
        ranks = {"f_b_proj": (self.decay_rank, False), "g_b_proj": (self.gate_rank, self.gate_bias)}
        return tuple(
            self._wide(name, rank, bias=bias) for name, (rank, bias) in ranks.items() if rank
        )

    def _convolved(self) -> tuple[Section, ...]:
        return (self._heads(self.head_dim),) * 3

    def _convolution(self) -> tuple[Tensor, ...]:
        return depthwise("self_attn.conv1d", self._convolved(), self.conv_kernel)

    def _decay(self) -> tuple[Tensor, ...]:
        bias = vector("self_attn.dt_bias", (self._heads(self.head_dim),), "state")
        return (bias, vector("self_attn.A_log", (self._heads(1),), "state"))

    def _output(self) -> tuple[Tensor, ...]:
        inner = self._heads(self.head_dim)
        return linear("self_attn.o_proj", self.hidden, inner.units * inner.width, inner=(inner,))

    def tensors(self) -> tuple[Tensor, ...]:
        """Return projections, convolution, decays, gate and norm.

        Returns
        -------
        tuple of Tensor
            Heads are cut over ranks; narrow projections and the norm are whole on each.

        References
        ----------
        kimi-linear-2025

        Examples
        --------
        >>> kda = KimiDeltaAttention(
        ...     hidden=2304, heads=32, head_dim=128, decay_rank=128, gate_rank=128
        ... )
        >>> sum(t.elements for t in kda.tensors())
        39514272
        """
        norm = Tensor("self_attn.o_norm.weight", (self.head_dim,), "norm")
        widening = [tensor for weights in self._second() for tensor in weights]
        return (
            *self._projections(), *widening, *self._convolution(), *self._decay(), norm,
            *self._output(),
        )  # fmt: skip

    def caches(self) -> tuple[StateCache, ...]:
        """Return a matrix per head and the last columns of the convolution's input.

        Returns
        -------
        tuple of StateCache
            Neither grows with the context.

        References
        ----------
        kimi-linear-2025

        Examples
        --------
        >>> from planner.model.execution import half
        >>> kda = KimiDeltaAttention(hidden=2304, heads=32, head_dim=128)
        >>> 20 * sum(c.sequence_bytes(1, half(), tp=1) for c in kda.caches())
        43417600
        """
        state = StateCache(
            kind="state",
            sections=(self._heads(self.head_dim),),
            shape=(self.head_dim,),
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
        kimi-linear-2025

        Examples
        --------
        >>> from planner.model.execution import half
        >>> kda = KimiDeltaAttention(hidden=2304, heads=32, head_dim=128)
        >>> kda.operations(Step.decode(1, 1), half())[2].flop
        3670016
        """
        tokens = step.tokens
        heads = self._heads(1).units_on_rank(execution.layout.tp)
        inner = heads * self.head_dim
        state, kept = self.caches()
        shape = scan_shape(
            step, "kda", hidden=self.hidden, heads=heads, head_dim=self.head_dim,
            groups=heads, state_dim=self.head_dim, conv_kernel=self.conv_kernel,
        )  # fmt: skip
        flop = delta_scan_flop(
            step, chunk=self.chunk, heads=heads, key_dim=self.head_dim, value_dim=self.head_dim
        )
        update = scan(
            "self_attn.scan", (state,), step, execution, flop=flop,
            read_width=4 * inner + heads, write_width=inner, shape=shape, weights=self._decay(),
        )  # fmt: skip
        return (
            gemm("self_attn.in_proj", self._projections(), tokens, execution),
            short_convolution(
                "self_attn.conv1d", self._convolution(), kept, step, execution, shape
            ),
            *(gemm(weights[0].name, weights, tokens, execution) for weights in self._second()),
            update,
            elementwise("self_attn.gated_norm", tokens, 2 * inner, inner, execution),
            *projected_out("self_attn.o_proj", self._output(), self.hidden, step, execution),
        )
