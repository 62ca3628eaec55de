"""Pipeline stages: which layers each holds, and what else stands on the first and the last."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING

from planner.errors import LayoutError
from planner.model.layer import Layer
from planner.model.part import Part
from planner.model.shared_block import SharedBlock

if TYPE_CHECKING:
    from planner.model.execution import Execution
    from planner.model.model import Model


def layers_per_stage(layers: int, pp: int) -> tuple[int, ...]:
    """Return how many layers each pipeline stage holds.

    What is left over goes to one stage each, from the last but one backwards: the last stage has
    the head to hold, the first the embedding, and vLLM spares them so.

    Parameters
    ----------
    layers : int
        Layers of the stack. [1]
    pp : int
        Stages. [1]

    Returns
    -------
    tuple of int
        In order. [1]

    Raises
    ------
    LayoutError
        There are more stages than layers.

    References
    ----------
    vllm-pipeline-2026

    Examples
    --------
    >>> layers_per_stage(62, 4), layers_per_stage(7, 4)
    ((15, 16, 16, 15), (2, 2, 2, 1))
    """
    if pp > layers:
        raise LayoutError(
            f"{pp:,} pipeline stages for {layers:,} layers: {pp - layers:,} stages would be empty",
            where="--pp",
            got=pp,
            allowed=f"at most {layers:,}",
            fix="Lower --pp.",
        )
    share, left = divmod(layers, pp)
    return tuple(share + (pp - 1 - left <= stage < pp - 1) for stage in range(pp))


@lru_cache(maxsize=64)
def pipeline_stages(model: Model, pp: int) -> tuple[Model, ...]:
    """Return the pipeline stages of a model as models of their own.

    The first holds the embedding and the towers, the last the final norm and the head. A stage
    whose parts use weights that another holds brings a copy of them: a tied head its table, a
    shared block its matrices.

    Parameters
    ----------
    model : Model
        The whole model.
    pp : int
        Stages. [1]

    Returns
    -------
    tuple of Model
        In order; the model itself where there is one stage.

    Raises
    ------
    LayoutError
        There are more stages than layers.

    Examples
    --------
    >>> from planner import load_model
    >>> first, last = pipeline_stages(load_model("deepseek-v3"), 2)
    >>> len(first.layers), len(last.layers), last.first_layer
    (31, 30, 31)
    """
    if pp == 1:
        return (model,)
    counts = layers_per_stage(len(model.layers), pp)
    ends = tuple(accumulate(counts))
    return tuple(
        replace(
            model,
            layers=tuple(_with_shared(model.layers[end - count : end])),
            towers=model.towers if end == count else (),
            head=replace(model.head, tied=False),
            first_layer=model.first_layer + end - count,
            first=end == count,
            last=end == len(model.layers),
        )
        for count, end in zip(counts, ends, strict=True)
    )


def distinct_stages(model: Model, execution: Execution) -> tuple[tuple[Model, int], ...]:
    """Return the pipeline stages that differ in what they hold, with how often each occurs.

    Parameters
    ----------
    model : Model
        The whole model.
    execution : Execution
        Gives the number of stages, and whether layers are stored differently by place.

    Returns
    -------
    tuple of tuple
        The first stage of each kind, in order, and how many there are.

    Raises
    ------
    LayoutError
        There are more stages than layers.

    Examples
    --------
    >>> from planner import load_model
    >>> from planner.model.execution import half
    >>> from planner.model.layout import Layout
    >>> stages = distinct_stages(load_model("llama-3.1-70b"), half(Layout(pp=8)))
    >>> [(stage.first_layer, count) for stage, count in stages]
    [(0, 1), (10, 6), (70, 1)]
    """
    placed = bool(execution.weights.rules)
    kinds: dict[object, list[Model]] = {}
    for stage in pipeline_stages(model, execution.layout.pp):
        held = stage.first_layer if placed else frozenset(stage.groups)
        kinds.setdefault((stage.first, stage.last, held), []).append(stage)
    return tuple((alike[0], len(alike)) for alike in kinds.values())


def _with_shared(layers: Iterable[Layer]) -> Iterator[Layer]:
    """Yield layers, of which the first to use a shared block holds it."""
    held: set[str] = set()
    for layer in layers:
        yield replace(layer, parts=tuple(_holding(part, held) for part in layer.parts))


def _holding(part: Part, held: set[str]) -> Part:
    if not isinstance(part, SharedBlock) or part.name in held:
        return part
    held.add(part.name)
    return part if part.holds else replace(part, holds=True)
