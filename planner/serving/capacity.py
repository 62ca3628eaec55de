"""What one replica bears: concurrency, throughput, waits and utilisation in closed form.

Validity of each approximation is said where it is made; tests hold them against the simulator.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import erfc, sqrt

import numpy as np

from planner.arrays import Numeric
from planner.serving.load_shape import LoadShape
from planner.serving.occupancy import pool_limit, rereads, resident_blocks, tokens_limit
from planner.serving.operating_curve import Arriving, OperatingCurve, between, operating_curve
from planner.serving.paged_pool import CachePool
from planner.serving.replica import ReplicaSettings
from planner.serving.step_table import StepTable
from planner.serving.validity import doubt

IN_STEP_CV2 = 1e-3
"""Outputs more equal than this keep users in step: they end, and come again, together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """What a replica does at a load, in the mean; every field may be an array.

    Parameters
    ----------
    concurrency : numeric
        Sequences in flight, decoding or being read. [1]
    concurrency_limit : numeric
        Most that slots, pool and the tokens of a step admit. [1]
    limited_by : str or array of str
        Which of the three is least: slots, pool or tokens.
    rate_per_s, most_rate_per_s : numeric
        Requests completed, and the most that could be. [1/s]
    utilisation : numeric
        Offered over most requests; above 1 the queue grows without end. [1]
    ttft_s, tpot_s, e2e_s, wait_s : numeric
        Mean time to first token, per further token, to the last, and of it until taken up. [s]
    preemption : numeric
        Chance that the pool is too small at a random time, so that a sequence is put back. [1]
    occupancy_fraction : numeric
        Mean share of the pool that is taken. [1]
    doubt : str or array of str
        Why these figures are outside the validity of the closed form; empty where they are within.
    """

    concurrency: Numeric
    concurrency_limit: Numeric
    limited_by: Numeric
    rate_per_s: Numeric
    most_rate_per_s: Numeric
    utilisation: Numeric
    ttft_s: Numeric
    tpot_s: Numeric
    e2e_s: Numeric
    wait_s: Numeric
    preemption: Numeric
    occupancy_fraction: Numeric
    doubt: Numeric


