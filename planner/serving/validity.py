"""Where the closed form of a replica is not to be trusted, and why."""

from __future__ import annotations

from typing import Any

import numpy as np

from planner.arrays import Numeric
from planner.serving.load_shape import LoadShape
from planner.serving.occupancy import rereads_bound

VALID = ""
FULL_POOL = "a full pool puts sequences back, how often is known within a factor of two"
LONG_PROMPTS = "outputs are over before the prompts around them are read"

MOST_CHANCE = 0.05
"""Chance of a full pool beyond which sequences that are put back count."""
MOST_REREADS = 0.1
"""Times per request that a sequence may be put back without moving rates by a tenth."""
FEWEST_SEQUENCES = 10
"""Sequences that a pool must hold for means to tell how many it holds."""
LEAST_STEPS_PER_CHUNK = 32.0
"""Decode steps of a request for each chunk of a prompt, below which prompts queue one by one."""
FULL_STEPS = "prompts of half a step and more queue for nearly full steps"
MOST_UTILISATION = 0.6
LEAST_CHUNKS = 0.5
"""Load over capacity, and prompts over tokens of a step, beyond which prompts queue so."""


def doubt(
    shape: LoadShape,
    *,
    max_num_batched_tokens: int,
    preemption: Numeric,
    concurrency_limit: Numeric,
    full_steps: Numeric,
    utilisation: Numeric,
    open_arrivals: bool,
) -> Any:
    """Return why a closed form is outside its validity, empty where it is within.

    Within it, throughput and sequences in flight are those of long simulations to a tenth. Outside
    it only a simulation tells.

    Parameters
    ----------
    shape : LoadShape
        The load.
    max_num_batched_tokens : int
        Most tokens in one step. [tokens]
    preemption : numeric
        Chance that the pool is too small at a random time. [1]
    concurrency_limit : numeric
        Most sequences in flight. [1]
    full_steps : bool or array of bool
        Whether the tokens of steps are what binds.
    utilisation : numeric
        Load over capacity. [1]
    open_arrivals : bool
        Whether requests come whether or not others end.

    Returns
    -------
    str or array of str
        One clause.
    """
    few = np.asarray(concurrency_limit) < FEWEST_SEQUENCES
    counts = few | (rereads_bound(shape) > MOST_REREADS)
    full = (np.asarray(preemption) > MOST_CHANCE) & counts
    chunks = float(shape.new_tokens.mean()) / max_num_batched_tokens
    short = 1 < chunks > shape.decode_steps / LEAST_STEPS_PER_CHUNK
    queued = (np.asarray(full_steps) | open_arrivals) & short
    busy = open_arrivals & (np.asarray(utilisation) > MOST_UTILISATION)
    nearly = busy & (chunks > LEAST_CHUNKS)
    later = np.where(queued, LONG_PROMPTS, np.where(nearly, FULL_STEPS, VALID))
    found = np.where(full, FULL_POOL, later)
    return found if found.ndim else str(found)


__all__ = ["FULL_POOL", "FULL_STEPS", "LONG_PROMPTS", "VALID", "doubt"]
