"""One replica that forms a batch, finishes it, and only then forms the next."""

from __future__ import annotations

from math import inf

import numpy as np

from planner.errors import ScenarioError
from planner.serving.intake import Intake
from planner.serving.ledger import Ledger
from planner.serving.replica import ReplicaSettings
from planner.serving.step_table import StepTable
from planner.serving.workload import Requests


def serve_static(
    times: StepTable, settings: ReplicaSettings, requests: Requests, intake: Intake
) -> Ledger:
    """Serve requests batch by batch.

    A batch is what waits when the last one is done, as far as slots and pool allow. Its prompts are
    read first; then every step decodes the whole batch until its longest output is done, and all
    slots are held until then.

    Parameters
    ----------
    times : StepTable
        Seconds of steps.
    settings : ReplicaSettings
        Slots, tokens of a step and pool.
    requests : Requests
        What is asked.
    intake : Intake
        When.

    Returns
    -------
    Ledger
        Times of each request, and the state over time.

    Raises
    ------
    ScenarioError
        A request does not fit into the cache pool even alone.
    """
    ledger, waiting = Ledger(len(requests)), list[int]()
    now_s = 0.0
    while waiting or intake.next_s < inf:
        if not waiting and intake.next_s > now_s:
            ledger.spend(intake.next_s, intake.next_s - now_s, 0, 0)
            now_s = intake.next_s
        while intake.next_s <= now_s:
            waiting.append(intake.take())
        size, blocks = _batch_size(settings, requests, waiting)
        batch, waiting = waiting[:size], waiting[size:]
        start_s = now_s
        now_s += _read(times, settings, requests, batch)
        for index in batch:
            ledger.admitted_s[index] = start_s
            ledger.first_token_s[index] = now_s
        now_s = _decode(times, requests, batch, ledger, now_s)
        ledger.spend(now_s, now_s - start_s, size, blocks)
        for index in batch:
            intake.answered(ledger.finish_s[index])
    return ledger


def _batch_size(
    settings: ReplicaSettings, requests: Requests, waiting: list[int]
) -> tuple[int, int]:
    """How many of the first in line fit, and the blocks they end up with."""
    pool = settings.pool
    first = np.array(waiting[: settings.max_num_seqs])
    lengths = requests.prompt_tokens[first] + requests.output_tokens[first]
    blocks = np.cumsum(pool.sequence_blocks - (-lengths // pool.block_tokens))
    if pool.blocks is None:
        return first.size, int(blocks[-1])
    size = int(np.searchsorted(blocks, pool.blocks, side="right"))
    if size == 0:
        raise ScenarioError(
            "a request does not fit into the cache pool even alone",
            where="workload",
            got=f"{int(lengths[0]):,} tokens",
            allowed=f"at most {pool.tokens:,.0f} tokens",
        )
    return size, int(blocks[size - 1])


def _read(
    times: StepTable, settings: ReplicaSettings, requests: Requests, batch: list[int]
) -> float:
    """Seconds to read all prompts, packed into steps of the most tokens."""
    prompts = requests.prompt_tokens[batch]
    most = settings.max_num_batched_tokens
    whole, rest = divmod(int(prompts.sum()), most)
    seconds = whole * float(times.weights_time_s(most))
    if rest:
        seconds += float(times.weights_time_s(rest))
    for start in range(0, int(prompts.max()), most):
        left = prompts[prompts > start] - start
        seconds += float(np.sum(times.chunk_attention_s(np.minimum(left, most), start)))
    return seconds


def _decode(
    times: StepTable, requests: Requests, batch: list[int], ledger: Ledger, now_s: float
) -> float:
    """Decode until the longest output is done; return when that is."""
    outputs = requests.output_tokens[batch]
    context = float(requests.prompt_tokens[batch].mean())
    steps = 0
    order = np.argsort(outputs, kind="stable")
    for at in order:
        more = int(outputs[at]) - 1 - steps
        if more:
            middle = context + steps + (more + 1) / 2
            now_s += more * float(times.decode_time_s(len(batch), middle))
            steps += more
        ledger.finish_s[batch[at]] = now_s
    return now_s


__all__ = ["serve_static"]
