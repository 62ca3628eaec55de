"""Pooling of several tokens into one cache entry, as DeepSeek-V4's attention and indexer do it."""

from __future__ import annotations

from dataclasses import dataclass

from planner.arrays import Numeric, maximum, minimum
from planner.model.cache import StateCache
from planner.model.execution import Execution
from planner.model.latent_cache import LatentCache
from planner.model.layout import Section
from planner.model.operation import Operation, gemm
from planner.model.step import Step
from planner.model.storage import FP32
from planner.model.tensor import Tensor, linear

_OVERLAPPED_STRIDE = 4


def compressed_pairs(
    new_tokens: Numeric, cached_tokens: Numeric, stride: int, most: int | None
) -> Numeric:
    r"""Return the pairs of queries and whole entries before them in one sequence.

    .. math::
        \sum_{j=C+1}^{C+S} \min(\lfloor j / m \rfloor, k)

    Parameters
    ----------
    new_tokens : numeric
        Queries ``S``. [tokens]
    cached_tokens : numeric
        Tokens before the first query ``C``. [tokens]
    stride : int
        Tokens that one entry stands for ``m``. [tokens]
    most : int or None
        Entries that a query attends to ``k``; None for all. [1]

    Returns
    -------
    numeric
        Pairs. [1]

    References
    ----------
    deepseek-v4-2026

    Examples
    --------
    >>> compressed_pairs(10, 0, 4, None), compressed_pairs(1, 999_999, 4, 512)
    (10, 512)
    """

    def up_to(tokens: Numeric) -> Numeric:
        growing = tokens if most is None else minimum(tokens, stride * most)
        whole = growing // stride
        rest = growing - stride * whole
        pairs = stride * whole * (whole - 1) // 2 + whole * (rest + 1)
        return pairs if most is None else pairs + most * maximum(tokens - stride * most, 0)

    return up_to(cached_tokens + new_tokens) - up_to(cached_tokens)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compressor:
    """A gated sum over ``stride`` tokens: projections of values and gates, one entry out.

    Strides of 4 overlap: each entry sees the tokens of the one before it as well, through a second
    set of values and gates. The values and gates it still needs are kept in fp32.

    Parameters
    ----------
    hidden : int
        Width of the residual stream. [elements]
    dim : int
        Width of an entry. [elements]
    stride : int
        Tokens that one entry stands for. [tokens]
    name : str
        Module name.
    """

    hidden: int
    dim: int
    stride: int
    name: str

    @property
    def series(self) -> int:
        """Sets of values and gates per token. [1]."""
        return 2 if self.stride == _OVERLAPPED_STRIDE else 1

    def _projections(self) -> tuple[Tensor, ...]:
        width = self.series * self.dim
        return tuple(
            tensor
            for side in ("kv_proj", "gate_proj")
            for tensor in linear(f"{self.name}.{side}", width, self.hidden)
        )

    def tensors(self) -> tuple[Tensor, ...]:
        """Return projections, the bias of each position in a group, and the entry's norm.

        Returns
        -------
        tuple of Tensor
            A copy on every rank.

        References
        ----------
        deepseek-v4-2026

        Examples
        --------
        >>> heavy = Compressor(hidden=4096, dim=512, stride=128, name="compressor")
        >>> sum(t.elements for t in heavy.tensors())
        4260352
        """
        width = self.series * self.dim
        return (
            *self._projections(),
            Tensor(f"{self.name}.position_bias", (self.stride, width), "position"),
            Tensor(f"{self.name}.kv_norm.weight", (self.dim,), "norm"),
        )

    def state(self) -> StateCache:
        """Return the values and gates of the tokens that the next entry needs.

        Returns
        -------
        StateCache
            ``series · stride`` tokens, a copy on every rank.

        References
        ----------
        deepseek-v4-2026

        Examples
        --------
        >>> from planner.model.execution import half
        >>> Compressor(hidden=4096, dim=512, stride=128, name="compressor").state().sequence_bytes(
        ...     0, half(), tp=8
        ... )
        524288
        """
        column = Section(1, 2 * self.series * self.dim, "compressor columns", "replicate")
        tokens = self.series * self.stride
        return StateCache(kind="compressor", sections=(column,), shape=(tokens,), format=FP32)

    def operations(self, step: Step, execution: Execution, entry: LatentCache) -> list[Operation]:
        """Return the projections and the pooling of a step's tokens.

        Parameters
        ----------
        step : Step
            The forward pass.
        execution : Execution
            Formats and layout.
        entry : LatentCache
            Where the entries go.

        Returns
        -------
        list of Operation
            In the order of execution.

        References
        ----------
        deepseek-v4-2026

        Examples
        --------
        >>> from planner.model.execution import half
        >>> heavy = Compressor(hidden=4096, dim=512, stride=128, name="compressor")
        >>> entry = LatentCache(kind="compressed", dim=512, stride=128)
        >>> heavy.operations(Step.prefill(1, 1024), half(), entry)[0].flop
        8589934592
        """
        tokens, new = step.tokens, step.new_tokens
        state = self.state()
        ring = state.sequence_bytes(0, execution, tp=1)
        column = ring // state.shape[0]
        raw = 2 * self.series * self.dim
        entries = tokens / self.stride
        pooled = Operation(
            name=f"{self.name}.pool",
            kind="elementwise",
            precision=execution.stream.precision,
            input_bytes=tokens * raw * execution.stream_bytes,
            cache_read_bytes=step.batch * minimum(new / self.stride, 1) * ring,
            cache_write_bytes=step.batch * minimum(new, state.shape[0]) * column
            + entries * entry.entry_bytes(execution),
            shape={
                "tokens": tokens,
                "width": raw,
                "total_bytes": tokens * raw * execution.stream_bytes,
            },
        )
        return [
            gemm(f"{self.name}.kv_gate_proj", self._projections(), tokens, execution),
            pooled,
        ]