@dataclass(frozen=True, kw_only=True)
class ReplicaCapacity:
    """The closed form of one replica under one kind of load.

    Parameters
    ----------
    times : StepTable
        Seconds of its steps.
    shape : LoadShape
        What it is asked.
    pool : CachePool
        Room for caches.
    max_num_batched_tokens : int
        Most tokens in one step. [tokens]
    max_num_seqs : numeric
        Most sequences in flight; many at once give arrays of answers. [1]
    request_s : float
        From the arrival of a request until the engine has it. [s]
    """

    times: StepTable
    shape: LoadShape
    pool: CachePool
    max_num_batched_tokens: int
    max_num_seqs: Numeric
    request_s: float = 0.0

    @classmethod
    def of(cls, times: StepTable, shape: LoadShape, settings: ReplicaSettings) -> ReplicaCapacity:
        """Return the closed form of a replica as it is simulated.

        Parameters
        ----------
        times : StepTable
            Seconds of its steps.
        shape : LoadShape
            What it is asked.
        settings : ReplicaSettings
            How it schedules.

        Returns
        -------
        ReplicaCapacity
            Ready for any rate or number of users.
        """
        return cls(
            times=times,
            shape=shape,
            pool=settings.pool,
            max_num_batched_tokens=settings.max_num_batched_tokens,
            max_num_seqs=settings.max_num_seqs,
            request_s=settings.request_s,
        )

    @cached_property
    def held(self) -> OperatingCurve:
        """With the batch held, as by users who wait, or under overload.

        Users with equal outputs end together and come again together, until a step overflows and
        they drift apart: halfway between both.
        """
        apart = self._curve("apart")
        if self.shape.output_cv2 >= IN_STEP_CV2:
            return apart
        return between(apart, self._curve("together"))

    @cached_property
    def open(self) -> OperatingCurve:
        """Under open arrivals."""
        return self._curve("open")

    @cached_property
    def crowded(self) -> OperatingCurve:
        """With the batch held by a full pool, which puts sequences back."""
        return self._curve("apart", rereads(self.shape))

    def _curve(self, arrivals: Arriving, rereads: float = 0.0) -> OperatingCurve:
        return operating_curve(
            self.times,
            self.shape,
            max_num_batched_tokens=self.max_num_batched_tokens,
            max_batch=int(np.max(self.max_num_seqs)),
            arrivals=arrivals,
            rereads=rereads,
        )

    @cached_property
    def _limits(self) -> tuple[Numeric, Numeric, Numeric]:
        """Sequences in flight that slots, pool and the tokens of a step admit."""
        step = tokens_limit(self.shape, self.max_num_batched_tokens)
        tokens = float(self.held.at("in_flight", step))
        full = np.where(step < self.max_num_seqs, tokens, np.inf)
        return self.max_num_seqs, pool_limit(self.shape, self.pool), full

    @cached_property
    def concurrency_limit(self) -> Numeric:
        """Most sequences in flight. [1]."""
        slots, pool, tokens = self._limits
        return np.minimum(np.minimum(slots, pool), tokens)

    @cached_property
    def limited_by(self) -> Numeric:
        """What binds: slots, the pool, or the tokens of a step."""
        _, pool, tokens = self._limits
        fewest = self.concurrency_limit
        named = np.where(pool <= fewest, "pool", np.where(tokens <= fewest, "tokens", "slots"))
        return named if named.ndim else str(named)

    def _full(self, field: str) -> Numeric:
        """A figure with as many in flight as can be."""
        limit = self.concurrency_limit
        held, crowded = (
            curve.at(field, curve.batch_in_flight(limit)) for curve in (self.held, self.crowded)
        )
        return np.where(np.equal(self.limited_by, "pool"), crowded, held)

    @cached_property
    def most_rate_per_s(self) -> Numeric:
        """Requests completed when everything admitted is in flight. [1/s]."""
        return self._full("rate_per_s")

    def at_rate(self, rate_per_s: Numeric, *, cv2: float = 1.0) -> Capacity:
        """Return what the replica does under open arrivals.

        Parameters
        ----------
        rate_per_s : numeric
            Requests per second. [1/s]
        cv2 : float
            Squared coefficient of variation of the time between requests. [1]

        Returns
        -------
        Capacity
            Waits are infinite where the rate is not below the most.
        """
        most, limit = self.most_rate_per_s, self.concurrency_limit
        load = rate_per_s / most
        over = load >= 1
        batch = self.open.batch_at_rate(rate_per_s)
        flight = np.minimum(batch + rate_per_s * self.open.at("reading_s", batch), limit)
        wait = self._entry_wait_s(batch, rate_per_s) + self._slot_wait_s(load, cv2)
        batch = self.open.batch_in_flight(flight)
        return self._capacity(
            flight=np.where(over, limit, flight),
            rate=np.minimum(rate_per_s, most),
            load=load,
            wait_s=np.where(over, np.inf, wait),
            tpot_s=np.where(over, self._full("tpot_s"), self.open.at("tpot_s", batch)),
            reading_s=np.where(over, self._full("reading_s"), self.open.at("reading_s", batch)),
            open_arrivals=True,
        )

    def _entry_wait_s(self, batch: Numeric, rate_per_s: Numeric) -> Numeric:
        """Until the step under way is done, and prompts before are read (M/G/1 in tokens)."""
        step_s = self.open.at("step_s", batch)
        decoding = rate_per_s * max(self.shape.decode_steps, 0) * step_s
        busy = np.minimum(1.0, decoding + rate_per_s * self.open.at("reading_s", batch))
        return busy * step_s / 2 + self.open.at("backlog_s", batch)

    def _slot_wait_s(self, load: Numeric, cv2: float) -> Numeric:
        """Sakasegawa's G/G/c with a server for each sequence in flight at most.

        The service of a server shortens as fewer are in flight, so this is an upper estimate.
        """
        servers = self.concurrency_limit
        service_s = servers / self.most_rate_per_s
        spread = (cv2 + self.shape.output_cv2) / 2
        below = np.minimum(load, 1 - 1e-9)
        power = np.sqrt(2 * (servers + 1)) - 1
        return below**power / (servers * (1 - below)) * service_s * spread

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
        curve, limit = self.held, float(self.concurrency_limit)
        away_s = think_s + self.request_s
        nodes = np.minimum(curve.in_flight, limit)
        flight = float(np.interp(users, nodes + curve.rate_per_s * away_s, nodes))
        if flight >= limit:
            flight, curve = limit, self.crowded if self.limited_by == "pool" else curve
        batch = curve.batch_in_flight(flight)
        rate = float(curve.at("rate_per_s", batch))
        waiting = max(users - flight - rate * away_s, 0.0) if flight >= limit else 0.0
        return self._capacity(
            flight=flight,
            rate=rate,
            load=rate / self.most_rate_per_s,
            wait_s=waiting / rate,
            tpot_s=curve.at("tpot_s", batch),
            reading_s=curve.at("reading_s", batch),
            open_arrivals=False,
        )

    def _capacity(
        self,
        *,
        flight: Numeric,
        rate: Numeric,
        load: Numeric,
        wait_s: Numeric,
        tpot_s: Numeric,
        reading_s: Numeric,
        open_arrivals: bool,
    ) -> Capacity:
        preemption, occupancy = self._pool_use(flight)
        return Capacity(
            concurrency=flight,
            concurrency_limit=self.concurrency_limit,
            limited_by=self.limited_by,
            rate_per_s=rate,
            most_rate_per_s=self.most_rate_per_s,
            utilisation=load,
            ttft_s=self.request_s + wait_s + reading_s,
            tpot_s=tpot_s,
            e2e_s=self.request_s + wait_s + reading_s + tpot_s * self.shape.decode_steps,
            wait_s=wait_s,
            preemption=preemption,
            occupancy_fraction=occupancy,
            doubt=doubt(
                self.shape,
                max_num_batched_tokens=self.max_num_batched_tokens,
                preemption=preemption if open_arrivals else self._crest(flight, preemption),
                concurrency_limit=self.concurrency_limit,
                full_steps=np.equal(self.limited_by, "tokens"),
                utilisation=load,
                open_arrivals=open_arrivals,
            ),
        )

    def _crest(self, flight: Numeric, preemption: Numeric) -> Numeric:
        """Chance of a full pool where users with equal outputs are in step: all end at once."""
        if self.pool.blocks is None or self.shape.output_cv2 >= IN_STEP_CV2:
            return preemption
        whole = self.shape.prompt_tokens + self.shape.output_tokens
        full = np.asarray(flight) * whole > self.pool.blocks * self.pool.block_tokens
        return np.maximum(preemption, full)

    def _pool_use(self, flight: Numeric) -> tuple[Numeric, Numeric]:
        """Normal approximation to the sum of a Poisson number of independent caches."""
        pool = self.pool
        if pool.blocks is None:
            return 0.0 * flight, 0.0 * flight
        mean = resident_blocks(self.shape, pool)
        spread = self.shape.resident_std_tokens / pool.block_tokens
        std = np.sqrt(np.maximum(flight, 1e-9) * (mean**2 + spread**2))
        chance = 0.5 * _erfc((pool.blocks - flight * mean) / std / sqrt(2))
        return chance, np.minimum(flight * mean / pool.blocks, 1.0)


_erfc = np.vectorize(erfc, otypes=[np.float64])

__all__ = ["Capacity", "ReplicaCapacity"]
