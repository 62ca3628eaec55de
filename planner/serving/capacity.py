"""What one replica bears: concurrency, throughput, waits and utilisation in closed form.

Validity of each approximation is said where it is made; tests hold them against the simulator.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import erfc, exp, sqrt

import numpy as np

from planner.serving.load_shape import LoadShape
from planner.serving.operating_curve import Arriving, OperatingCurve, operating_curve
from planner.serving.paged_pool import CachePool
from planner.serving.replica import ReplicaSettings
from planner.serving.step_times import StepTimes

IN_STEP_CV2 = 1e-3
"""Outputs more equal than this keep users in step: they end, and come again, together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """What a replica does at a load, in the mean.

    Parameters
    ----------
    concurrency : float
        Sequences in flight, decoding or being read. [1]
    concurrency_limit : float
        Most that slots, pool and the tokens of a step admit. [1]
    limited_by : {"slots", "pool", "tokens"}
        Which of the three is least.
    rate_per_s, most_rate_per_s : float
        Requests completed, and the most that could be. [1/s]
    utilisation : float
        Offered over most requests; above 1 the queue grows without end. [1]
    ttft_s, tpot_s, e2e_s, wait_s : float
        Mean time to first token, per further token, to the last, and of it until taken up. [s]
    preemption : float
        Chance that the pool is too small at a random time, so that a sequence is put back. [1]
    occupancy_fraction : float
        Mean share of the pool that is taken. [1]
    """

    concurrency: float
    concurrency_limit: float
    limited_by: str
    rate_per_s: float
    most_rate_per_s: float
    utilisation: float
    ttft_s: float
    tpot_s: float
    e2e_s: float
    wait_s: float
    preemption: float
    occupancy_fraction: float


def resident_blocks(shape: LoadShape, pool: CachePool) -> float:
    """Return the mean blocks of a decoding request.

    Parameters
    ----------
    shape : LoadShape
        The load.
    pool : CachePool
        Gives the block.

    Returns
    -------
    float
        Half a block more than its tokens fill: the last block is half full in the mean. [1]
    """
    private = shape.resident_tokens * shape.private_fraction
    return pool.sequence_blocks + private / pool.block_tokens + 0.5 * (1 - 1 / pool.block_tokens)


def pool_limit(shape: LoadShape, pool: CachePool) -> float:
    """Return how many sequences the pool holds when prompts are admitted as soon as they fit.

    Parameters
    ----------
    shape : LoadShape
        The load.
    pool : CachePool
        The pool.

    Returns
    -------
    float
        The pool less half a prompt, the room that the next prompt in line is short of in the
        mean, over the mean resident. Good to a tenth where ten or more sequences fit. [1]
    """
    if pool.blocks is None:
        return float("inf")
    prompt = pool.sequence_blocks + float(shape.new_tokens.mean()) / pool.block_tokens
    room = pool.blocks - prompt / 2
    return max(room / resident_blocks(shape, pool), 1.0)


def tokens_limit(shape: LoadShape, max_num_batched_tokens: int) -> float:
    """Return the batch at which every step is full of tokens.

    Parameters
    ----------
    shape : LoadShape
        The load.
    max_num_batched_tokens : int
        Most tokens in one step. [tokens]

    Returns
    -------
    float
        Prompts bring so many tokens for each decode step of a request, and no step has room for
        more; exact where prompts can be cut anywhere, as chunked prefill does. [1]
    """
    steps = shape.decode_steps
    return max_num_batched_tokens * steps / (steps + float(shape.new_tokens.mean()))


def rereads_bound(shape: LoadShape) -> float:
    r"""Return how often a sequence is put back at most while the pool is full.

    .. math::
        \frac{O}{P} \left(1 - e^{-P / O}\right)

    After an admission the free room lies anywhere between nothing and a prompt; the pool overflows
    where growth until the next end, exponential with mean ``O``, exceeds it. An upper bound: equal
    outputs end more regularly.

    Parameters
    ----------
    shape : LoadShape
        The load.

    Returns
    -------
    float
        Times per request. [1]
    """
    prompt, output = float(shape.new_tokens.mean()), max(shape.decode_steps, 1e-9)
    return output / prompt * (1 - exp(-prompt / output))


