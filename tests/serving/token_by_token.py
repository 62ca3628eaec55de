"""A replica simulated one step at a time, as plainly as can be, to hold the fast one against."""

from __future__ import annotations

import numpy as np

from planner.serving.replica import ReplicaSettings
from planner.serving.step_table import StepTable
from planner.serving.workload import Requests


def serve(
    times: StepTable, settings: ReplicaSettings, requests: Requests
) -> tuple[np.ndarray, np.ndarray]:
    """First-token and finish times; no prefixes, one priority, a pool that is never full."""
    assert requests.arrival_s is not None
    count = len(requests)
    first, finish = np.full(count, -1.0), np.full(count, -1.0)
    coming = list(range(count))
    reading: list[list[int]] = []
    decoding: dict[int, list[int]] = {}
    now = 0.0
    waiting: list[int] = []
    while coming or waiting or reading or decoding:
        if not (waiting or reading or decoding):
            now = max(now, requests.arrival_s[coming[0]])
        while coming and requests.arrival_s[coming[0]] <= now:
            waiting.append(coming.pop(0))
        budget = settings.max_num_batched_tokens - len(decoding)
        asked = sum(int(requests.prompt_tokens[i]) - done for i, done in reading)
        while waiting and asked < budget and len(decoding) + len(reading) < settings.max_num_seqs:
            reading.append([waiting.pop(0), 0])
            asked += int(requests.prompt_tokens[reading[-1][0]])
        batch = len(decoding)
        seconds, used, done = 0.0, 0, []
        for entry in reading:
            chunk = min(int(requests.prompt_tokens[entry[0]]) - entry[1], budget - used)
            if chunk == 0:
                break
            seconds += float(times.chunk_attention_s(chunk, entry[1]))
            entry[1] += chunk
            used += chunk
            if entry[1] == requests.prompt_tokens[entry[0]]:
                done.append(entry)
        if batch:
            context = sum(length for length, _ in decoding.values()) / batch + 1
            seconds += float(times.decode_time_s(batch, context))
            if used:
                seconds -= float(times.weights_time_s(batch))
        if used:
            seconds += float(times.weights_time_s(used + batch))
        now += seconds
        for index in list(decoding):
            decoding[index][0] += 1
            decoding[index][1] -= 1
            if decoding[index][1] == 0:
                finish[index] = now
                del decoding[index]
        for entry in done:
            reading.remove(entry)
            index = entry[0]
            first[index] = now
            if requests.output_tokens[index] == 1:
                finish[index] = now
            else:
                decoding[index] = [
                    int(requests.prompt_tokens[index]),
                    int(requests.output_tokens[index]) - 1,
                ]
    return first, finish
