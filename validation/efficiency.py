r"""How far from its floor an operation stays: four numbers per kind, kernel and dtype.

.. math::
    t = \sum_i n_i \left( t_0 + \left( (c_i / e_c)^p + (m_i / e_m)^p \right)^{1/p} \right)

with ``c`` and ``m`` the times at the device's peak rate and bandwidth (or over the link), ``e`` the
fractions of them that are reached, ``t0`` what every operation takes however small, and ``p`` how
well computing and moving overlap: 1 one after the other, large the roofline's maximum.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from planner.model import Operation
from validation.cases import STEP_KINDS
from validation.observation import Observation
from validation.predict import Forecast

# Operations without a kernel of their own kind here → the kind that does the same work.
_LIKE = {"moe": "gemm", "embedding": "memory_copy"}
Key = tuple[str, str, str, str]
"""Kind, kernel, dtype and regime; what stands for all is empty."""

Terms = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Occurrences, compute and memory time at peak of each operation, shape ``(rows, operations)``."""


class Part(BaseModel):
    """Base of everything in a profile."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Efficiency(Part):
    """The four numbers of the formula.

    Parameters
    ----------
    overhead_s : float
        ``t0``, of every operation. [s]
    compute_fraction, memory_fraction : float
        ``e_c`` and ``e_m``; above 1 where caches beat the ceiling. [1]
    norm : float
        ``p``. [1]
    """

    overhead_s: float = Field(ge=0)
    compute_fraction: float = Field(gt=0)
    memory_fraction: float = Field(gt=0)
    norm: float = Field(ge=1)

    def seconds(self, terms: Terms) -> np.ndarray:
        """Return the times of rows.

        Parameters
        ----------
        terms : tuple of numpy.ndarray
            As :func:`terms_of` gives them.

        Returns
        -------
        numpy.ndarray
            One per row. [s]
        """
        counts, compute, memory = terms
        return seconds_of(
            counts, compute, memory,
            self.overhead_s, self.compute_fraction, self.memory_fraction, self.norm,
        )  # fmt: skip


def seconds_of(
    counts: Any, compute: Any, memory: Any, overhead: Any, of_rate: Any, of_memory: Any, norm: Any
) -> np.ndarray:
    """Return the formula for arrays that broadcast; the last axis is summed.

    Parameters
    ----------
    counts, compute, memory : array_like
        Occurrences, and times at peak. [1], [s]
    overhead, of_rate, of_memory, norm : array_like
        The four numbers. [s], [1]

    Returns
    -------
    numpy.ndarray
        Seconds. [s]

    Examples
    --------
    >>> float(seconds_of([1.0], [3.0], [4.0], 1.0, 1.0, 1.0, 2.0))
    6.0
    """
    powers = (np.divide(compute, of_rate) ** norm) + (np.divide(memory, of_memory) ** norm)
    return np.asarray((counts * (overhead + powers ** np.divide(1.0, norm))).sum(axis=-1))


class Errors(Part):
    """Relative errors of predicted times on rows that were not fitted.

    Parameters
    ----------
    rows : int
        How many. [1]
    median_fraction, p90_fraction : float
        Of ``|predicted − measured| / measured``. [1]
    in_band_fraction : float
        Rows between p10 and p90 of the prediction. [1]
    """

    rows: int
    median_fraction: float
    p90_fraction: float
    in_band_fraction: float


class Group(Part):
    """What was fitted for one kind of operation, one kernel and one dtype.

    Parameters
    ----------
    kernel, dtype, regime : str
        Empty where the group stands for all of them; see :func:`regime`.
    p10_ratio, p90_ratio : float
        Measured over predicted among the fitted rows. [1]
    fitted : int
        Rows it was fitted on. [1]
    """

    kind: str
    kernel: str = ""
    dtype: str = ""
    regime: str = ""
    efficiency: Efficiency
    p10_ratio: float
    p90_ratio: float
    fitted: int
    errors: Errors | None = None

    @property
    def key(self) -> Key:
        """Kind, kernel, dtype and regime."""
        return self.kind, self.kernel, self.dtype, self.regime


def regime(kind: str, shape: Mapping[str, Any]) -> str:
    """Return the part of a kind's shapes that libraries have another routine for.

    Parameters
    ----------
    kind : str
        Kind of operation.
    shape : mapping
        Its shape columns.

    Returns
    -------
    str
        ``"vector"`` for the product of a matrix with one row, otherwise empty.

    Examples
    --------
    >>> regime("gemm", {"m": 1}), regime("gemm", {"m": 2})
    ('vector', '')
    """
    return "vector" if kind == "gemm" and int(shape["m"]) == 1 else ""


def _at_peak(forecast: Forecast) -> Terms:
    """Occurrences, compute and memory time of each operation at peak, one row."""
    counts = np.array([[cost.count for cost in forecast.costs]], dtype=float)
    compute = np.array([[cost.compute_s for cost in forecast.costs]], dtype=float)
    moving = [max(float(cost.memory_s), float(cost.communication_s)) for cost in forecast.costs]
    return counts, compute, np.array([moving])


def terms_of(observations: Sequence[Observation], groups: Sequence[Group]) -> Terms:
    """Return what the formula needs of rows.

    An operation brings its times at peak. A whole step brings, as what it moves, the calibrated
    time of each of its operations by the fastest kernel of the kind; at peak where none was
    fitted.

    Parameters
    ----------
    observations : sequence of Observation
        Rows with forecasts.
    groups : sequence of Group
        Fitted for single operations.

    Returns
    -------
    tuple of numpy.ndarray
        Padded with operations that occur no time.
    """
    found = [_terms(each, groups) for each in observations]
    width = max(counts.shape[1] for counts, _, _ in found)
    padded = [
        np.concatenate([np.pad(part, ((0, 0), (0, width - part.shape[1]))) for part in parts])
        for parts in zip(*found, strict=True)
    ]
    return padded[0], padded[1], padded[2]


def _terms(observation: Observation, groups: Sequence[Group]) -> Terms:
    assert observation.forecast is not None
    counts, compute, memory = _at_peak(observation.forecast)
    if observation.kind not in STEP_KINDS:
        return counts, compute, memory
    alone = np.maximum(compute, memory)
    for column, cost in enumerate(observation.forecast.costs):
        one = np.ones((1, 1)), compute[:, [column]], memory[:, [column]]
        times = [
            float(group.efficiency.seconds(one)[0])
            for group in _speaking_for(cost.operation, observation.dtype, groups)
        ]
        alone[0, column] = min(times, default=alone[0, column])
    return counts, np.zeros_like(compute), alone


def _speaking_for(operation: Operation, dtype: str, groups: Sequence[Group]) -> list[Group]:
    """For each kernel of an operation's kind, the narrowest group."""
    kind = _LIKE.get(operation.kind, operation.kind)
    where = regime(kind, operation.shape) if kind == operation.kind else ""
    kernels = dict.fromkeys(group.kernel for group in groups if group.kind == kind and group.kernel)
    found = (narrowest(groups, (kind, kernel, dtype, where)) for kernel in kernels)
    return [group for group in found if group is not None and group.kernel]


