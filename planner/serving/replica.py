"""One replica under continuous batching, from event to event.

Between two events – an arrival, the end of a prompt chunk, the end of a request, a full pool –
every step decodes the same sequences, so any number of steps is one move: sequences end at a known
count of steps, the pool grows by a known number of blocks, and the time is the number of steps
times the step at their middle context, exact where a step is linear in context.
"""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heappop, heappush
from math import ceil, inf

from planner.errors import ScenarioError
from planner.serving.intake import Intake
from planner.serving.ledger import Ledger
from planner.serving.lookup import StepLookup
from planner.serving.paged_pool import CachePool, PoolState
from planner.serving.step_table import StepTable
from planner.serving.workload import Requests

MOST_SLOTS = 2**16


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaSettings:
    """How one replica schedules.

    Parameters
    ----------
    max_num_seqs : int
        Most sequences in flight. [1]
    max_num_batched_tokens : int
        Most tokens in one step; longer prompts are read in chunks. [tokens]
    pool : CachePool
        Room for caches.
    prefix_caching : bool
        Whether shared beginnings are read once.
    prompts_cached : bool
        Whether prompts come with their caches, from replicas that read them.
    request_s : float
        From the arrival of a request until the engine has it. [s]
    """

    max_num_seqs: int
    max_num_batched_tokens: int
    pool: CachePool
    prefix_caching: bool = True
    prompts_cached: bool = False
    request_s: float = 0.0

    def __post_init__(self) -> None:
        if not 1 <= self.max_num_seqs <= MOST_SLOTS:
            raise ScenarioError(
                "out of range",
                where="--max-num-seqs",
                got=self.max_num_seqs,
                allowed=f"1 to {MOST_SLOTS:,}",
            )
        if self.max_num_batched_tokens < self.max_num_seqs and not self.prompts_cached:
            raise ScenarioError(
                "a step must have room for a token of every sequence",
                where="--max-num-batched-tokens",
                got=self.max_num_batched_tokens,
                allowed=f"at least --max-num-seqs = {self.max_num_seqs:,}",
            )


