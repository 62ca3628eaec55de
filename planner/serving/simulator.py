"""A fleet of replicas under a workload, simulated; deterministic by the seed of the requests.

Replicas share nothing, so each is simulated by itself: requests of an open stream go to them in
turn, users of a closed loop stay with one. A fleet with separate prefill is two such fleets, one
after the other.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from planner.errors import ScenarioError
from planner.serving.intake import ClosedIntake, OpenIntake, intake_of
from planner.serving.ledger import Ledger
from planner.serving.outcome import Outcome, ReplicaOutcome, combined
from planner.serving.replica import Replica, ReplicaSettings
from planner.serving.runner import Runner, one_by_one
from planner.serving.static_batch import serve_static
from planner.serving.step_table import StepTable
from planner.serving.workload import Requests


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What one replica is asked.

    Parameters
    ----------
    times : StepTable
        Seconds of its steps.
    settings : ReplicaSettings
        How it schedules.
    requests : Requests
        Its requests.
    static : bool
        Whether it forms a batch, finishes it, and only then forms the next.
    """

    times: StepTable
    settings: ReplicaSettings
    requests: Requests
    static: bool = False


def run_share(share: Share) -> ReplicaOutcome:
    """Simulate one replica.

    Parameters
    ----------
    share : Share
        What it is asked.

    Returns
    -------
    ReplicaOutcome
        Times of its requests, and its state over time.

    Raises
    ------
    ScenarioError
        A request does not fit into the cache pool even alone.
    """
    intake = intake_of(share.requests, share.settings.request_s)
    if share.static:
        ledger = serve_static(share.times, share.settings, share.requests, intake)
    else:
        ledger = Replica(share.times, share.settings, share.requests, intake).run()
    return _outcome(share, intake, ledger)


def _outcome(share: Share, intake: OpenIntake | ClosedIntake, ledger: Ledger) -> ReplicaOutcome:
    arrival_s = share.requests.arrival_s
    if isinstance(intake, ClosedIntake):
        arrival_s = np.array(intake.arrival_s) - share.settings.request_s
    assert arrival_s is not None
    return ReplicaOutcome(
        arrival_s=arrival_s,
        admitted_s=np.array(ledger.admitted_s),
        first_token_s=np.array(ledger.first_token_s),
        finish_s=np.array(ledger.finish_s),
        prompt_tokens=share.requests.prompt_tokens,
        output_tokens=share.requests.output_tokens,
        busy_s=ledger.busy_s,
        preemptions=ledger.preemptions,
        pool_blocks=share.settings.pool.blocks,
        history=ledger.history(),
    )


def simulate(
    times: StepTable,
    settings: ReplicaSettings,
    requests: Requests,
    *,
    replicas: int = 1,
    static: bool = False,
    runner: Runner = one_by_one,
) -> Outcome:
    """Simulate equal replicas that read prompts and decode.

    Parameters
    ----------
    times : StepTable
        Seconds of steps.
    settings : ReplicaSettings
        How each replica schedules.
    requests : Requests
        What the fleet is asked.
    replicas : int
        How many. [1]
    static : bool
        Whether a replica forms a batch, finishes it, and only then forms the next.
    runner : callable
        Runs the replicas.

    Returns
    -------
    Outcome
        Percentiles, throughput, occupancy and queue over time.

    Raises
    ------
    ScenarioError
        There are fewer requests or users than replicas, or a request fits into no pool.

    Examples
    --------
    >>> from planner.serving.arrivals import Poisson
    >>> from planner.serving.lengths import Fixed
    >>> from planner.serving.paged_pool import CachePool
    >>> from planner.serving.step_table import tabulate
    >>> from planner.serving.workload import Workload
    >>> times = tabulate(
    ...     lambda step: 0.01 + 0 * step.tokens,
    ...     max_batch=8,
    ...     max_step_tokens=64,
    ...     max_context=128,
    ... )
    >>> load = Workload(prompt=Fixed(10), output=Fixed(11), arrivals=Poisson(0.01))
    >>> settings = ReplicaSettings(
    ...     max_num_seqs=8, max_num_batched_tokens=64, pool=CachePool(blocks=None)
    ... )
    >>> outcome = simulate(times, settings, load.draw(100))
    >>> round(outcome.percentile("tpot_s", 50), 6), round(outcome.percentile("e2e_s", 50), 6)
    (0.01, 0.11)
    """
    shares = [
        Share(times=times, settings=settings, requests=part, static=static)
        for part in _dealt(requests, replicas)
    ]
    return combined(runner(run_share, shares))


