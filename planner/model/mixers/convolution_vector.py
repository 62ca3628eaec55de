"""Short convolutions over vectors that another part makes: queries, keys, values, outputs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from planner.model.bounds import Count, Flag, Name, Size
from planner.model.cache import StateCache
from planner.model.execution import Execution
from planner.model.layout import Section, Split
from planner.model.mixers.recurrence import (
    StateFormat,
    scan_shape,
    short_convolution,
    state_format,
    width,
)
from planner.model.operation import Operation, gemm
from planner.model.step import Step
from planner.model.tensor import Tensor, linear


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorConvolution:
    """A causal convolution over a few tokens of queries, keys, values or the residual stream.

    Parameters
    ----------
    hidden : int
        Width of the residual stream. [elements]
    name : str
        Module name.
    query_heads, kv_heads : int
        Heads whose vectors are convolved, side by side; neither for the residual stream. [1]
    head_dim : int
        Width of a head. [elements]
    conv_kernel : int
        Taps. [1]
    grouped : bool
        Whether all channels of a head see each other; otherwise each channel sees itself.
    bias : bool
        Whether there is one.
    dynamic : bool
        Whether each token adds taps of its own per head, made of its input.
    learned : bool
        Whether there are weights; without them two taps are a delay by one token.
    state_format : {"stream", "fp32", "bf16", "fp16"}
        Format of the columns kept.
    """

    kind: Literal["vector_convolution"] = "vector_convolution"
    hidden: Size
    name: Name
    query_heads: Count = 0
    kv_heads: Count = 0
    head_dim: Size = 1
    conv_kernel: Size = 4
    grouped: Flag = False
    bias: Flag = False
    dynamic: Flag = False
    learned: Flag = True
    state_format: StateFormat = "stream"

    @property
    def variant(self) -> str:
        """Common name."""
        return "short convolution"

    def _form(self) -> str:
        if not self.learned:
            return "delay"
        return "dynamic" if self.dynamic else "grouped" if self.grouped else "depthwise"

    def _channels(self) -> tuple[Section, ...]:
        queries = Section(self.query_heads, self.head_dim, "query heads")
        keys = Section(self.kv_heads, self.head_dim, "KV heads", "replicate")
        chosen = tuple(section for section in (queries, keys) if section.units)
        return chosen or (Section(1, self.hidden, "residual streams", "replicate"),)

    def _taps(self) -> tuple[Tensor, ...]:
        if not self.learned:
            return ()
        channels = width(self._channels())
        split = Split(0, self._channels())
        shape = (channels, self.head_dim if self.grouped else 1, self.conv_kernel)
        weight = Tensor(f"{self.name}.weight", shape, "convolution", split)
        return (weight, Tensor(f"{self.name}.bias", (channels,), "bias", split))[: 1 + self.bias]

    def _makes_taps(self) -> tuple[Tensor, ...]:
        if not self.dynamic:
            return ()
        out = tuple(
            Section(section.units, self.conv_kernel, section.what, section.beyond)
            for section in self._channels()
        )
        return linear(f"{self.name}.weight_proj", width(out), self.hidden, out=out)

    def tensors(self) -> tuple[Tensor, ...]:
        """Return taps, their bias and what makes further ones.

        Returns
        -------
        tuple of Tensor
            Cut over ranks as the heads are.

        References
        ----------
        figliolia-2025

        Examples
        --------
        >>> grouped = VectorConvolution(
        ...     hidden=2048, name="conv", query_heads=8, kv_heads=2, head_dim=128, conv_kernel=2,
        ...     grouped=True, bias=True,
        ... )  # fmt: skip
        >>> sum(t.elements for t in grouped.tensors())
        328960
        """
        return (*self._taps(), *self._makes_taps())

    def caches(self) -> tuple[StateCache, ...]:
        """Return the columns that the next token still sees.

        Returns
        -------
        tuple of StateCache
            They do not grow with the context.

        References
        ----------
        figliolia-2025

        Examples
        --------
        >>> from planner.model.execution import half
        >>> delay = VectorConvolution(
        ...     hidden=2048, name="delay", kv_heads=2, head_dim=64, conv_kernel=2, learned=False
        ... )
        >>> delay.caches()[0].sequence_bytes(1, half(), tp=1)
        256
        """
        return (
            StateCache(
                kind="convolution",
                sections=self._channels(),
                shape=(self.conv_kernel - 1,),
                format=state_format(self.state_format),
            ),
        )

    def operations(self, step: Step, execution: Execution) -> tuple[Operation, ...]:
        """Return the making of taps, if any, and the convolution.

        Parameters
        ----------
        step : Step
            The forward pass.
        execution : Execution
            Formats and layout.

        Returns
        -------
        tuple of Operation
            A delay moves bytes and does no work.

        Raises
        ------
        LayoutError
            The ranks do not divide the heads.

        References
        ----------
        figliolia-2025

        Examples
        --------
        >>> from planner.model.execution import half
        >>> keys = VectorConvolution(hidden=4608, name="k_sconv", kv_heads=8, head_dim=128)
        >>> [op.flop for op in keys.operations(Step.decode(1, 1), half())]
        [8192]
        """
        tp = execution.layout.tp
        on_rank = [section.units_on_rank(tp) for section in self._channels()]
        shape = scan_shape(
            step,
            self._form(),
            hidden=self.hidden,
            heads=sum(on_rank),
            head_dim=self._channels()[0].width,
            state_dim=0,
            conv_kernel=self.conv_kernel,
        )
        channels = (width(self._channels()), 1, self.conv_kernel)
        unlearned = (Tensor(f"{self.name}.delay", channels, "buffer", Split(0, self._channels())),)
        taps = self._taps() or unlearned
        (kept,) = self.caches()
        convolution = short_convolution(self.name, taps, kept, step, execution, shape)
        if not self.learned:
            convolution = replace(convolution, flop=0, weight_bytes=0)
        makes = self._makes_taps()
        if not makes:
            return (convolution,)
        return (gemm(f"{self.name}.weight_proj", makes, step.tokens, execution), convolution)