class Replica:
    """The state of one replica, and its moves.

    Parameters
    ----------
    times : StepTable
        Seconds of steps.
    settings : ReplicaSettings
        How it schedules.
    requests : Requests
        What it is asked.
    intake : Intake
        When.
    """

    def __init__(
        self, times: StepTable, settings: ReplicaSettings, requests: Requests, intake: Intake
    ) -> None:
        slots = min(settings.max_num_seqs, len(requests))
        self.settings = settings
        self.intake = intake
        self.lookup = StepLookup(
            times, max_batch=slots, max_step_tokens=settings.max_num_batched_tokens
        )
        self.pool = PoolState(settings.pool)
        self.ledger = Ledger(len(requests))
        self.prompt: list[int] = requests.prompt_tokens.tolist()
        self.output: list[int] = requests.output_tokens.tolist()
        self.group: list[int] = requests.prefix_group.tolist()
        self.prefix: list[int] = requests.prefix_tokens.tolist()
        self.priority: list[int] = requests.priority.tolist()
        self.own_blocks = [0] * len(requests)
        self.holds = [False] * len(requests)
        self.order = [0] * len(requests)
        self.now_s = 0.0
        self.step = 0
        self.tokens = 0
        self.running: dict[int, int] = {}
        self.ends: list[tuple[int, int, int]] = []
        self.reading: list[list[int]] = []
        self.waiting: list[tuple[int, int, int]] = []
        self._received = 0
        self._check_lengths()

    def _check_lengths(self) -> None:
        pool = self.settings.pool
        if pool.blocks is None or not self.prompt:
            return
        longest = max(map(sum, zip(self.prompt, self.output, strict=True)))
        if pool.of_tokens(longest) > pool.blocks:
            raise ScenarioError(
                "a request does not fit into the cache pool even alone",
                where="workload",
                got=f"{longest:,} tokens",
                allowed=f"at most {pool.tokens:,.0f} tokens",
                fix="Clip the lengths, or give the replica more memory.",
            )

    def run(self) -> Ledger:
        """Serve every request.

        Returns
        -------
        Ledger
            When each was admitted, first answered and finished, and the state over time.
        """
        intake = self.intake
        while True:
            while intake.next_s <= self.now_s:
                self._receive()
            if (self.waiting or self.reading) and self._read():
                continue
            if self.running:
                self._decode()
            elif intake.next_s < inf:
                idle_s = intake.next_s - self.now_s
                self.now_s = intake.next_s
                self.ledger.spend(self.now_s, idle_s, 0, self.pool.used)
            else:
                return self.ledger

    def _receive(self) -> None:
        index = self.intake.take()
        self.order[index] = self._received
        heappush(self.waiting, (self.priority[index], self._received, index))
        self._received += 1

    def _decode(self) -> None:
        """Move on to the next event by decode steps alone."""
        batch = len(self.running)
        ends, running, step, pool = self.ends, self.running, self.step, self.pool
        while running.get(ends[0][1]) != ends[0][2]:
            heappop(ends)
        steps = ends[0][0] - step
        # ceil(steps / block) + 1 rounds bound the growth; count turns only near the limit.
        if pool.used + (steps // pool.size + 1) * batch > pool.blocks:
            room = pool.most_steps(step, batch)
            if room == 0 and self._make_room():
                return
            steps = max(1, min(steps, room))
        context = self.tokens / batch + 1
        decode_s = self.lookup.decode_s
        seconds = steps * decode_s(batch, context + (steps - 1) / 2)
        gap_s = self.intake.next_s - self.now_s
        if gap_s < seconds and not self.waiting and batch < self.settings.max_num_seqs:
            guess = min(steps, ceil(gap_s / decode_s(batch, context)))
            middle = decode_s(batch, context + max(guess - 1, 0) / 2)
            steps = max(1, min(steps, ceil(gap_s / middle)))
            seconds = steps * decode_s(batch, context + (steps - 1) / 2)
        self._spend(seconds, steps, batch)

    def _spend(self, seconds: float, steps: int, batch: int) -> None:
        """Let all running sequences make ``steps`` tokens, and end those that are done."""
        pool, before = self.pool, self.pool.used
        if batch:
            pool.take(pool.growth(self.step, steps, batch))
            self.step += steps
            self.tokens += steps * batch
        self.now_s += seconds
        in_flight = batch + len(self.reading)
        self.ledger.spend(self.now_s, seconds, in_flight, (before + pool.used) / 2)
        ends, step = self.ends, self.step
        while ends and ends[0][0] <= step:
            _, index, joined = heappop(ends)
            if self.running.get(index) == joined:
                self._end(index, joined)

    def _end(self, index: int, joined: int) -> None:
        del self.running[index]
        prompt = self.prompt[index]
        decoded = self.step - joined
        self.tokens -= prompt + decoded
        pool = self.pool
        pool.leave(joined, prompt)
        pool.used -= self.own_blocks[index] + self._grown(prompt, decoded)
        self._finish(index)

    def _let_go(self, index: int) -> None:
        if self.holds[index]:
            self.holds[index] = False
            self.pool.release(self.group[index])

    def _grown(self, prompt: int, decoded: int) -> int:
        size = self.pool.size
        return -(-(prompt + decoded) // size) + (-prompt // size)

    def _finish(self, index: int) -> None:
        self._let_go(index)
        self.ledger.finish_s[index] = self.now_s
        self.intake.answered(self.now_s)

    def _read(self) -> bool:
        """Make one step with prompt chunks; return False where none can be read now."""
        batch = len(self.running)
        growth = self.pool.growth(self.step, 1, batch) if batch else 0
        preempted = False
        if self.pool.blocks - self.pool.used < growth:
            preempted = self._make_room()
            batch = len(self.running)
        if not preempted or not batch:
            self._admit(batch, growth)
        if not self.reading:
            return False
        budget = self.settings.max_num_batched_tokens - batch
        tokens, attention_s, done = 0, 0.0, 0
        chunk_s = self.lookup.chunk_s
        for entry in self.reading:
            index, cached = entry
            chunk = self.prompt[index] - cached
            if chunk > budget - tokens:
                chunk = budget - tokens
            else:
                done += 1
            if chunk:
                attention_s += chunk_s(chunk, cached)
                tokens += chunk
                entry[1] = cached + chunk
            if tokens >= budget:
                break
        self._spend(self._mixed_s(tokens, attention_s, batch), 1, batch)
        self._join(done)
        return True

    def _mixed_s(self, tokens: int, attention_s: float, batch: int) -> float:
        weights_s = self.lookup.weights_s
        seconds = weights_s[tokens + batch] + attention_s
        if batch:
            context = self.tokens / batch + 1
            seconds += self.lookup.decode_s(batch, context) - weights_s[batch]
        return seconds

    def _admit(self, batch: int, growth: int) -> None:
        """Take waiting requests into the step while it has tokens, slots and blocks for them."""
        settings, reading = self.settings, self.reading
        budget = settings.max_num_batched_tokens - batch
        for index, cached in reading:
            budget -= self.prompt[index] - cached
        slots = settings.max_num_seqs - batch - len(reading)
        while self.waiting and budget > 0 and slots > 0:
            index = self.waiting[0][2]
            cached = self._take_blocks(index, growth)
            if cached < 0:
                return
            heappop(self.waiting)
            slots -= 1
            if self.ledger.admitted_s[index] < 0:
                self.ledger.admitted_s[index] = self.now_s
            if settings.prompts_cached:
                self._start(index)
            else:
                budget -= self.prompt[index] - cached
                reading.append([index, cached])

    def _take_blocks(self, index: int, growth: int) -> int:
        """Take the blocks of a prompt; return its cached tokens, or -1 where they are not free."""
        pool, prompt, group = self.pool, self.prompt[index], self.group[index]
        need = pool.pool.of_tokens(prompt)
        if group < 0 or not self.settings.prefix_caching:
            if pool.blocks - pool.used < need + growth and not pool.make_room(need + growth):
                return -1
            self.own_blocks[index] = need
            pool.take(need)
            return 0
        shared = min(pool.hit_blocks(group), self.prefix[index] // pool.size)
        if shared:
            pool.hold(group, shared)
        need -= shared
        if not pool.make_room(need + growth):
            if shared:
                pool.release(group)
            return -1
        self.own_blocks[index] = need
        self.holds[index] = shared > 0
        pool.take(need)
        return min(shared * pool.size, prompt - 1)

    def _join(self, done: int) -> None:
        """Let the prompts that were read to their end decode."""
        for index, _ in self.reading[:done]:
            if self.ledger.first_token_s[index] < 0:
                self.ledger.first_token_s[index] = self.now_s
            if self.group[index] >= 0 and self.settings.prefix_caching:
                self._share(index)
            self._start(index)
        del self.reading[:done]

    def _share(self, index: int) -> None:
        """Leave a prefix that was read to others, or give back one that others had read."""
        pool, group = self.pool, self.group[index]
        shared = self.prefix[index] // pool.size
        if self.holds[index] or not shared:
            return
        self.holds[index] = True
        if not pool.hit_blocks(group):
            pool.hold(group, shared)
            self.own_blocks[index] -= shared
        else:
            saved = pool.hold(group, shared)
            self.own_blocks[index] -= saved
            pool.used -= saved

    def _start(self, index: int) -> None:
        if self.ledger.first_token_s[index] < 0:
            self.ledger.first_token_s[index] = self.now_s
        left = self.output[index] - 1
        prompt = self.prompt[index]
        if left == 0:
            self.pool.used -= self.own_blocks[index]
            self._finish(index)
            return
        self.running[index] = self.step
        heappush(self.ends, (self.step + left, index, self.step))
        self.pool.join(self.step, prompt)
        self.tokens += prompt

    def _make_room(self) -> bool:
        """Free what the next step needs; return whether a sequence had to be put back."""
        preempted = False
        while self.running:
            growth = self.pool.growth(self.step, 1, len(self.running))
            if self.pool.make_room(growth):
                break
            self._preempt()
            preempted = True
        return preempted

    def _preempt(self) -> None:
        """Put back the least urgent, latest sequence; its tokens will be read again."""
        index = max(self.running, key=lambda i: (self.priority[i], self.order[i]))
        joined = self.running.pop(index)
        prompt, decoded = self.prompt[index], self.step - joined
        self.tokens -= prompt + decoded
        self.pool.leave(joined, prompt)
        self.pool.used -= self.own_blocks[index] + self._grown(prompt, decoded)
        self._let_go(index)
        self.prompt[index] = prompt + decoded + 1
        self.output[index] -= decoded + 1
        self.ledger.preemptions += 1
        heappush(self.waiting, (self.priority[index], self.order[index], index))


__all__ = ["Replica", "ReplicaSettings"]
