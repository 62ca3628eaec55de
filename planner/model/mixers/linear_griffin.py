"""Griffin's recurrent block: a real-gated linear recurrent unit, one number per channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from planner.model.bounds import Size
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
from planner.model.mixers.structured import block_diagonal, block_product
from planner.model.operation import Operation, elementwise, gemm
from planner.model.step import Step
from planner.model.tensor import Tensor, linear


@dataclass(frozen=True, slots=True, kw_only=True)
class RgLru:
    """The recurrent block of Griffin: two branches, one of them convolved and recurrent.

    Input gate and recurrence gate are block-diagonal; ranks share the blocks.

    Parameters
    ----------
    hidden, inner : int
        Width of the residual stream, and of the recurrence. [elements]
    blocks : int
        Blocks of the gates. [1]
    conv_kernel : int
        Taps of the short convolution. [1]
    state_format : {"stream", "fp32", "bf16", "fp16"}
        Format of the recurrent state.
    """

    kind: Literal["rg_lru"] = "rg_lru"
    hidden: Size
    inner: Size
    blocks: Size
    conv_kernel: Size = 4
    state_format: StateFormat = "fp32"

    @property
    def variant(self) -> str:
        """Common name."""
        return "RG-LRU"

    def _channels(self) -> tuple[Section, ...]:
        return (Section(self.blocks, self.inner // self.blocks, "gate blocks"),)

    def _projections(self) -> tuple[Tensor, ...]:
        return tuple(
            tensor
            for name in ("linear_y", "linear_x")
            for tensor in linear(
                f"temporal_block.{name}", self.inner, self.hidden, bias=True, out=self._channels()
            )
        )

    def _convolution(self) -> tuple[Tensor, ...]:
        name = "temporal_block.conv_1d"
        return depthwise(name, self._channels(), self.conv_kernel, bias=True)

    def _gates(self) -> tuple[Tensor, ...]:
        size = self.inner // self.blocks
        split = Split(0, (Section(self.blocks, 1, "gate blocks"),))
        tensors: list[Tensor] = []
        for gate in ("input_gate", "recurrent_gate"):
            name = f"temporal_block.rg_lru.{gate}"
            tensors.append(
                block_diagonal(f"{name}_weight", self.blocks, size, size, what="gate blocks")
            )
            tensors.append(Tensor(f"{name}_bias", (self.blocks, size), "bias", split))
        return tuple(tensors)

    def _recurrence(self) -> tuple[Tensor, ...]:
        return (vector("temporal_block.rg_lru.recurrent_param", self._channels(), "state"),)

    def _output(self) -> tuple[Tensor, ...]:
        return linear(
            "temporal_block.linear_out", self.hidden, self.inner, bias=True, inner=self._channels()
        )

    def tensors(self) -> tuple[Tensor, ...]:
        """Return both branches, convolution, gates and the recurrence's own parameter.

        Returns
        -------
        tuple of Tensor
            Blocks are cut over ranks.

        References
        ----------
        de-2024

        Examples
        --------
        >>> sum(t.elements for t in RgLru(hidden=2560, inner=2560, blocks=10).tensors())
        20999680
        """
        return (
            *self._projections(), *self._convolution(), *self._gates(), *self._recurrence(),
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
        de-2024

        Examples
        --------
        >>> from planner.model.execution import half
        >>> mixer = RgLru(hidden=2560, inner=2560, blocks=10)
        >>> 18 * sum(c.sequence_bytes(1, half(), tp=1) for c in mixer.caches())
        460800
        """
        state = StateCache(
            kind="state",
            sections=self._channels(),
            shape=(),
            format=state_format(self.state_format),
        )
        return (state, columns(self._channels(), self.conv_kernel))

    def operations(self, step: Step, execution: Execution) -> tuple[Operation, ...]:
        """Return both branches, convolution, gates, scan or update, and the sum over ranks.

        Parameters
        ----------
        step : Step
            The forward pass.
        execution : Execution
            Formats and layout.

        Returns
        -------
        tuple of Operation
            In the order of execution; the scan is one multiply-add per channel and token.

        Raises
        ------
        LayoutError
            The ranks do not divide the gates' blocks.

        References
        ----------
        de-2024

        Examples
        --------
        >>> from planner.model.execution import half
        >>> mixer = RgLru(hidden=2560, inner=2560, blocks=10)
        >>> [op.flop for op in mixer.operations(Step.decode(1, 1), half())]
        [26214400, 20480, 2621440, 5120, 0, 13107200]
        """
        tokens = step.tokens
        blocks = self._channels()[0].units_on_rank(execution.layout.tp)
        inner = blocks * (self.inner // self.blocks)
        state, kept = self.caches()
        shape = scan_shape(
            step, "rg_lru", hidden=self.hidden, heads=blocks, head_dim=self.inner // self.blocks,
            state_dim=1, conv_kernel=self.conv_kernel,
        )  # fmt: skip
        update = scan(
            "temporal_block.rg_lru", (state,), step, execution, flop=2 * tokens * inner,
            read_width=3 * inner, write_width=inner, shape=shape, weights=self._recurrence(),
        )  # fmt: skip
        return (
            gemm("temporal_block.in_proj", self._projections(), tokens, execution),
            short_convolution(
                "temporal_block.conv_1d", self._convolution(), kept, step, execution, shape
            ),
            block_product("temporal_block.gates", self._gates(), tokens, execution),
            update,
            elementwise("temporal_block.gate", tokens, 2 * inner, inner, execution),
            *projected_out(
                "temporal_block.linear_out", self._output(), self.hidden, step, execution
            ),
        )
