"""Time mixing of RWKV-5, -6 and -7: a matrix state per head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from planner.model.bounds import Size
from planner.model.cache import StateCache
from planner.model.execution import Execution
from planner.model.layout import Section
from planner.model.mixers.linear_rwkv import previous_token, token_shift
from planner.model.mixers.recurrence import (
    StateFormat,
    projected_out,
    scan,
    scan_shape,
    state_format,
    vector,
)
from planner.model.operation import Operation, elementwise, gemm
from planner.model.step import Step
from planner.model.tensor import Tensor, linear

Version = Literal["rwkv5", "rwkv6", "rwkv7"]

_MIXES = {
    "rwkv5": ("k", "v", "r", "g"),
    "rwkv6": ("x", "w", "k", "v", "r", "g"),
    "rwkv7": ("r", "w", "k", "v", "a", "g"),
}
_VECTORS = {
    "rwkv5": ("time_decay", "time_faaaa"),
    "rwkv6": ("time_decay", "time_faaaa"),
    "rwkv7": ("w0", "a0", "k_k", "k_a", "r_k"),
}
_SQUARE = {
    "rwkv5": ("receptance", "key", "value", "gate"),
    "rwkv6": ("receptance", "key", "value", "gate"),
    "rwkv7": ("receptance", "key", "value"),
}
_FLOP_PER_ELEMENT = {"rwkv5": 5, "rwkv6": 5, "rwkv7": 9}
"""Decay 1, update 2, read 2; RWKV-7 also applies the state to the key it replaces, 2, and adds what
comes of it, 2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RwkvTimeMix:
    """Time mixing with a matrix state per head.

    RWKV-5 decays each channel of a key by a number of its own, RWKV-6 by one that depends on the
    token, RWKV-7 also replaces what a key stood for.

    Parameters
    ----------
    kind : {"rwkv5", "rwkv6", "rwkv7"}
        Version.
    hidden, inner : int
        Width of the residual stream, and of all heads together. [elements]
    head_dim : int
        Width of a head. [elements]
    mix_rank : int, optional
        Width of what RWKV-6 makes each of its five interpolations of. [elements]
    decay_rank : int, optional
        Width of what decays are made of, from RWKV-6 on. [elements]
    replace_rank, value_rank, gate_rank : int, optional
        RWKV-7: width of what the rate of replacement, the part of the first layer's values and the
        output gate are made of; without ``value_rank`` the values are the layer's own. [elements]
    state_format : {"stream", "fp32", "bf16", "fp16"}
        Format of the recurrent state.
    """

    kind: Version
    hidden: Size
    inner: Size
    head_dim: Size
    mix_rank: Size | None = None
    decay_rank: Size | None = None
    replace_rank: Size | None = None
    value_rank: Size | None = None
    gate_rank: Size | None = None
    state_format: StateFormat = "fp32"

    @property
    def variant(self) -> str:
        """Common name."""
        return f"RWKV-{self.kind[-1]}"

    def _heads(self) -> tuple[Section, ...]:
        return (Section(self.inner // self.head_dim, self.head_dim, "heads"),)

    def _square(self) -> tuple[tuple[Tensor, ...], ...]:
        return tuple(
            linear(f"attention.{name}", self.inner, self.hidden, out=self._heads())
            for name in _SQUARE[self.kind]
        )

    def _narrow(self) -> tuple[tuple[str, int, int], ...]:
        """Return name, inputs' and narrow width of every pair of narrow matrices."""
        ranks = {
            "w": self.decay_rank,
            "a": self.replace_rank,
            "v": self.value_rank,
            "g": self.gate_rank,
        }
        return tuple((name, self.hidden, rank) for name, rank in ranks.items() if rank is not None)

    def _going_down(self) -> tuple[Tensor, ...]:
        mixing = linear("attention.mix_w1", 5 * self.mix_rank, self.hidden) if self.mix_rank else ()
        narrow = [
            tensor
            for name, inputs, rank in self._narrow()
            for tensor in linear(f"attention.{name}1", rank, inputs)
        ]
        return (*mixing, *narrow)

    def _mixing(self) -> tuple[Tensor, ...]:
        if not self.mix_rank:
            return ()
        return (Tensor("attention.mix_w2.weight", (5, self.hidden, self.mix_rank), "linear"),)

    def _going_up(self) -> tuple[tuple[Tensor, ...], ...]:
        return tuple(
            linear(f"attention.{name}2", self.inner, rank, out=self._heads())
            for name, _, rank in self._narrow()
        )

    def _vectors(self) -> tuple[Tensor, ...]:
        names = _VECTORS[self.kind] + (("v0",) if self.value_rank else ())
        return tuple(vector(f"attention.{name}", self._heads(), "state") for name in names)

    def _output(self) -> tuple[Tensor, ...]:
        return linear("attention.output", self.hidden, self.inner, inner=self._heads())

    def tensors(self) -> tuple[Tensor, ...]:
        """Return interpolations, projections, decays, a norm per head and its gate.

        Returns
        -------
        tuple of Tensor
            Heads are cut over ranks; what leads to narrow vectors is whole on each.

        References
        ----------
        peng-2024-rwkv, peng-2025-rwkv

        Examples
        --------
        >>> rwkv7 = RwkvTimeMix(
        ...     kind="rwkv7",
        ...     hidden=1024,
        ...     inner=1024,
        ...     head_dim=64,
        ...     decay_rank=64,
        ...     replace_rank=64,
        ...     value_rank=32,
        ...     gate_rank=128,
        ... )
        >>> sum(t.elements for t in rwkv7.tensors())
        4798464
        """
        mixes = [
            Tensor(f"attention.time_mix_{name}", (self.hidden,), "state")
            for name in _MIXES[self.kind]
        ]
        norm = [vector(f"attention.ln_x.{n}", self._heads(), "norm") for n in ("weight", "bias")]
        wide = [tensor for weights in (*self._square(), *self._going_up()) for tensor in weights]
        return (
            *mixes, *self._going_down(), *self._mixing(), *wide, *self._vectors(), *norm,
            *self._output(),
        )  # fmt: skip

    def caches(self) -> tuple[StateCache, ...]:
        """Return a matrix per head and the token before.

        Returns
        -------
        tuple of StateCache
            Neither grows with the context.

        References
        ----------
        peng-2024-rwkv, peng-2025-rwkv

        Examples
        --------
        >>> from planner.model.execution import half
        >>> mixer = RwkvTimeMix(kind="rwkv6", hidden=2048, inner=2048, head_dim=64)
        >>> [c.sequence_bytes(1, half(), tp=1) for c in mixer.caches()]
        [524288, 4096]
        """
        own = state_format(self.state_format)
        state = StateCache(kind="state", sections=self._heads(), shape=(self.head_dim,), format=own)
        return (state, previous_token(self.hidden))

    def operations(self, step: Step, execution: Execution) -> tuple[Operation, ...]:
        """Return interpolation, projections, scan or update, norm with gate, sum over ranks.

        Parameters
        ----------
        step : Step
            The forward pass.
        execution : Execution
            Formats and layout.

        Returns
        -------
        tuple of Operation
            In the order of execution; the scan does 5 FLOP per element of the state and token, 9
            in RWKV-7.

        Raises
        ------
        LayoutError
            The ranks do not divide the heads.

        References
        ----------
        peng-2024-rwkv, peng-2025-rwkv

        Examples
        --------
        >>> from planner.model.execution import half
        >>> mixer = RwkvTimeMix(kind="rwkv6", hidden=2048, inner=2048, head_dim=64)
        >>> ops = mixer.operations(Step.decode(1, 1), half())
        >>> [op.flop for op in ops if op.kind == "state_space_decode"]
        [655360]
        """
        tokens = step.tokens
        heads = self._heads()[0].units_on_rank(execution.layout.tp)
        inner = heads * self.head_dim
        shape = scan_shape(
            step, self.kind, hidden=self.hidden, heads=heads, head_dim=self.head_dim,
            groups=heads, state_dim=self.head_dim,
        )  # fmt: skip
        update = scan(
            "attention.scan", self.caches()[:1], step, execution,
            flop=_FLOP_PER_ELEMENT[self.kind] * tokens * inner * self.head_dim,
            read_width=(4 if self.kind != "rwkv7" else 6) * inner, write_width=inner, shape=shape,
            weights=self._vectors(),
        )  # fmt: skip
        products = [*((tensor,) for tensor in self._going_down()), *self._square()]
        return (
            token_shift("attention.time_mix", len(_MIXES[self.kind]), self.hidden, step, execution),
            *(gemm(weights[0].name, weights, tokens, execution) for weights in products),
            *self._mixed(step, execution),
            *(gemm(weights[0].name, weights, tokens, execution) for weights in self._going_up()),
            update,
            elementwise("attention.gated_norm", tokens, 2 * inner, inner, execution),
            *projected_out("attention.output", self._output(), self.hidden, step, execution),
        )

    def _mixed(self, step: Step, execution: Execution) -> tuple[Operation, ...]:
        """Return RWKV-6's five products that make interpolations of narrow vectors."""
        weights = self._mixing()
        if not self.mix_rank:
            return ()
        stream = execution.stream_bytes
        return (
            Operation(
                name="attention.mix_w2",
                kind="gemm",
                precision=execution.stream.precision,
                flop=2 * step.tokens * weights[0].elements,
                weight_bytes=execution.weights.tensor_bytes(weights[0]),
                input_bytes=step.tokens * 5 * self.mix_rank * stream,
                output_bytes=step.tokens * 5 * self.hidden * stream,
                shape={"m": 5 * step.tokens, "n": self.hidden, "k": self.mix_rank},
            ),
        )
