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
MOST_REREADS = 0.25
"""Times per request that a sequence may be put back without moving rates by a tenth."""
LEAST_STEPS_PER_CHUNK = 10.0
"""Decode steps of a request for each chunk of a prompt, below which prompts queue one by one."""


def doubt(
    shape: LoadShape,
    *,
    max_num_batched_tokens: int,
    preemption: Numeric,
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
    open_arrivals : bool
        Whether requests come whether or not others end.

    Returns
    -------
    str or array of str
        One clause.
    """
    full = (np.asarray(preemption) > MOST_CHANCE) & (rereads_bound(shape) > MOST_REREADS)
    chunks = float(shape.new_tokens.mean()) / max_num_batched_tokens
    queued = open_arrivals and shape.decode_steps < LEAST_STEPS_PER_CHUNK * chunks
    # A prompt of less than one step waits for nobody's chunks.
    found = np.where(full, FULL_POOL, LONG_PROMPTS if queued and chunks > 1 else VALID)
    return found if found.ndim else str(found)


__all__ = ["FULL_POOL", "LONG_PROMPTS", "VALID", "doubt"]
