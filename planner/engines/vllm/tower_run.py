"""What a tower that reads images takes in vLLM's profile run: as many as a step has tokens."""

from __future__ import annotations

from dataclasses import dataclass, replace

from planner.model import Execution, Model, Step
from planner.model.projection import Projection
from planner.model.tower import Tower

_READ = 64
_STREAMS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class TowerRun:
    """What a tower at work holds.

    Parameters
    ----------
    working_bytes : int
        The widest moment of its stack. [bytes]
    kept_bytes : int
        Its inputs, and its outputs until they are read. [bytes]
    """

    working_bytes: int = 0
    kept_bytes: int = 0


def tower_run(model: Model, execution: Execution, tokens: int) -> TowerRun:
    """Return what the towers of a model take.

    Parameters
    ----------
    model : Model
        The model, or the pipeline stage of a rank.
    execution : Execution
        Formats and layout.
    tokens : int
        Tokens of the step, which the outputs of the tower fill. [tokens]

    Returns
    -------
    TowerRun
        Of the largest tower; nothing without one.

    References
    ----------
    vllm-profile-run

    Examples
    --------
    >>> from planner import load_model
    >>> from planner.model.execution import half
    >>> tower_run(load_model("llama-3.1-8b"), half(), 8192)
    TowerRun(working_bytes=0, kept_bytes=0)
    >>> tower_run(load_model("qwen2.5-vl-7b-instruct"), half(), 8192).working_bytes // 2**20
    881
    """
    found = [_of(tower, model.hidden, execution, tokens) for tower in model.towers]
    return max(found, key=lambda each: each.working_bytes, default=TowerRun())


def _of(tower: Tower, hidden: int, execution: Execution, tokens: int) -> TowerRun:
    stream = max((getattr(part, "hidden", 0) for _, part, _ in tower.parts), default=0)
    projections = [part for _, part, _ in tower.parts if isinstance(part, Projection)]
    if not projections or not stream:
        return TowerRun()
    patches, *joining = projections
    merged = max((part.inputs // stream for part in joining[:1]), default=1)
    read = tokens * max(merged, 1)
    size = execution.stream_bytes
    step = Step.prefill(1, _READ)
    widest = max(
        op.live_bytes / _READ
        for _, op, _ in replace(tower, tokens=_READ).operations(step, execution)
    )
    return TowerRun(
        working_bytes=int(read * (widest + _STREAMS * stream * size)),
        kept_bytes=read * patches.inputs * size + tokens * hidden * size,
    )