def simulate_disaggregated(
    prefill: tuple[StepTable, ReplicaSettings, int],
    decode: tuple[StepTable, ReplicaSettings, int],
    requests: Requests,
    *,
    transfer_s_per_token: float = 0.0,
    transfer_s: float = 0.0,
    runner: Runner = one_by_one,
) -> Outcome:
    """Simulate replicas that only read prompts, and others that only decode.

    Caches move when a prompt is read; a full decode pool does not hold prefill back.

    Parameters
    ----------
    prefill, decode : tuple of StepTable, ReplicaSettings and int
        Step times, settings and number of the replicas of each kind.
    requests : Requests
        What the fleet is asked, at given times.
    transfer_s_per_token : float
        Seconds to move the cache of one token. [s/token]
    transfer_s : float
        Seconds to move a cache, whatever its size. [s]
    runner : callable
        Runs the replicas.

    Returns
    -------
    Outcome
        Whole requests; occupancy, queue and utilisation are those of the decode replicas.

    Raises
    ------
    ScenarioError
        The requests come in a closed loop, or there are fewer than replicas.
    """
    if requests.arrival_s is None:
        raise ScenarioError(
            "separate prefill is simulated for open arrivals only",
            where="--users",
            fix="Give --rate or a trace.",
        )
    times, settings, replicas = prefill
    only_read = replace(requests, output_tokens=np.ones_like(requests.output_tokens))
    first = simulate(times, settings, only_read, replicas=replicas, runner=runner)
    ready_s = first.finish_s + transfer_s + transfer_s_per_token * requests.prompt_tokens
    order = np.argsort(ready_s, kind="stable")
    arrives = replace(
        requests.taken(order),
        arrival_s=ready_s[order],
        prefix_group=np.full(order.size, -1, dtype=np.int64),
    )
    times, settings, replicas = decode
    settings = replace(settings, prompts_cached=True, request_s=0.0)
    second = simulate(times, settings, arrives, replicas=replicas, runner=runner)
    return _joined(first, second, order)


def _joined(first: Outcome, second: Outcome, order: np.ndarray) -> Outcome:
    """Put the two halves of each request together; ``order`` is that of the second half."""
    back = np.argsort(order, kind="stable")
    return replace(
        second,
        arrival_s=first.arrival_s,
        admitted_s=first.admitted_s,
        first_token_s=first.first_token_s,
        finish_s=np.maximum(second.finish_s[back], first.finish_s),
        prompt_tokens=first.prompt_tokens,
        output_tokens=second.output_tokens[back],
        prefill_utilisation=first.utilisation,
    )


def _dealt(requests: Requests, replicas: int) -> Iterable[Requests]:
    users = requests.users
    fewest = len(requests) if users is None else users
    if not 1 <= replicas <= fewest:
        raise ScenarioError(
            "more replicas than requests in flight" if users else "more replicas than requests",
            where="replicas",
            got=replicas,
            allowed=f"1 to {fewest:,}",
        )
    for at in range(replicas):
        own = None if users is None else len(range(at, users, replicas))
        yield requests.taken(slice(at, None, replicas), own)


__all__ = ["Share", "run_share", "simulate", "simulate_disaggregated"]
