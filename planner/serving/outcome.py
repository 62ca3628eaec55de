"""What a simulation found: percentiles of requests, throughput, and the state over time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner.serving.ledger import History

Floats = NDArray[np.float64]
WARM_UP_FRACTION = 0.1
METRICS = ("ttft_s", "tpot_s", "e2e_s", "queue_s")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaOutcome:
    """Times of the requests of one replica, and its state over time.

    Parameters
    ----------
    arrival_s, admitted_s, first_token_s, finish_s : array, shape (requests,)
        When each came, was taken up, had its first token, and was done. [s]
    prompt_tokens, output_tokens : array, shape (requests,)
        Lengths. [tokens]
    busy_s : float
        Time in steps. [s]
    preemptions : int
        Sequences that were put back for want of room. [1]
    pool_blocks : int or None
        Blocks of the cache pool. [1]
    history : History
        State over time.
    """

    arrival_s: Floats
    admitted_s: Floats
    first_token_s: Floats
    finish_s: Floats
    prompt_tokens: NDArray[np.int64]
    output_tokens: NDArray[np.int64]
    busy_s: float
    preemptions: int
    pool_blocks: int | None
    history: History


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Times of all requests of a fleet, in the order of arrival, and its replicas' states.

    Parameters
    ----------
    arrival_s, admitted_s, first_token_s, finish_s : array, shape (requests,)
        When each came, was taken up, had its first token, and was done. [s]
    prompt_tokens, output_tokens : array, shape (requests,)
        Lengths. [tokens]
    replicas : tuple of ReplicaOutcome
        Those that finished the requests.
    prefill_utilisation : float or None
        Share of time that separate prefill replicas were busy. [1]
    """

    arrival_s: Floats
    admitted_s: Floats
    first_token_s: Floats
    finish_s: Floats
    prompt_tokens: NDArray[np.int64]
    output_tokens: NDArray[np.int64]
    replicas: tuple[ReplicaOutcome, ...]
    prefill_utilisation: float | None = None

    @property
    def window_s(self) -> tuple[float, float]:
        """From when a tenth of the requests had come to when a tenth were still to come. [s]."""
        start, end = np.quantile(self.arrival_s, [WARM_UP_FRACTION, 1 - WARM_UP_FRACTION])
        return float(start), float(end)

    @property
    def _steady(self) -> NDArray[np.bool_]:
        start, end = self.window_s
        return (self.arrival_s >= start) & (self.arrival_s <= end)

    def values(self, metric: str) -> Floats:
        """Return a metric of each request that came in the window.

        Parameters
        ----------
        metric : {"ttft_s", "tpot_s", "e2e_s", "queue_s"}
            Time to first token, time per further token, time to the last, time until taken up;
            requests of one token have no time per further token.

        Returns
        -------
        array
            In the order of arrival. [s]
        """
        kept = self._steady
        if metric == "tpot_s":
            kept = kept & (self.output_tokens > 1)
            further = (self.output_tokens - 1)[kept]
            return (self.finish_s - self.first_token_s)[kept] / further
        ends = {"ttft_s": self.first_token_s, "e2e_s": self.finish_s, "queue_s": self.admitted_s}
        return (ends[metric] - self.arrival_s)[kept]

    def percentile(self, metric: str, percent: float) -> float:
        """Return a percentile over requests.

        Parameters
        ----------
        metric : str
            As for :meth:`values`.
        percent : float
            0 to 100. [%]

        Returns
        -------
        float
            NaN where no request has the metric. [s]
        """
        values = self.values(metric)
        return float(np.percentile(values, percent)) if values.size else float("nan")

    @property
    def requests_per_s(self) -> float:
        """Requests finished per second of the window. [1/s]."""
        start, end = self.window_s
        done = np.count_nonzero((self.finish_s > start) & (self.finish_s <= end))
        return float(done / (end - start)) if end > start else float("nan")

    @property
    def output_tokens_per_s(self) -> float:
        """Output tokens of requests finished in the window, per second. [tokens/s]."""
        start, end = self.window_s
        done = (self.finish_s > start) & (self.finish_s <= end)
        return float(self.output_tokens[done].sum() / (end - start)) if end > start else np.nan

    def mean_state(self, state: str) -> float:
        """Return the mean over the window of a state, summed over replicas.

        Parameters
        ----------
        state : {"running", "blocks"}
            Sequences in flight, blocks taken.

        Returns
        -------
        float
            Mean over time. [1]
        """
        start, end = self.window_s
        return sum(
            replica.history.mean(getattr(replica.history, f"{state}_s"), start, end)
            for replica in self.replicas
        )

    @property
    def mean_queue(self) -> float:
        """Requests that came and were not taken up yet, mean over the window. [1]."""
        start, end = self.window_s
        waited = np.minimum(self.admitted_s, end) - np.maximum(self.arrival_s, start)
        return float(np.maximum(waited, 0.0).sum() / (end - start)) if end > start else np.nan

    @property
    def occupancy_fraction(self) -> float | None:
        """Mean share of the cache pools that is taken; None where nothing limits them. [1]."""
        blocks = [replica.pool_blocks for replica in self.replicas]
        if None in blocks:
            return None
        return self.mean_state("blocks") / sum(filter(None, blocks))

    @property
    def utilisation(self) -> float:
        """Share of time in steps, over replicas and the whole run. [1]."""
        ends = [float(replica.finish_s.max()) for replica in self.replicas]
        return sum(replica.busy_s for replica in self.replicas) / sum(ends)

    @property
    def preemptions(self) -> int:
        """Sequences that were put back for want of room. [1]."""
        return sum(replica.preemptions for replica in self.replicas)

    @property
    def overloaded(self) -> bool:
        """Whether the queue still grew: waits rise from fifth to fifth of the requests.

        The wait must also exceed a tenth of the time that requests take in all.
        """
        wait = self.admitted_s - self.arrival_s
        order = np.argsort(self.arrival_s, kind="stable")
        fifths = [float(part.mean()) for part in np.array_split(wait[order], 5) if part.size]
        if len(fifths) < 5:
            return False
        e2e_s = float((self.finish_s - self.arrival_s).mean())
        return fifths[4] > 1.5 * fifths[2] > 2 * fifths[0] and fifths[4] > 0.1 * e2e_s

    def to_dict(self) -> dict[str, Any]:
        """Return the outcome as plain data.

        Returns
        -------
        dict
            Percentiles, rates, and the states of the replicas over time.
        """
        percents = (10, 50, 90, 95, 99)
        return {
            "requests": int(self.arrival_s.size),
            "window_s": list(self.window_s),
            **{
                metric: {f"p{p}": _plain(self.percentile(metric, p)) for p in percents}
                | {"mean": _plain(float(self.values(metric).mean()))}
                for metric in METRICS
                if self.values(metric).size
            },
            "requests_per_s": _plain(self.requests_per_s),
            "output_tokens_per_s": _plain(self.output_tokens_per_s),
            "mean_running": _plain(self.mean_state("running")),
            "mean_queue": _plain(self.mean_queue),
            "cache_occupancy_fraction": self.occupancy_fraction,
            "utilisation_fraction": _plain(self.utilisation),
            "prefill_utilisation_fraction": self.prefill_utilisation,
            "preemptions": self.preemptions,
            "overloaded": self.overloaded,
            "over_time": [_over_time(replica) for replica in self.replicas],
        }


