"""The one idea: every part of a model answers three questions."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from planner.model.cache import Cache
from planner.model.execution import Execution
from planner.model.operation import Operation
from planner.model.step import Step
from planner.model.tensor import Tensor


@runtime_checkable
class Part(Protocol):
    """A mixer, a feed-forward block, a norm, an embedding or a head.

    A new architecture is one new class that answers these three questions.
    """

    def tensors(self) -> tuple[Tensor, ...]:
        """Return what it holds: its weight tensors."""
        ...

    def caches(self) -> tuple[Cache, ...]:
        """Return what it remembers of each sequence."""
        ...

    def operations(self, step: Step, execution: Execution) -> tuple[Operation, ...]:
        """Return what it does in one step on one rank."""
        ...


class Stateless:
    """A part that remembers nothing."""

    __slots__ = ()

    def caches(self) -> tuple[Cache, ...]:
        """Return no caches.

        Returns
        -------
        tuple
            Empty.

        Examples
        --------
        >>> Stateless().caches()
        ()
        """
        return ()
