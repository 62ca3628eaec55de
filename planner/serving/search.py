"""Which deployment bears a load within its objectives at the least cost, and why others lost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner.errors import ScenarioError
from planner.serving.capacity import Capacity, ReplicaCapacity
from planner.serving.front import FrontPoint, pareto
from planner.serving.load_shape import LoadShape
from planner.serving.objectives import MEETS, Objectives
from planner.serving.paged_pool import CachePool
from planner.serving.runner import Runner
from planner.serving.step_table import StepTable
from planner.serving.validity import VALID

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
REPLICA_STEPS = 32
NEAR_MISS = 0.5
"""Relative excess up to which a doubtful closed form does not rule a deployment out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployable:
    """A model on a group of devices, ready to be a replica.

    Parameters
    ----------
    id : str
        Its name in results.
    labels : dict
        What it is: device, layout, formats.
    devices : int
        Of one replica. [1]
    group : int
        Replicas that share experts and are bought together. [1]
    times : StepTable
        Seconds of steps, at the confidence that is asked for.
    pool : CachePool
        Room for caches.
    usd_per_device_h : float or None
        Price of a device-hour. [USD/h]
    device_power_w : float or None
        Power limit of a device. [W]
    request_s : float
        From the arrival of a request until its engine has it. [s]
    notes : tuple of str
        What its step times take for granted.
    """

    id: str
    labels: dict[str, Any] = field(hash=False)
    devices: int
    times: StepTable = field(repr=False)
    pool: CachePool
    group: int = 1
    usd_per_device_h: float | None = None
    device_power_w: float | None = None
    request_s: float = 0.0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsSpace:
    """Engine settings to try.

    Parameters
    ----------
    max_num_seqs : tuple of int
        Most sequences in flight. [1]
    max_num_batched_tokens : tuple of int
        Most tokens in one step. [tokens]
    replica_steps : int
        Numbers of replicas to try from the fewest that bear the load. [1]
    """

    max_num_seqs: tuple[int, ...] = (8, 16, 32, 64, 128, 256, 512, 1024)
    max_num_batched_tokens: tuple[int, ...] = (2048, 8192, 16384)
    replica_steps: int = REPLICA_STEPS

    def slots(self, step_tokens: int) -> Ints:
        """Return the numbers of sequences that a step has tokens for.

        Parameters
        ----------
        step_tokens : int
            Most tokens in one step. [tokens]

        Returns
        -------
        array
            At least one. [1]
        """
        fits = [slots for slots in self.max_num_seqs if slots <= step_tokens]
        return np.array(fits or [min(step_tokens, *self.max_num_seqs)], dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """Every deployment tried, as columns of equal length.

    Parameters
    ----------
    deployable : array of int
        Place in the list of deployables.
    max_num_seqs, max_num_batched_tokens, replicas, devices : array of int
        The deployment. [1], [tokens], [1], [1]
    cost : array
        USD per hour, or devices where a price is missing.
    reason : array of int
        0 where objectives are met, else the place in
        :data:`planner.serving.objectives.REASONS`.
    miss : array
        How far the worst objective is missed, relative; 0 where all are met. [1]
    ttft_s, tpot_s, utilisation, concurrency : array
        Means of each replica. [s], [s], [1], [1]
    doubtful : array of bool
        Whether these means are outside the validity of the closed form.
    """

    deployable: Ints
    max_num_seqs: Ints
    max_num_batched_tokens: Ints
    replicas: Ints
    devices: Ints
    cost: Floats
    reason: Ints
    miss: Floats
    ttft_s: Floats
    tpot_s: Floats
    utilisation: Floats
    concurrency: Floats
    doubtful: NDArray[np.bool_]

    def __len__(self) -> int:
        return int(self.cost.size)

    def best_order(self) -> Ints:
        """Return all places, the best first: those that meet objectives by cost, then the rest.

        Ties go to the lower utilisation, then to the smaller place.

        Returns
        -------
        array of int
            Places.
        """
        missed = self.reason != MEETS
        return np.lexsort(
            (np.arange(len(self)), self.utilisation, np.where(missed, self.miss, self.cost), missed)
        )

    def trial_order(self) -> Ints:
        """Return the places that a simulation may find good, the cheapest first.

        Returns
        -------
        array of int
            Those that meet objectives in closed form, and those near enough where it is outside
            its validity.
        """
        near = self.doubtful & (self.miss <= NEAR_MISS)
        order = np.lexsort((np.arange(len(self)), self.utilisation, self.cost))
        return np.asarray(order[((self.reason == MEETS) | near)[order]])


@dataclass(frozen=True, kw_only=True)
class Search:
    """Deployables with their closed forms, ready for any load of one shape.

    Parameters
    ----------
    deployables : tuple of Deployable
        What can be a replica.
    shape : LoadShape
        What is asked.
    objectives : Objectives
        What must hold.
    space : SettingsSpace
        Engine settings to try.
    cv2 : float
        Squared coefficient of variation of the time between requests. [1]
    """

    deployables: tuple[Deployable, ...]
    shape: LoadShape
    objectives: Objectives
    space: SettingsSpace = SettingsSpace()
    cv2: float = 1.0

    def __post_init__(self) -> None:
        if not self.deployables:
            raise ScenarioError("nothing to search: no layout fits on any device", where="search")

    @property
    def priced(self) -> bool:
        """Whether every deployable has a price; costs are device counts otherwise."""
        return all(each.usd_per_device_h is not None for each in self.deployables)

    @cached_property
    def replicas_of(self) -> tuple[tuple[int, ReplicaCapacity], ...]:
        """Closed forms by deployable and tokens of a step, for all numbers of sequences."""
        return tuple(
            (
                at,
                ReplicaCapacity(
                    times=each.times,
                    shape=self.shape,
                    pool=each.pool,
                    max_num_batched_tokens=tokens,
                    max_num_seqs=self.space.slots(tokens)[:, np.newaxis],
                    request_s=each.request_s,
                ),
            )
            for at, each in enumerate(self.deployables)
            for tokens in self.space.max_num_batched_tokens
        )

    def at(self, rate_per_s: float, runner: Runner | None = None) -> Candidates:
        """Try every deployment at a load.

        Parameters
        ----------
        rate_per_s : float
            Peak requests per second over the fleet. [1/s]
        runner : callable, optional
            Tries deployables on other machines; here without it.

        Returns
        -------
        Candidates
            In the order of deployables, tokens of a step, sequences and replicas.
        """
        if runner is None:
            parts = [self._try(at, replica, rate_per_s) for at, replica in self.replicas_of]
        else:
            alone = [
                (replace(self, deployables=(each,)), at, rate_per_s)
                for at, each in enumerate(self.deployables)
            ]
            parts = [part for parts in runner(try_alone, alone) for part in parts]
        columns = {
            name: np.concatenate([np.ravel(part[name]) for part in parts]) for name in parts[0]
        }
        prices = np.array([each.usd_per_device_h or 0.0 for each in self.deployables])
        price = prices[columns["deployable"]] if self.priced else 1.0
        return Candidates(**columns, cost=columns["devices"] * price)

    def _try(self, at: int, replica: ReplicaCapacity, rate: float) -> dict[str, Any]:
        deployable = self.deployables[at]
        most = np.asarray(replica.most_rate_per_s) * self.objectives.most_utilisation
        fewest = np.maximum(np.ceil(rate / most - 1e-9), 1).astype(np.int64)
        groups = -(-fewest // deployable.group)
        steps = np.arange(self.space.replica_steps, dtype=np.int64)
        replicas = (groups + steps * -(-groups // 16)) * deployable.group
        found = replica.at_rate(rate / replicas, cv2=self.cv2)
        reason, miss = self.objectives.judge(found)
        shape = replicas.shape
        columns = {
            "deployable": at,
            "max_num_seqs": replica.max_num_seqs,
            "max_num_batched_tokens": replica.max_num_batched_tokens,
            "replicas": replicas,
            "devices": replicas * deployable.devices,
            "reason": reason,
            "miss": miss,
            "ttft_s": found.ttft_s,
            "tpot_s": found.tpot_s,
            "utilisation": found.utilisation,
            "concurrency": found.concurrency,
            "doubtful": np.not_equal(found.doubt, VALID),
        }
        return {name: np.broadcast_to(value, shape) for name, value in columns.items()}

    def front(self) -> tuple[FrontPoint, ...]:
        """Return the operating points that no other beats in both speed and throughput.

        Returns
        -------
        tuple of FrontPoint
            By tokens per second and user, descending.
        """
        return pareto(self._points())

    def _points(self) -> Iterable[FrontPoint]:
        for at, replica in self.replicas_of:
            curve, limit = replica.held, float(np.max(replica.concurrency_limit))
            kept = (curve.in_flight <= limit) & (curve.batch >= 1)
            for batch, rate, tpot in zip(
                curve.batch[kept], curve.rate_per_s[kept], curve.tpot_s[kept], strict=True
            ):
                yield FrontPoint(
                    deployable=at,
                    max_num_batched_tokens=replica.max_num_batched_tokens,
                    batch=float(batch),
                    tokens_per_s_per_user=float(1 / tpot),
                    tokens_per_s_per_device=float(
                        rate * self.shape.output_tokens / self.deployables[at].devices
                    ),
                )

    def capacity_of(self, candidates: Candidates, place: int, rate_per_s: float) -> Capacity:
        """Answer one candidate by itself, as an exhaustive search would.

        Parameters
        ----------
        candidates : Candidates
            The columns.
        place : int
            Which of them.
        rate_per_s : float
            Peak requests per second over the fleet. [1/s]

        Returns
        -------
        Capacity
            Of one replica.
        """
        deployable = self.deployables[int(candidates.deployable[place])]
        replica = ReplicaCapacity(
            times=deployable.times,
            shape=self.shape,
            pool=deployable.pool,
            max_num_batched_tokens=int(candidates.max_num_batched_tokens[place]),
            max_num_seqs=int(candidates.max_num_seqs[place]),
            request_s=deployable.request_s,
        )
        return replica.at_rate(rate_per_s / int(candidates.replicas[place]), cv2=self.cv2)

    def with_objectives(self, objectives: Objectives) -> Search:
        """Return the same search under other objectives, its closed forms kept."""
        other = replace(self, objectives=objectives)
        other.__dict__["replicas_of"] = self.replicas_of
        return other


def try_alone(item: tuple[Search, int, float]) -> list[dict[str, Any]]:
    """Try every deployment of one deployable.

    Parameters
    ----------
    item : tuple
        A search of one deployable, its place among all, and the load.

    Returns
    -------
    list of dict
        Columns, as the whole search would have made them.
    """
    search, place, rate = item
    parts = [search._try(0, replica, rate) for _, replica in search.replicas_of]
    return [{**part, "deployable": np.full_like(part["deployable"], place)} for part in parts]


def best_of_each(candidates: Candidates) -> Sequence[int]:
    """Return the best place of each deployable, the best of all first.

    Parameters
    ----------
    candidates : Candidates
        The columns.

    Returns
    -------
    sequence of int
        One place for each deployable.
    """
    order = candidates.best_order()
    _, first = np.unique(candidates.deployable[order], return_index=True)
    return [int(order[at]) for at in np.sort(first)]


__all__ = [
    "Candidates",
    "Deployable",
    "Search",
    "SettingsSpace",
    "best_of_each",
]
