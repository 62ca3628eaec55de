"""RWKV: time mixing with a decaying state, and channel mixing, both shifted by one token.

Each kind of mixing interpolates a token with the one before it, so it remembers one vector of the
residual stream. The authors' kernels walk token by token, in prefill as in decode; their FLOP per
token are the same in both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from planner.model.bounds import Flag, Size
from planner.model.cache import StateCache
from planner.model.execution import Execution
from planner.model.layout import Section
from planner.model.mixers.recurrence import (
    StateFormat,
    carried,
    columns,
    projected_out,
    scan,
    scan_shape,
    state_format,
    vector,
)
from planner.model.operation import Operation, all_reduce, elementwise, gemm
from planner.model.step import Step
from planner.model.tensor import Tensor, linear


def previous_token(hidden: int) -> StateCache:
    """Return what a shift by one token remembers.

    Parameters
    ----------
    hidden : int
        Width of the residual stream. [elements]

    Returns
    -------
    StateCache
        One vector, a copy on every rank.

    Examples
    --------
    >>> from planner.model.execution import half
    >>> previous_token(2048).sequence_bytes(0, half(), tp=8)
    4096
    """
    return columns((Section(1, hidden, "residual streams", "replicate"),), 2)


def token_shift(name: str, mixes: int, hidden: int, step: Step, execution: Execution) -> Operation:
    """Return the interpolation of every token with the one before it.

    Parameters
    ----------
    name : str
        Name of the operation.
    mixes : int
        Interpolations of one token. [1]
    hidden : int
        Width of the residual stream. [elements]
    step : Step
        The forward pass.
    execution : Execution
        Formats and layout.

    Returns
    -------
    Operation
        Reads a token once, writes each of its mixtures.

    Examples
    --------
    >>> from planner.model.execution import half
    >>> token_shift("time_mix", 3, 2048, Step.decode(1, 9), half()).cache_read_bytes
    4096
    """
    kept = carried((previous_token(hidden),), step, execution)
    moved = elementwise(name, step.tokens, hidden, mixes * hidden, execution)
    return Operation(
        name=name,
        kind="elementwise",
        precision=moved.precision,
        input_bytes=moved.input_bytes,
        output_bytes=moved.output_bytes,
        cache_read_bytes=kept * step.resumes,
        cache_write_bytes=kept,
        shape=moved.shape,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rwkv4TimeMix:
    """Time mixing of RWKV-4: a weighted mean per channel, kept as numerator and denominator.

    Parameters
    ----------
    hidden, inner : int
        Width of the residual stream, and of the means. [elements]
    state_format : {"stream", "fp32", "bf16", "fp16"}
        Format of numerator, denominator and largest exponent.
    """

    kind: Literal["rwkv4"] = "rwkv4"
    hidden: Size
    inner: Size
    state_format: StateFormat = "fp32"

    @property
    def variant(self) -> str:
        """Common name."""
        return "RWKV-4"

    def _channels(self) -> tuple[Section, ...]:
        return (Section(self.inner, 1, "channels"),)

    def _projections(self) -> tuple[tuple[Tensor, ...], ...]:
        return tuple(
            linear(f"attention.{name}", self.inner, self.hidden, out=self._channels())
            for name in ("key", "value", "receptance")
        )

    def _recurrence(self) -> tuple[Tensor, ...]:
        names = ("time_decay", "time_first")
        return tuple(vector(f"attention.{name}", self._channels(), "state") for name in names)

    def _output(self) -> tuple[Tensor, ...]:
        return linear("attention.output", self.hidden, self.inner, inner=self._channels())

    def tensors(self) -> tuple[Tensor, ...]:
        """Return interpolations, projections and decays.

        Returns
        -------
        tuple of Tensor
            Channels are cut over ranks.

        References
        ----------
        peng-2023-rwkv

        Examples
        --------
        >>> sum(t.elements for t in Rwkv4TimeMix(hidden=768, inner=768).tensors())
        2363136
        """
        mixes = tuple(
            Tensor(f"attention.time_mix_{name}", (self.hidden,), "state")
            for name in ("key", "value", "receptance")
        )
        projections = tuple(tensor for weights in self._projections() for tensor in weights)
        return (*mixes, *projections, *self._recurrence(), *self._output())

    def caches(self) -> tuple[StateCache, ...]:
        """Return numerator, denominator and largest exponent, and the token before.

        Returns
        -------
        tuple of StateCache
            None grows with the context.

        References
        ----------
        peng-2023-rwkv

        Examples
        --------
        >>> from planner.model.execution import half
        >>> mixer = Rwkv4TimeMix(hidden=768, inner=768)
        >>> sum(c.sequence_bytes(1, half(), tp=1) for c in mixer.caches())
        10752
        """
        own = state_format(self.state_format)
        state = StateCache(kind="state", sections=self._channels(), shape=(3,), format=own)
        return (state, previous_token(self.hidden))

    def operations(self, step: Step, execution: Execution) -> tuple[Operation, ...]:
        """Return interpolation, projections, scan with its gate, and the sum over ranks.

        Parameters
        ----------
        step : Step
            The forward pass.
        execution : Execution
            Formats and layout.

        Returns
        -------
        tuple of Operation
            In the order of execution. The scan does 11 FLOP per channel and token: two numerators
            of 3, two denominators of 2, one division.

        Raises
        ------
        LayoutError
            The ranks do not divide the channels.

        References
        ----------
        peng-2023-rwkv

        Examples
        --------
        >>> from planner.model.execution import half
        >>> Rwkv4TimeMix(hidden=768, inner=768).operations(Step.decode(1, 1), half())[-2].flop
        8448
        """
        tokens = step.tokens
        inner = self._channels()[0].units_on_rank(execution.layout.tp)
        shape = scan_shape(step, "rwkv4", hidden=self.hidden, heads=inner, head_dim=1, state_dim=1)
        return (
            token_shift("attention.time_mix", 3, self.hidden, step, execution),
            *(gemm(weights[0].name, weights, tokens, execution) for weights in self._projections()),
            scan(
                "attention.scan", self.caches()[:1], step, execution, flop=11 * tokens * inner,
                read_width=3 * inner, write_width=inner, shape=shape, weights=self._recurrence(),
            ),
            *projected_out("attention.output", self._output(), self.hidden, step, execution),
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class RwkvChannelMix:
    """Channel mixing: a squared-ReLU feed-forward block of the shifted token.

    Parameters
    ----------
    hidden, intermediate : int
        Width of the residual stream and inside the block. [elements]
    receptance : bool
        Whether a projection of its own gates the output, as up to RWKV-6.
    """

    kind: Literal["rwkv_channel_mix"] = "rwkv_channel_mix"
    hidden: Size
    intermediate: Size
    receptance: Flag = True

    def _columns(self) -> tuple[Section, ...]:
        return (Section(self.intermediate, 1, "feed-forward columns"),)

    def _key(self) -> tuple[Tensor, ...]:
        return linear("feed_forward.key", self.intermediate, self.hidden, out=self._columns())

    def _value(self) -> tuple[Tensor, ...]:
        return linear("feed_forward.value", self.hidden, self.intermediate, inner=self._columns())

    def _gate(self) -> tuple[Tensor, ...]:
        return linear("feed_forward.receptance", self.hidden, self.hidden)

    def tensors(self) -> tuple[Tensor, ...]:
        """Return interpolations and matrices.

        Returns
        -------
        tuple of Tensor
            Columns are cut over ranks; the gate is whole on each.

        References
        ----------
        peng-2023-rwkv, peng-2025-rwkv

        Examples
        --------
        >>> sum(t.elements for t in RwkvChannelMix(hidden=768, intermediate=3072).tensors())
        5309952
        """
        names = ("key", "receptance") if self.receptance else ("key",)
        mixes = [Tensor(f"feed_forward.time_mix_{n}", (self.hidden,), "state") for n in names]
        gate = self._gate() if self.receptance else ()
        return (*mixes, *self._key(), *gate, *self._value())

    def caches(self) -> tuple[StateCache, ...]:
        """Return the token before.

        Returns
        -------
        tuple of StateCache
            One vector.

        References
        ----------
        peng-2023-rwkv

        Examples
        --------
        >>> RwkvChannelMix(hidden=768, intermediate=3072).caches()[0].shape
        (1,)
        """
        return (previous_token(self.hidden),)

    def operations(self, step: Step, execution: Execution) -> tuple[Operation, ...]:
        """Return interpolation, products, activation and gate, and the sum over ranks.

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
            The ranks do not divide the columns.

        References
        ----------
        peng-2023-rwkv, peng-2025-rwkv

        Examples
        --------
        >>> from planner.model.execution import half
        >>> mixer = RwkvChannelMix(hidden=768, intermediate=3072)
        >>> sum(op.flop for op in mixer.operations(Step.decode(1, 1), half()))
        10616832
        """
        tokens, mixes = step.tokens, 2 if self.receptance else 1
        key = gemm("feed_forward.key", self._key(), tokens, execution)
        wide = int(key.shape["n"])
        operations = [
            token_shift("feed_forward.time_mix", mixes, self.hidden, step, execution),
            key,
            elementwise("feed_forward.activation", tokens, wide, wide, execution),
            gemm("feed_forward.value", self._value(), tokens, execution),
        ]
        if execution.layout.tp > 1:
            operations.append(all_reduce("feed_forward.all_reduce", tokens, self.hidden, execution))
        if self.receptance:
            gate = 2 * self.hidden
            operations.append(gemm("feed_forward.receptance", self._gate(), tokens, execution))
            operations.append(
                elementwise("feed_forward.gate", tokens, gate, self.hidden, execution)
            )
        return tuple(operations)