def _over_time(replica: ReplicaOutcome, most: int = 200) -> dict[str, list[float]]:
    history = replica.history
    every = slice(None, None, max(1, -(-history.time_s.size // most)))
    time_s = history.time_s[every]
    return {
        "time_s": time_s.tolist(),
        "running": history.running[every].tolist(),
        "queue": (
            np.searchsorted(np.sort(replica.arrival_s), time_s, side="right")
            - np.searchsorted(np.sort(replica.admitted_s), time_s, side="right")
        ).tolist(),
        "blocks": history.blocks[every].tolist(),
    }


def _plain(value: float) -> float | None:
    return value if np.isfinite(value) else None


def combined(outcomes: list[ReplicaOutcome]) -> Outcome:
    """Put replicas together again; requests were dealt to them in turn.

    Parameters
    ----------
    outcomes : list of ReplicaOutcome
        In the order in which requests were dealt.

    Returns
    -------
    Outcome
        Requests in the order in which they were drawn.
    """
    count = sum(outcome.arrival_s.size for outcome in outcomes)

    def dealt(name: str) -> Any:
        whole = np.empty(count, dtype=getattr(outcomes[0], name).dtype)
        for at, outcome in enumerate(outcomes):
            whole[at :: len(outcomes)] = getattr(outcome, name)
        return whole

    names = ("arrival_s", "admitted_s", "first_token_s", "finish_s")
    return Outcome(
        **{name: dealt(name) for name in names},
        prompt_tokens=dealt("prompt_tokens"),
        output_tokens=dealt("output_tokens"),
        replicas=tuple(outcomes),
    )


__all__ = ["METRICS", "Outcome", "ReplicaOutcome", "combined"]