@dataclass(frozen=True, kw_only=True)
class ReplicaCapacity:
    """The closed form of one replica under one kind of load.

    Parameters
    ----------
    times : StepTimes
        Seconds of its steps.
    shape : LoadShape
        What it is asked.
    settings : ReplicaSettings
        How it schedules.
    """

    times: StepTimes
    shape: LoadShape
    settings: ReplicaSettings

    @cached_property
    def held(self) -> OperatingCurve:
        """With the batch held, as by users who wait, or under overload."""
        return self._curve("together" if self.shape.output_cv2 < IN_STEP_CV2 else "apart")

    @cached_property
    def open(self) -> OperatingCurve:
        """Under open arrivals."""
        return self._curve("open")

    @cached_property
    def crowded(self) -> OperatingCurve:
        """With the batch held by a full pool, which puts sequences back."""
        return self._curve("apart", rereads_bound(self.shape))

    def _curve(self, arrivals: Arriving, rereads: float = 0.0) -> OperatingCurve:
        return operating_curve(
            self.times,
            self.shape,
            max_num_batched_tokens=self.settings.max_num_batched_tokens,
            max_batch=self.settings.max_num_seqs,
            arrivals=arrivals,
            rereads=rereads,
        )

    @cached_property
    def _limits(self) -> dict[str, float]:
        step = tokens_limit(self.shape, self.settings.max_num_batched_tokens)
        batch = min(step, self.settings.max_num_seqs)
        return {
            "slots": float(self.settings.max_num_seqs),
            "pool": pool_limit(self.shape, self.settings.pool),
            "tokens": float(self.held.at("in_flight", batch)) if step == batch else float("inf"),
        }

    @property
    def concurrency_limit(self) -> float:
        """Most sequences in flight. [1]."""
        return min(self._limits.values())

    @property
    def limited_by(self) -> str:
        """What binds: slots, the pool, or the tokens of a step."""
        return min(self._limits, key=lambda name: self._limits[name])

    def _saturated(self) -> OperatingCurve:
        return self.crowded if self.limited_by == "pool" else self.held

    @property
    def most_rate_per_s(self) -> float:
        """Requests completed when everything admitted is in flight. [1/s]."""
        curve = self._saturated()
        return float(curve.at("rate_per_s", curve.batch_in_flight(self.concurrency_limit)))

    def at_rate(self, rate_per_s: float, *, cv2: float = 1.0) -> Capacity:
        """Return what the replica does under open arrivals.

        Parameters
        ----------
        rate_per_s : float
            Requests per second. [1/s]
        cv2 : float
            Squared coefficient of variation of the time between requests. [1]

        Returns
        -------
        Capacity
            Waits are infinite where the rate is not below the most.
        """
        most = self.most_rate_per_s
        load = rate_per_s / most
        if load >= 1:
            return self._capacity(
                self._saturated(), self.concurrency_limit, most, load, float("inf")
            )
        batch = float(self.open.batch_at_rate(rate_per_s))
        flight = batch + rate_per_s * float(self.open.at("reading_s", batch))
        flight = min(flight, self.concurrency_limit)
        wait = self._entry_wait_s(batch, rate_per_s) + self._slot_wait_s(flight, load, cv2)
        return self._capacity(self.open, flight, rate_per_s, load, wait)

    def _entry_wait_s(self, batch: float, rate_per_s: float) -> float:
        """Until the step under way is done, and prompts before are read (M/G/1 in tokens)."""
        step_s = float(self.open.at("step_s", batch))
        full_s = float(self.open.at("full_step_s", batch))
        new = self.shape.new_tokens / self.settings.max_num_batched_tokens
        read_s = float(new.mean()) * full_s
        share = min(rate_per_s * read_s, 0.999)
        busy = min(1.0, rate_per_s * max(self.shape.decode_steps, 0) * step_s + share)
        backlog = share / (1 - share) * float((new**2).mean() / (2 * new.mean())) * full_s
        return busy * step_s / 2 + backlog

    def _slot_wait_s(self, flight: float, load: float, cv2: float) -> float:
        """Sakasegawa's G/G/c with a server for each sequence in flight at most.

        The service of a server shortens as fewer are in flight, so this is an upper estimate.
        """
        servers = self.concurrency_limit
        service_s = servers / self.most_rate_per_s
        spread = (cv2 + self.shape.output_cv2) / 2
        power = np.sqrt(2 * (servers + 1)) - 1
        return float(load**power / (servers * (1 - load)) * service_s * spread)

    def at_users(self, users: float, *, think_s: float = 0.0) -> Capacity:
        """Return what the replica does for users who wait for their answers.

        Parameters
        ----------
        users : float
            Users of this replica; a benchmark's concurrency where nobody thinks. [1]
        think_s : float
            Mean time between an answer and the next request. [s]

        Returns
        -------
        Capacity
            Users in flight, waiting and thinking add up to all.
        """
        curve, limit = self.held, self.concurrency_limit
        nodes = np.minimum(curve.in_flight, limit)
        thinking = curve.rate_per_s * think_s
        flight = float(np.interp(users, nodes + thinking, nodes))
        if flight >= limit:
            flight, curve = limit, self._saturated()
        rate = float(curve.at("rate_per_s", curve.batch_in_flight(flight)))
        waiting = max(users - flight - rate * think_s, 0.0) if flight >= limit else 0.0
        most = self.most_rate_per_s
        return self._capacity(curve, flight, rate, rate / most, waiting / rate)

    def _capacity(
        self, curve: OperatingCurve, flight: float, rate: float, load: float, wait_s: float
    ) -> Capacity:
        batch = float(curve.batch_in_flight(flight))
        tpot_s = float(curve.at("tpot_s", batch))
        ttft_s = wait_s + float(curve.at("reading_s", batch))
        preemption, occupancy = self._pool_use(flight)
        return Capacity(
            concurrency=flight,
            concurrency_limit=self.concurrency_limit,
            limited_by=self.limited_by,
            rate_per_s=rate,
            most_rate_per_s=self.most_rate_per_s,
            utilisation=load,
            ttft_s=ttft_s,
            tpot_s=tpot_s,
            e2e_s=ttft_s + tpot_s * self.shape.decode_steps,
            wait_s=wait_s,
            preemption=preemption,
            occupancy_fraction=occupancy,
        )

    def _pool_use(self, flight: float) -> tuple[float, float]:
        """Normal approximation to the sum of a Poisson number of independent caches."""
        pool = self.settings.pool
        if pool.blocks is None:
            return 0.0, 0.0
        mean = resident_blocks(self.shape, pool)
        spread = self.shape.resident_std_tokens / pool.block_tokens
        std = np.sqrt(max(flight, 1e-9) * (mean**2 + spread**2))
        excess = (pool.blocks - flight * mean) / std
        chance = 0.5 * erfc(float(excess) / sqrt(2))
        return chance, min(flight * mean / pool.blocks, 1.0)


__all__ = ["Capacity", "ReplicaCapacity", "pool_limit", "resident_blocks"]
