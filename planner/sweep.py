"""One scenario over a grid of contexts and sequences, in one vectorised pass."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from planner.arrays import ceil_div
from planner.cost.roofline import step_cost
from planner.deployment import resolve
from planner.errors import ScenarioError
from planner.model import Step
from planner.scenario import Scenario


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """Figures over a grid; rows are contexts, columns are sequences.

    Parameters
    ----------
    context : array, shape (contexts,)
        Tokens in each cache. [tokens]
    sequences : array, shape (sequences,)
        Sequences over all replicas. [1]
    total_bytes : array, shape (contexts, sequences)
        Memory of the fullest device. [bytes]
    fits : array of bool, shape (contexts, sequences)
        Whether the capacity holds it.
    decode_time_s : array, shape (contexts, sequences)
        One decode step, a floor. [s]
    """

    context: NDArray[np.float64]
    sequences: NDArray[np.float64]
    total_bytes: NDArray[np.float64]
    fits: NDArray[np.bool_]
    decode_time_s: NDArray[np.float64]


def sweep(scenario: Scenario, *, context: ArrayLike, sequences: ArrayLike) -> Sweep:
    """Answer a scenario at every pair of context and sequences.

    Parameters
    ----------
    scenario : Scenario
        Everything else; its layout and formats are resolved once, for its own load.
    context : array_like, shape (contexts,)
        Whole numbers of tokens. [tokens]
    sequences : array_like, shape (sequences,)
        Whole numbers of sequences. [1]

    Returns
    -------
    Sweep
        The same figures that :func:`planner.plan` gives one by one.

    Raises
    ------
    ScenarioError
        An axis is empty, not one-dimensional, or holds anything but whole numbers of at least 1.

    Examples
    --------
    >>> from planner import load_hardware, load_model
    >>> grid = sweep(
    ...     Scenario(model=load_model("llama-3.1-8b"), hardware=load_hardware("h100-sxm")),
    ...     context=[4096, 8192],
    ...     sequences=[1, 16, 64],
    ... )
    >>> grid.total_bytes.shape, round(float(grid.decode_time_s[0, 1]) * 1e3, 2)
    ((2, 3), 7.1)
    """
    contexts, many = _axis(context, "context"), _axis(sequences, "sequences")
    deployment = resolve(scenario)
    rows = contexts[:, np.newaxis]
    columns = ceil_div(many, deployment.layout.dp)[np.newaxis, :]
    shape = (contexts.size, many.size)
    total = deployment.memory.use(rows, columns).total_bytes
    cost = step_cost(
        deployment.scenario.model,
        Step.decode(columns, rows),
        deployment.execution,
        scenario.hardware.device,
        deployment.links,
    )
    return Sweep(
        context=contexts,
        sequences=many,
        total_bytes=np.broadcast_to(total, shape),
        fits=np.broadcast_to(total <= deployment.memory.capacity_bytes, shape),
        decode_time_s=np.broadcast_to(cost.floor_s, shape),
    )


def _axis(values: ArrayLike, where: str) -> NDArray[np.float64]:
    allowed = "a list of whole numbers from 1 to 2,147,483,648"
    try:
        axis = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ScenarioError("not numbers", where=where, got=values, allowed=allowed) from error
    if axis.ndim != 1 or not axis.size:
        raise ScenarioError("not a list of numbers", where=where, got=values, allowed=allowed)
    good = np.isfinite(axis) & (axis >= 1) & (axis <= 2**31) & (np.floor(axis) == axis)
    if not good.all():
        raise ScenarioError("out of range", where=where, got=axis[~good][0], allowed=allowed)
    return axis
