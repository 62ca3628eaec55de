"""What a service is asked: lengths, arrivals, shared prefixes, and requests drawn of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from planner.errors import ScenarioError
from planner.serving.arrivals import Arrivals, ClosedLoop
from planner.serving.lengths import Lengths, Tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedPrefix:
    """Prompts that begin as others do.

    Parameters
    ----------
    fraction : float
        Share of requests that have one. [1]
    tokens : int
        Its length; shorter prompts share all but their last token. [tokens]
    groups : int
        Different prefixes, equally frequent. [1]
    """

    fraction: float
    tokens: int
    groups: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.fraction <= 1:
            raise ScenarioError("not a share", where="prefix", got=self.fraction, allowed="0 to 1")
        if self.tokens < 1 or self.groups < 1:
            raise ScenarioError(
                "not positive", where="prefix", got=(self.tokens, self.groups), allowed="1 or more"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A stream of requests.

    Parameters
    ----------
    prompt, output : Lengths
        Tokens of each request. [tokens]
    arrivals : Arrivals or ClosedLoop
        When they come.
    prefix : SharedPrefix or None
        What prompts have in common.
    paired : bool
        Whether prompt and output are drawn from the same place of two records.
    priority_shares : tuple of float
        Share of requests of each priority, the most urgent first. [1]
    """

    prompt: Lengths
    output: Lengths
    arrivals: Arrivals | ClosedLoop
    prefix: SharedPrefix | None = None
    paired: bool = False
    priority_shares: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        if abs(sum(self.priority_shares) - 1) > 1e-9 or min(self.priority_shares) < 0:
            raise ScenarioError(
                "shares do not add up to 1", where="priorities", got=self.priority_shares
            )
        if self.paired and len(self._seen(self.prompt)) != len(self._seen(self.output)):
            raise ScenarioError("records of different length", where="paired lengths")

    @staticmethod
    def _seen(lengths: Lengths) -> tuple[int, ...]:
        seen: tuple[int, ...] = getattr(lengths, "seen", ())
        return seen

    def at_rate(self, rate_per_s: float) -> Workload:
        """Return the workload at another mean rate.

        Parameters
        ----------
        rate_per_s : float
            Requests per second. [1/s]

        Returns
        -------
        Workload
            With the same lengths and the same irregularity.

        Raises
        ------
        ScenarioError
            The users of a closed loop set their own rate.
        """
        if isinstance(self.arrivals, ClosedLoop):
            raise ScenarioError(
                "a closed loop sets its own rate", where="--rate", fix="Change the users instead."
            )
        factor = rate_per_s / self.arrivals.rate_per_s
        return replace(self, arrivals=self.arrivals.scaled(factor))

    @property
    def product_moment(self) -> float:
        """E[prompt · output]. [tokens²]."""
        if not self.paired:
            return self.prompt.mean * self.output.mean
        prompts = np.array(self._seen(self.prompt), dtype=np.float64)
        return float(np.mean(prompts * np.array(self._seen(self.output), dtype=np.float64)))

    @property
    def resident_tokens(self) -> float:
        r"""Mean tokens in the cache of a decoding request, seen at a random time. [tokens].

        Long outputs stay longer, so the mean is weighted by length:
        :math:`(E[P O] + E[O^2] / 2) / E[O]`. A decode step that makes token ``d + 1`` finds
        ``P + d`` tokens and leaves one more.
        """
        steps = max(self.output.mean - 1, 1e-12)
        decoded = self.output.second_moment - self.output.mean
        return (self.product_moment - self.prompt.mean + decoded / 2) / steps

    def draw(self, size: int, *, seed: int = 0) -> Requests:
        """Return the first requests of the stream.

        Parameters
        ----------
        size : int
            How many. [1]
        seed : int
            The same seed gives the same requests.

        Returns
        -------
        Requests
            With arrival times where the process is open, and think times where it is closed.
        """
        generator = np.random.default_rng(seed)
        prompts, outputs = self._draw_lengths(generator, size)
        closed = isinstance(self.arrivals, ClosedLoop)
        if isinstance(self.arrivals, ClosedLoop):
            times = self.arrivals.thinking(generator, size)
        else:
            times = self.arrivals.times(generator, size)
        groups, shared = self._draw_prefixes(generator, prompts)
        priorities = generator.choice(
            len(self.priority_shares), size, p=np.array(self.priority_shares)
        )
        return Requests(
            users=self.arrivals.users if isinstance(self.arrivals, ClosedLoop) else None,
            think_s=times if closed else None,
            arrival_s=None if closed else times,
            prompt_tokens=prompts,
            output_tokens=outputs,
            prefix_group=groups,
            prefix_tokens=shared,
            priority=priorities.astype(np.int64),
        )

    def _draw_lengths(self, generator: np.random.Generator, size: int) -> tuple[Tokens, Tokens]:
        if not self.paired:
            return self.prompt.draw(generator, size), self.output.draw(generator, size)
        prompts, outputs = self._seen(self.prompt), self._seen(self.output)
        order = np.arange(size) % len(prompts)
        return np.array(prompts, dtype=np.int64)[order], np.array(outputs, dtype=np.int64)[order]

    def _draw_prefixes(
        self, generator: np.random.Generator, prompts: Tokens
    ) -> tuple[Tokens, Tokens]:
        if self.prefix is None:
            return np.full(prompts.size, -1, dtype=np.int64), np.zeros(prompts.size, dtype=np.int64)
        has = generator.random(prompts.size) < self.prefix.fraction
        group = generator.integers(0, self.prefix.groups, prompts.size)
        shared = np.minimum(self.prefix.tokens, prompts - 1)
        return np.where(has, group, -1), np.where(has, shared, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Requests:
    """Requests one by one.

    Parameters
    ----------
    users : int or None
        Users of a closed loop; None where arrivals are open. [1]
    think_s : array or None, shape (requests,)
        Thought before each request is sent. [s]
    arrival_s : array or None, shape (requests,)
        When each comes, ascending. [s]
    prompt_tokens, output_tokens : array, shape (requests,)
        Lengths. [tokens]
    prefix_group : array, shape (requests,)
        Which prefix a prompt begins with; -1 for none of its own. [1]
    prefix_tokens : array, shape (requests,)
        How much of the prompt that is. [tokens]
    priority : array, shape (requests,)
        Smaller is more urgent. [1]
    """

    users: int | None
    think_s: NDArray[np.float64] | None
    arrival_s: NDArray[np.float64] | None
    prompt_tokens: Tokens
    output_tokens: Tokens
    prefix_group: Tokens
    prefix_tokens: Tokens
    priority: Tokens

    def __len__(self) -> int:
        return int(self.prompt_tokens.size)

    def taken(self, which: slice | Tokens, users: int | None = None) -> Requests:
        """Return some of the requests, as one of several replicas gets them.

        Parameters
        ----------
        which : slice or array of int
            Which of them.
        users : int, optional
            Users of a closed loop that send them. [1]

        Returns
        -------
        Requests
            In the same order.
        """
        return Requests(
            users=users,
            think_s=None if self.think_s is None else self.think_s[which],
            arrival_s=None if self.arrival_s is None else self.arrival_s[which],
            prompt_tokens=self.prompt_tokens[which],
            output_tokens=self.output_tokens[which],
            prefix_group=self.prefix_group[which],
            prefix_tokens=self.prefix_tokens[which],
            priority=self.priority[which],
        )


__all__ = ["Requests", "SharedPrefix", "Workload"]
