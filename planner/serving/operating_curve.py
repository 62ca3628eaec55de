r"""How fast a replica is at each batch: the closed form of continuous batching.

With ``B`` sequences decoding, a request of ``O`` output tokens needs ``O - 1`` shares of decode
steps and its prompt's part of the steps that carry it, so a replica that is never idle completes

.. math::
    \lambda(B) = \left[ (O - 1) \frac{D(B)}{B} + S(B) \right]^{-1},
    \qquad \mathrm{TPOT}(B) = \frac{B}{\lambda(B) (O - 1)}

requests a second. ``D`` is a decode step at the mean resident context, ``S`` what a prompt adds to
the steps that carry it. Every figure of a replica is read off this curve.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from planner.arrays import Numeric
from planner.serving.load_shape import LoadShape
from planner.serving.step_table import StepTable

Floats = NDArray[np.float64]
LEAST_BATCH = 1e-3
_ROUNDS = 4
Arriving = Literal["apart", "together", "open"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatingCurve:
    """A replica at each mean batch; every array has shape (nodes,).

    Parameters
    ----------
    batch : array
        Decoding sequences, ascending. [1]
    rate_per_s : array
        Requests completed, ascending. [1/s]
    tpot_s : array
        Time per output token after the first, prompts in between included. [s]
    reading_s : array
        From the start of a prompt to its first token. [s]
    step_s : array
        Mean step. [s]
    backlog_s : array
        Until the prompts that came before are read. [s]
    """

    batch: Floats
    rate_per_s: Floats
    tpot_s: Floats
    reading_s: Floats
    step_s: Floats
    backlog_s: Floats

    @property
    def in_flight(self) -> Floats:
        """Sequences decoding or being read. [1]."""
        return self.batch + self.rate_per_s * self.reading_s

    def batch_at_rate(self, rate_per_s: Numeric) -> Numeric:
        """Return the batch at which so many requests are completed; the last where none is enough.

        Parameters
        ----------
        rate_per_s : numeric
            Requests per second. [1/s]

        Returns
        -------
        numeric
            Mean decoding sequences. [1]
        """
        return np.interp(rate_per_s, self.rate_per_s, self.batch, left=0.0)

    def batch_in_flight(self, in_flight: Numeric) -> Numeric:
        """Return the batch that decodes while so many sequences are in flight.

        Parameters
        ----------
        in_flight : numeric
            Sequences decoding or being read. [1]

        Returns
        -------
        numeric
            Mean decoding sequences. [1]
        """
        return np.interp(in_flight, self.in_flight, self.batch)

    def at(self, field: str, batch: Numeric) -> Numeric:
        """Return a figure at a batch.

        Parameters
        ----------
        field : str
            Name of an array of the curve.
        batch : numeric
            Mean decoding sequences. [1]

        Returns
        -------
        numeric
            In the field's unit.
        """
        return np.interp(batch, self.batch, getattr(self, field))


def operating_curve(
    times: StepTable,
    shape: LoadShape,
    *,
    max_num_batched_tokens: int,
    max_batch: int,
    arrivals: Arriving = "apart",
    rereads: float = 0.0,
) -> OperatingCurve:
    """Return the curve of a replica.

    Parameters
    ----------
    times : StepTable
        Seconds of steps.
    shape : LoadShape
        What it is asked.
    max_num_batched_tokens : int
        Most tokens in one step. [tokens]
    max_batch : int
        Last node of the curve. [1]
    arrivals : {"apart", "together", "open"}
        How requests come: as others end at different times, all at once again and again, or
        whether or not others end. Under open arrivals the batch is the mean of a Poisson number:
        a request sees one sequence more than the mean, itself, and the prompts that came while its
        own was read.
    rereads : float
        How often a prompt is read again because its sequence was put back. [1]

    Returns
    -------
    OperatingCurve
        The prompt's part is iterated with the number of prompts that share a step.
    """
    batch = np.unique(np.concatenate([np.geomspace(LEAST_BATCH, 1, 7), _whole(max_batch)]))
    seen = batch + 1 if arrivals == "open" else np.maximum(batch, 1.0)
    decode_s = np.asarray(times.decode_time_s(seen, shape.resident_tokens))
    steps = max(shape.decode_steps, 1e-9)
    most_sharing = max(max_num_batched_tokens / float(shape.new_tokens.mean()), 1.0)
    sharing = np.clip(batch if arrivals == "together" else 1.0, 1.0, most_sharing) + 0 * batch
    chunks = float(np.maximum(shape.new_tokens / max_num_batched_tokens, 1.0).mean())
    weights_s = np.asarray(times.weights_time_s(np.add(seen, max_num_batched_tokens)))
    full_s = weights_s + decode_s - np.asarray(times.weights_time_s(seen))
    ahead_s = 0 * batch
    for _ in range(_ROUNDS):
        prompt_s = _prompt_s(times, shape, seen, sharing, max_num_batched_tokens)
        reading_s = sharing * prompt_s + chunks * decode_s
        work_s = steps * decode_s / batch + (1 + rereads) * prompt_s
        met = ahead_s * prompt_s / batch if arrivals == "open" else 0 * batch
        rate = 2 / (work_s + np.sqrt(work_s**2 + 4 * met))
        rate = np.maximum(rate, np.minimum(1 / work_s, batch / (steps * full_s)))
        ahead_s = reading_s + _backlog_s(shape, rate, full_s, max_num_batched_tokens)
        step_s = batch / (rate * steps)
        if arrivals != "together":
            sharing = np.clip(_together(rate * step_s), 1.0, most_sharing)
    rate = np.maximum.accumulate(rate)
    return OperatingCurve(
        batch=batch,
        rate_per_s=rate,
        tpot_s=batch / (rate * steps),
        reading_s=reading_s,
        step_s=step_s,
        backlog_s=_backlog_s(shape, rate, full_s, max_num_batched_tokens),
    )


def _whole(most: int) -> Floats:
    return np.unique(np.rint(np.geomspace(1, max(most, 2), 48)))


def _prompt_s(
    times: StepTable, shape: LoadShape, seen: Floats, sharing: Floats, most: int
) -> Floats:
    """What a prompt adds to the steps that carry it, mean over prompts. [s]."""
    new = shape.new_tokens[np.newaxis, :]
    chunk = np.minimum(new, most)
    cached = shape.cached_tokens[np.newaxis, :] + (new - chunk) / 2
    together = np.minimum(chunk * sharing[:, np.newaxis], most)
    held = seen[:, np.newaxis]
    more = np.asarray(times.weights_time_s(together + held) - times.weights_time_s(held))
    weights_s = more * new / together
    attention_s = np.asarray(times.chunk_attention_s(chunk, cached)) * new / chunk
    return np.asarray((weights_s + attention_s).mean(axis=1))


def _backlog_s(shape: LoadShape, rate: Floats, full_s: Floats, most: int) -> Floats:
    """M/G/1 wait of prompts for the tokens of steps: a prompt is its share of a full step. [s]."""
    parts = shape.new_tokens / most
    load = np.minimum(rate * float(parts.mean()) * full_s, 0.98)
    residual_s = float((parts**2).mean() / (2 * parts.mean())) * full_s
    return np.asarray(load / (1 - load) * residual_s)


def between(one: OperatingCurve, other: OperatingCurve) -> OperatingCurve:
    """Return the mean of two curves over the same batches.

    Parameters
    ----------
    one, other : OperatingCurve
        The bounds.

    Returns
    -------
    OperatingCurve
        Rates and times halfway.
    """
    fields = ("batch", "rate_per_s", "tpot_s", "reading_s", "step_s", "backlog_s")
    return OperatingCurve(
        **{name: (getattr(one, name) + getattr(other, name)) / 2 for name in fields}
    )


def _together(per_step: Floats) -> Floats:
    """Prompts in a step that carries any, where they come at random. [1]."""
    return np.asarray(per_step / -np.expm1(-np.maximum(per_step, 1e-12)))


__all__ = ["Arriving", "OperatingCurve", "between", "operating_curve"]
