"""xLSTM: a matrix memory per head (mLSTM), or scalar memories with recurrent gates (sLSTM)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from planner.model.bounds import Count, Flag, Size
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
)
from planner.model.mixers.scan_flop import linear_scan_flop
from planner.model.mixers.structured import block_diagonal, block_product
from planner.model.operation import Operation, elementwise, gemm
from planner.model.step import Step
from planner.model.tensor import Tensor, linear


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixLstm:
    """The mLSTM layer: linear attention with exponential input gates and a normaliser.

    Parameters
    ----------
    hidden : int
        Width of the residual stream. [elements]
    heads : int
        Heads. [1]
    key_dim, value_dim : int
        Width of one head's key and value. [elements]
    bias : bool
        Whether projections and norm have biases; the gates always do.
    chunk : int
        Tokens that the prefill kernel handles as one matrix product. [tokens]
    state_format : {"stream", "fp32", "bf16", "fp16"}
        Format of memory, normaliser and largest exponent.
    """

    kind: Literal["mlstm"] = "mlstm"
    hidden: Size
    heads: Size
    key_dim: Size
    value_dim: Size
    bias: Flag = False
    chunk: Size = 64
    state_format: StateFormat = "fp32"

    @property
    def variant(self) -> str:
        """Common name."""
        return "mLSTM"

    def _heads(self, width: int) -> Section:
        return Section(self.heads, width, "heads")

    def _projections(self) -> tuple[Tensor, ...]:
        rows = (
            ("q", self.key_dim, self.bias),
            ("k", self.key_dim, self.bias),
            ("v", self.value_dim, self.bias),
            ("ogate_preact", self.value_dim, self.bias),
            ("igate_preact", 1, True),
            ("fgate_preact", 1, True),
        )
        return tuple(
            tensor
            for name, width, bias in rows
            for tensor in linear(
                f"mlstm_layer.{name}",
                self.heads * width,
                self.hidden,
                bias=bias,
                out=(self._heads(width),),
            )
        )

    def _output(self) -> tuple[Tensor, ...]:
        inner = (self._heads(self.value_dim),)
        width = self.heads * self.value_dim
        return linear("mlstm_layer.out_proj", self.hidden, width, bias=self.bias, inner=inner)

    def tensors(self) -> tuple[Tensor, ...]:
        """Return projections, gates and a norm per head.

        Returns
        -------
        tuple of Tensor
            Heads are cut over ranks.

        References
        ----------
        beck-2024

        Examples
        --------
        >>> mixer = MatrixLstm(hidden=4096, heads=8, key_dim=256, value_dim=512)
        >>> sum(t.elements for t in mixer.tensors())
        67178512
        """
        suffixes = ("weight", "bias") if self.bias else ("weight",)
        values = (self._heads(self.value_dim),)
        norm = [vector(f"mlstm_layer.multihead_norm.{s}", values, "norm") for s in suffixes]
        return (*self._projections(), *norm, *self._output())

    def caches(self) -> tuple[StateCache, ...]:
        """Return memory, normaliser and largest exponent of every head.

        Returns
        -------
        tuple of StateCache
            None grows with the context.

        References
        ----------
        beck-2024

        Examples
        --------
        >>> from planner.model.execution import half
        >>> mixer = MatrixLstm(hidden=4096, heads=8, key_dim=256, value_dim=512)
        >>> sum(c.sequence_bytes(1, half(), tp=1) for c in mixer.caches())
        4202528
        """
        own = state_format(self.state_format)
        memory = (self._heads(self.value_dim),)
        return (
            StateCache(kind="state", sections=memory, shape=(self.key_dim,), format=own),
            StateCache(
                kind="state", sections=(self._heads(1),), shape=(self.key_dim + 1,), format=own
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
            In the order of execution; the normaliser adds 5 FLOP per element of a key.

        Raises
        ------
        LayoutError
            The ranks do not divide the heads.

        References
        ----------
        beck-2024

        Examples
        --------
        >>> from planner.model.execution import half
        >>> mixer = MatrixLstm(hidden=4096, heads=8, key_dim=256, value_dim=512)
        >>> mixer.operations(Step.decode(1, 1), half())[1].flop
        5253120
        """
        heads = self._heads(1).units_on_rank(execution.layout.tp)
        inner = heads * self.value_dim
        shape = scan_shape(
            step, "mlstm", hidden=self.hidden, heads=heads, head_dim=self.value_dim,
            groups=heads, state_dim=self.key_dim,
        )  # fmt: skip
        flop = linear_scan_flop(
            step, chunk=self.chunk, heads=heads, key_dim=self.key_dim, value_dim=self.value_dim
        )
        update = scan(
            "mlstm_layer.scan", self.caches(), step, execution,
            flop=flop + 5 * step.tokens * heads * self.key_dim,
            read_width=inner + 2 * heads * (self.key_dim + 1), write_width=inner, shape=shape,
        )  # fmt: skip
        return (
            gemm("mlstm_layer.in_proj", self._projections(), step.tokens, execution),
            update,
            elementwise("mlstm_layer.gated_norm", step.tokens, 2 * inner, inner, execution),
            *projected_out("mlstm_layer.out_proj", self._output(), self.hidden, step, execution),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalarLstm:
    """The sLSTM layer: four gates that also read the head's last output, so tokens wait in line.

    Parameters
    ----------
    hidden : int
        Width of the residual stream and of the memories. [elements]
    heads : int
        Heads; products with inputs and outputs stay within one. [1]
    conv_kernel : int
        Taps of a short convolution before input and forget gate; 0 without one. [1]
    state_format : {"stream", "fp32", "bf16", "fp16"}
        Format of the memories.
    """

    kind: Literal["slstm"] = "slstm"
    hidden: Size
    heads: Size
    conv_kernel: Count = 4
    state_format: StateFormat = "fp32"

    @property
    def variant(self) -> str:
        """Common name."""
        return "sLSTM"

    def _channels(self) -> tuple[Section, ...]:
        return (Section(self.heads, self.hidden // self.heads, "heads"),)

    def _convolution(self) -> tuple[Tensor, ...]:
        if not self.conv_kernel:
            return ()
        return depthwise("slstm_layer.conv1d", self._channels(), self.conv_kernel, bias=True)

    def _gates(self, *names: str) -> tuple[Tensor, ...]:
        size = self.hidden // self.heads
        return tuple(
            block_diagonal(f"slstm_layer.{name}gate", self.heads, size, size, what="heads")
            for name in names
        )

    def _recurrence(self) -> tuple[Tensor, ...]:
        size = self.hidden // self.heads
        split = Split(0, (Section(self.heads, 1, "heads"),))
        kernel = block_diagonal("slstm_layer.recurrent", self.heads, 4 * size, size, what="heads")
        return (kernel, Tensor("slstm_layer.bias", (self.heads, 4, size), "state", split))

    def tensors(self) -> tuple[Tensor, ...]:
        """Return gates, recurrent gates, convolution and norm.

        Returns
        -------
        tuple of Tensor
            Heads are cut over ranks.

        References
        ----------
        beck-2024

        Examples
        --------
        >>> sum(t.elements for t in ScalarLstm(hidden=1024, heads=4).tensors())
        2107392
        """
        norm = vector("slstm_layer.group_norm.weight", self._channels(), "norm")
        return (*self._convolution(), *self._gates(*"ifzo"), *self._recurrence(), norm)

    def caches(self) -> tuple[StateCache, ...]:
        """Return output, cell, normaliser and largest exponent of every channel.

        Returns
        -------
        tuple of StateCache
            None grows with the context.

        References
        ----------
        beck-2024

        Examples
        --------
        >>> from planner.model.execution import half
        >>> mixer = ScalarLstm(hidden=1024, heads=4)
        >>> sum(c.sequence_bytes(1, half(), tp=1) for c in mixer.caches())
        22528
        """
        own = state_format(self.state_format)
        state = StateCache(kind="state", sections=self._channels(), shape=(4,), format=own)
        if not self.conv_kernel:
            return (state,)
        return (state, columns(self._channels(), self.conv_kernel))

    def operations(self, step: Step, execution: Execution) -> tuple[Operation, ...]:
        """Return convolution, gates, the walk over tokens and the norm.

        Parameters
        ----------
        step : Step
            The forward pass.
        execution : Execution
            Formats and layout.

        Returns
        -------
        tuple of Operation
            The walk multiplies the last output with the recurrent gates, 2 FLOP each, and updates
            cell and normaliser, 6 per channel.

        Raises
        ------
        LayoutError
            The ranks do not divide the heads.

        References
        ----------
        beck-2024

        Examples
        --------
        >>> from planner.model.execution import half
        >>> ops = ScalarLstm(hidden=1024, heads=4).operations(Step.decode(1, 1), half())
        >>> [op.flop for op in ops if op.kind == "state_space_decode"]
        [2103296]
        """
        tokens = step.tokens
        heads = self._channels()[0].units_on_rank(execution.layout.tp)
        size = self.hidden // self.heads
        inner = heads * size
        state, *kept = self.caches()
        shape = scan_shape(
            step, "slstm", hidden=self.hidden, heads=heads, head_dim=size, state_dim=4,
            conv_kernel=self.conv_kernel,
        )  # fmt: skip
        weights = self._convolution()
        convolved = [
            short_convolution("slstm_layer.conv1d", weights, column, step, execution, shape)
            for column in kept
        ]
        walk = scan(
            "slstm_layer.scan", (state,), step, execution,
            flop=tokens * inner * (8 * size + 6), read_width=4 * inner, write_width=inner,
            shape=shape, weights=self._recurrence(),
        )  # fmt: skip
        return (
            *convolved,
            block_product("slstm_layer.if", self._gates(*"if"), tokens, execution),
            block_product("slstm_layer.zo", self._gates(*"zo"), tokens, execution),
            walk,
            elementwise("slstm_layer.group_norm", tokens, inner, inner, execution),
        )
