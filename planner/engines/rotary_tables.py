"""Tables of sines and cosines that engines keep on every device, one for each kind of rotation."""

from __future__ import annotations

from planner.model import Execution, Model
from planner.model.position import Rotary


def table_rows(rotation: Rotary, declared: int) -> int:
    """Return for how many positions vLLM tabulates a rotation.

    Parameters
    ----------
    rotation : Rotary
        How the positions turn.
    declared : int
        Positions that the configuration declares. [tokens]

    Returns
    -------
    int
        Linear scaling multiplies the declared positions, YaRN and dynamic scaling those of the
        first training; LongRoPE keeps a table for each of its two sets of factors. [tokens]

    References
    ----------
    vllm-rotary

    Examples
    --------
    >>> gemma = Rotary(dim=256, base=1e6, scaling="linear", factor=8.0)
    >>> table_rows(gemma, 131072)
    1048576
    """
    original = rotation.original or declared
    rows = {
        "linear": declared * rotation.factor,
        "yarn": original * rotation.factor,
        "dynamic": original * rotation.factor,
        "longrope": original + declared,
    }.get(rotation.scaling, declared)
    return int(rows)


def rotary_bytes(model: Model, execution: Execution) -> int:
    """Return the tables of a model.

    Parameters
    ----------
    model : Model
        Its positions say which rotations there are.
    execution : Execution
        Gives the format of the stream, which the tables have.

    Returns
    -------
    int
        A sine and a cosine for each rotated pair and position; 0 without rotary positions. [bytes]

    Examples
    --------
    >>> from planner import load_model
    >>> from planner.model.execution import half
    >>> rotary_bytes(load_model("gemma-3-4b"), half()) // 2**20
    576
    """
    positions = model.positions
    if positions is None or positions.declared is None:
        return 0
    return sum(
        table_rows(rotation, positions.declared)
        * (rotation.rotated or rotation.dim)
        * execution.stream_bytes
        for rotation in positions.rotations
    )
