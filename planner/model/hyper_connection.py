"""Hyper-connections: several residual streams, mixed before and after every block."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from planner.model.bounds import Flag, Name, Size
from planner.model.execution import Execution
from planner.model.operation import Operation, elementwise, gemm
from planner.model.part import Stateless
from planner.model.step import Step
from planner.model.tensor import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class HyperConnection(Stateless):
    """What joins a block to ``streams`` residual streams instead of one.

    A projection of all streams together gives the weights with which they enter the block, with
    which its result enters each of them, and with which they mix among themselves. At the end of
    the stack only the first remains: the streams become one.

    Parameters
    ----------
    hidden : int
        Width of one stream. [elements]
    streams : int
        Residual streams. [1]
    closes : bool
        Whether it stands at the end of the stack.
    name : str
        Module name.
    """

    kind: Literal["hyper_connection"] = "hyper_connection"
    hidden: Size
    streams: Size
    closes: Flag = False
    name: Name = "hyper_connection"

    @property
    def _mixed(self) -> int:
        return self.streams if self.closes else self.streams * (self.streams + 2)

    def _projection(self) -> tuple[Tensor, ...]:
        shape = (self._mixed, self.streams * self.hidden)
        return (Tensor(f"{self.name}.fn", shape, "router"),)

    def tensors(self) -> tuple[Tensor, ...]:
        """Return the projection, its offsets and its scales.

        Returns
        -------
        tuple of Tensor
            A copy on every rank.

        References
        ----------
        deepseek-v4-2026

        Examples
        --------
        >>> sum(t.elements for t in HyperConnection(hidden=4096, streams=4).tensors())
        393243
        """
        return (
            *self._projection(),
            Tensor(f"{self.name}.base", (self._mixed,), "bias"),
            Tensor(f"{self.name}.scale", (1 if self.closes else 3,), "bias"),
        )

    def operations(self, step: Step, execution: Execution) -> tuple[Operation, ...]:
        """Return the projection and the pass over all streams.

        Parameters
        ----------
        step : Step
            The forward pass.
        execution : Execution
            Formats and layout.

        Returns
        -------
        tuple of Operation
            The mixing of streams among themselves counts as a product.

        References
        ----------
        deepseek-v4-2026

        Examples
        --------
        >>> from planner.model.execution import half
        >>> join = HyperConnection(hidden=4096, streams=4)
        >>> [op.flop for op in join.operations(Step.decode(1, 1), half())]
        [786432, 131072]
        """
        wide = self.streams * self.hidden
        weights = gemm(f"{self.name}.fn", self._projection(), step.tokens, execution)
        if self.closes:
            pass_ = elementwise(f"{self.name}.close", step.tokens, wide, self.hidden, execution)
            return (weights, pass_)
        both_ways = wide + self.hidden
        mixing = elementwise(f"{self.name}.mix", step.tokens, both_ways, both_ways, execution)
        flop = 2 * step.tokens * self.streams * wide
        return (weights, replace(mixing, flop=flop))
