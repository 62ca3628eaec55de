"""TTFT, TPOT and throughput of a service under a steady load, from steps and an engine's habits."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from planner.cost.roofline import step_cost
from planner.cost.step_times import step_times
from planner.errors import ScenarioError
from planner.model import Step
from planner.serving.engine_habits import Habits
from planner.serving.site import Site, part_of
from planner.serving.step_parts import step_parts_s

Floats = NDArray[np.float64]

REAL_LENGTH = 0.9
"""Mean length of requests over the nominal one: benchmarks draw lengths from 0.8 to 1 of it."""

MOST_SEQUENCES = 2048
POOL_FRACTION = 0.9
PACKED_TOKENS = 8192
"""Where all requests are queued: most sequences, share of free memory for caches, and the tokens
of prompts that one step reads, as the engine's own benchmark sets them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BareSteps:
    """Kernel seconds of the steps of some runs, by part of a step.

    Parameters
    ----------
    decode_s : array, shape (parts, runs)
        One decode step of all sequences in flight. [s]
    prefill_s : array, shape (parts, runs)
        The prompt of one request. [s]
    sequences : array, shape (runs,)
        In flight on one rank. [1]
    osl : array, shape (runs,)
        Output tokens of a request. [tokens]
    layers : array or int
        Of the model. [1]
    launches : array or int
        Kernels of one pass over a prompt. [1]
    calibrated : bool
        Whether the kernels' seconds are calibrated; floors otherwise.
    """

    decode_s: Floats
    prefill_s: Floats
    sequences: Floats
    osl: Floats
    layers: Floats | int
    launches: Floats | float = 0
    calibrated: bool = True

    def tpot_s(self, habits: Habits) -> Floats:
        r"""Return the seconds from token to token while others' prompts are read in between.

        .. math:: t = D(n) + \\phi\\, n\\, P / \\mathrm{osl}

        Parameters
        ----------
        habits : Habits
            Of the engine.

        Returns
        -------
        array, shape (runs,)
            In steady state. [s]
        """
        between = habits.interleaved * self.sequences * habits.work_s(self.prefill_s) / self.osl
        return np.asarray(self.step_s(habits) + between)

    def step_s(self, habits: Habits) -> Floats:
        """Return the seconds of one decode step.

        Parameters
        ----------
        habits : Habits
            Of the engine.

        Returns
        -------
        array, shape (runs,)
            With the host. [s]
        """
        return np.asarray(habits.step_seconds(self.decode_s, self.layers, self.sequences))

    def ttft_s(self, habits: Habits) -> Floats:
        """Return the seconds until the first token of a request in a closed loop.

        Parameters
        ----------
        habits : Habits
            Of the engine.

        Returns
        -------
        array, shape (runs,)
            Request, steps and prompts waited for, and its own prompt. [s]
        """
        prompt_s = habits.work_s(self.prefill_s)
        return np.asarray(
            habits.request_s
            + habits.launch_s * self.launches
            + habits.waited_steps * self.tpot_s(habits)
            + (habits.prompt + habits.burst * self.sequences) * prompt_s
        )

    def batch_ttft_s(self, habits: Habits) -> Floats:
        """Return the seconds of the one pass over all prompts of a static batch.

        Parameters
        ----------
        habits : Habits
            Of the engine.

        Returns
        -------
        array, shape (runs,)
            ``prefill_s`` is that of the whole batch here. [s]
        """
        host_s = habits.host_s(self.layers, self.sequences)
        return np.asarray(host_s + habits.prompt * habits.work_s(self.prefill_s))


def closed_loop(site: Site, concurrency: Floats, isl: Floats, osl: Floats) -> BareSteps:
    """Return the steps of runs with a fixed number of requests in flight.

    Parameters
    ----------
    site : Site
        One replica.
    concurrency : array
        Requests in flight on the replica. [1]
    isl, osl : array
        Nominal lengths. [tokens]

    Returns
    -------
    BareSteps
        Of one rank.
    """
    sequences = np.maximum(concurrency / site.execution.layout.attention_dp, 1.0)
    prompt, output = np.round(REAL_LENGTH * isl), REAL_LENGTH * osl
    return _bare(site, sequences, prompt, output, np.ones_like(prompt))


def static_batch(site: Site, batch: Floats, isl: Floats, osl: Floats) -> BareSteps:
    """Return the steps of runs whose requests all start together.

    Parameters
    ----------
    site : Site
        One replica.
    batch : array
        Requests on the replica. [1]
    isl, osl : array
        Exact lengths. [tokens]

    Returns
    -------
    BareSteps
        Its prefill is that of all prompts.
    """
    sequences = np.maximum(batch / site.execution.layout.attention_dp, 1.0)
    return _bare(site, sequences, isl, osl, sequences)


def saturated(site: Site, isl: Floats, osl: Floats) -> BareSteps:
    """Return the steps of runs with all requests queued: the cache pool bounds what is in flight.

    A request is admitted once the pool has room for the whole of it, so that none is ever evicted.

    Parameters
    ----------
    site : Site
        One replica.
    isl, osl : array
        Exact lengths. [tokens]

    Returns
    -------
    BareSteps
        Of one rank.

    Raises
    ------
    ScenarioError
        The weights leave no room for a cache.
    """
    room = int(POOL_FRACTION * site.pool_bytes(max_num_seqs=256))
    if room <= 0:
        raise ScenarioError("the weights leave no room for caches", where="tp", got=room)
    pool = site.pool(room, short=256, long=8192)
    need = np.array([pool.of_tokens(int(a + b)) for a, b in zip(isl, osl, strict=True)])
    most = MOST_SEQUENCES if pool.blocks is None else pool.blocks / need
    sequences = np.clip(np.broadcast_to(most, isl.shape), 1.0, MOST_SEQUENCES)
    packed = np.maximum(np.round(PACKED_TOKENS / isl), 1.0)
    bare = _bare(site, np.floor(sequences), isl, osl, packed)
    return replace(bare, prefill_s=bare.prefill_s / packed)


def _bare(site: Site, sequences: Floats, isl: Floats, osl: Floats, prompts: Floats) -> BareSteps:
    context = np.maximum(np.round(isl + osl / 2), 1.0)
    steps = (Step.decode(sequences, context), Step.prefill(prompts, np.maximum(isl, 1.0)))
    costs = tuple(
        step_cost(site.model, part_of(step, site.stages), site.execution, site.device, site.links)
        for step in steps
    )
    measured = step_times(costs, site.execution)
    decode_s, prefill_s = (
        step_parts_s(cost, measured[at] if measured else None, isl.shape)
        for at, cost in enumerate(costs)
    )
    return BareSteps(
        decode_s=decode_s,
        prefill_s=prefill_s,
        sequences=sequences,
        osl=np.maximum(osl, 1.0),
        layers=len(site.model.layers),
        launches=sum(item.count for item in costs[1].operations),
        calibrated=measured is not None,
    )


__all__ = ["BareSteps", "closed_loop", "saturated", "static_batch"]
