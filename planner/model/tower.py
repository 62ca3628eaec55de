"""Stacks beside the main one: encoders, and towers that read images or sound."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from planner.arrays import minimum
from planner.model.execution import Execution
from planner.model.layer import Layer, count_layers
from planner.model.layout import SINGLE, Section
from planner.model.operation import Operation
from planner.model.part import Part
from planner.model.step import Step
from planner.model.tensor import Tensor

ENCODER = "encoder"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tower:
    """Layers that read another sequence once, before the first token is made.

    An encoder is stored, quantised and cut over ranks as the decoder is. Towers for images or sound
    stay in the checkpoint's own format, and where ranks do not divide one of their matrices, every
    rank holds it whole.

    Parameters
    ----------
    name : str
        ``"encoder"``, or what it reads: ``"vision"``, ``"audio"``.
    layers : tuple of Layer
        What it is made of, projections into the language model included.
    tokens : int
        What it reads at once of each sequence; 0 where nobody asked for its work. [tokens]
    times : int
        How often it does, as for several images. [1]
    """

    name: str
    layers: tuple[Layer, ...]
    tokens: int = 0
    times: int = 1

    @property
    def merged(self) -> int:
        """How many of its tokens become one of the language model. [tokens]."""
        return max((getattr(part, "merged", 1) for _, part, _ in self.parts), default=1)

    @property
    def parts(self) -> tuple[tuple[str, Part, int], ...]:
        """Every distinct part with the name of its layer and how often it occurs."""
        return tuple(
            (f"{self.name}.{layer.name}", part, count)
            for layer, count in count_layers(self.layers)
            for part in layer.parts
        )

    @property
    def parameters(self) -> int:
        """All its parameters. [1]."""
        return sum(tensor.elements * count for _, tensor, count in self.tensors())

    def tensors(self) -> tuple[tuple[str, Tensor, int], ...]:
        """Return every distinct tensor with the name of its layer and how often it occurs.

        Returns
        -------
        tuple of tuple
            Matrices of towers have a role of their own, so that formats leave them as they are.

        Examples
        --------
        >>> from planner.model.feed_forward import Dense
        >>> block = Layer("block", (Dense(hidden=1024, intermediate=4096, gated=False),))
        >>> [tensor.role for _, tensor, _ in Tower(name="vision", layers=(block,)).tensors()]
        ['tower', 'tower']
        """
        return tuple(
            (layer, tensor if self.name == ENCODER else _apart(tensor), count)
            for layer, part, count in self.parts
            for tensor in part.tensors()
        )

    def operations(self, step: Step, execution: Execution) -> Iterator[tuple[str, Operation, int]]:
        """Yield its work in a step: all of it when a sequence begins, none later.

        Parameters
        ----------
        step : Step
            The forward pass of the main stack.
        execution : Execution
            Formats and layout.

        Yields
        ------
        tuple
            Layer name, operation, occurrences.

        Raises
        ------
        LayoutError
            The ranks do not divide an encoder.

        Examples
        --------
        >>> from planner.model.execution import half
        >>> from planner.model.feed_forward import Dense
        >>> block = Layer("block", (Dense(hidden=1024, intermediate=4096, gated=False),))
        >>> tower = Tower(name="vision", layers=(block,), tokens=576)
        >>> sum(op.flop for _, op, _ in tower.operations(Step.prefill(1, 600), half()))
        9663676416
        >>> list(tower.operations(Step.decode(1, 600), half()))
        []
        """
        if not self.tokens or step.phase != "prefill":
            return
        beginning = 1 - minimum(step.cached_tokens, 1)
        own = Step(
            batch=step.batch * beginning * self.times,
            new_tokens=self.tokens,
            cached_tokens=0,
            phase="prefill",
            logit_rows=0,
        )
        conditions = execution if self.name == ENCODER else self._apart(execution)
        for layer, part, count in self.parts:
            for operation in part.operations(own, conditions):
                weights = operation.weight_bytes * beginning
                yield layer, replace(operation, weight_bytes=weights), count

    def _apart(self, execution: Execution) -> Execution:
        tp = execution.layout.tp
        divided = all(
            section.units % tp == 0
            for _, tensor, _ in self.tensors()
            if tensor.split
            for section in tensor.split.sections
        )
        weights = execution.weights
        return replace(
            execution,
            weights=replace(weights, quantised=weights.base),
            layout=execution.layout if divided else SINGLE,
        )


def _apart(tensor: Tensor) -> Tensor:
    """Mark a tensor as a tower's: in no format but the checkpoint's, whole where it must be."""
    split = tensor.split
    if split is not None:
        sections = (Section(s.units, s.width, s.what, "copy") for s in split.sections)
        split = replace(split, sections=tuple(sections))
    role = "tower" if tensor.role == "linear" else tensor.role
    return replace(tensor, role=role, split=split)