def narrowest(groups: Sequence[Group], key: Key) -> Group | None:
    """Return the narrowest group that may speak for a row.

    Parameters
    ----------
    groups : sequence of Group
        All groups.
    key : tuple of str
        Kind, kernel, dtype and regime of the row.

    Returns
    -------
    Group or None
        None where nothing of the kind was fitted.
    """
    known = {each.key: each for each in groups}
    return next((known[each] for each in wider(key) if each in known), None)


def wider(key: Key) -> list[Key]:
    """Return the keys of the groups that may speak for a row, the narrowest first.

    Parameters
    ----------
    key : tuple of str
        Kind, kernel, dtype and regime.

    Returns
    -------
    list of tuple of str
        Itself, then with the last part that is not empty left out, up to the kind alone.

    Examples
    --------
    >>> wider(("gemm", "mm", "bf16", ""))
    [('gemm', 'mm', 'bf16', ''), ('gemm', 'mm', '', ''), ('gemm', '', '', '')]
    """
    kind, kernel, dtype, _ = key
    keys = [key, (kind, kernel, dtype, ""), (kind, kernel, "", ""), (kind, "", "", "")]
    return list(dict.fromkeys(keys))


def key_of(observation: Observation) -> Key:
    """Return the key of the narrowest group of a row.

    Parameters
    ----------
    observation : Observation
        A row.

    Returns
    -------
    tuple of str
        Kind, kernel, dtype and regime.
    """
    where = regime(observation.kind, observation.shape)
    return observation.kind, observation.kernel, observation.dtype, where
