"""Step times for a loop that asks for one at a time: the tables of StepTable as plain lists."""

from __future__ import annotations

from bisect import bisect_right

import numpy as np

from planner.serving.step_table import StepTable


class StepLookup:
    """One step's seconds in about a microsecond; the same figures as :class:`StepTable`.

    Parameters
    ----------
    times : StepTable
        The tables.
    max_batch : int
        Most decoding sequences. [1]
    max_step_tokens : int
        Most tokens in one step. [tokens]
    """

    __slots__ = ("_cached", "_context", "_rows", "_times", "attention_s", "weights_s")

    def __init__(self, times: StepTable, *, max_batch: int, max_step_tokens: int) -> None:
        tokens = np.arange(max_step_tokens + max_batch + 1)
        self.weights_s: list[float] = np.asarray(times.weights_time_s(tokens)).tolist()
        self.weights_s[0] = 0.0
        chunks = np.arange(max_step_tokens + 1)
        self.attention_s: list[float] = np.asarray(times.chunk_attention_s(chunks, 0)).tolist()
        self._context: list[float] = times.context.tolist()
        self._rows: dict[int, tuple[list[float], list[float]]] = {}
        self._cached: dict[tuple[int, int], float] = {}
        self._times = times

    def decode_s(self, batch: int, context: float) -> float:
        """Return the seconds of a decode step.

        Parameters
        ----------
        batch : int
            Decoding sequences. [1]
        context : float
            Mean tokens in their caches after the step. [tokens]

        Returns
        -------
        float
            The whole step. [s]
        """
        row = self._rows.get(batch)
        if row is None:
            row = self._rows[batch] = self._row(batch)
        at = bisect_right(self._context, context) - 1
        at = min(at, len(row[1]) - 1)
        return row[0][at] + row[1][at] * (context - self._context[at])

    def _row(self, batch: int) -> tuple[list[float], list[float]]:
        nodes = self._times.context
        values = np.asarray(self._times.decode_time_s(batch, nodes))
        return values.tolist(), (np.diff(values) / np.diff(nodes)).tolist()

    def chunk_s(self, new_tokens: int, cached_tokens: int) -> float:
        """Return what a prompt chunk takes beyond its tokens' way through the weights.

        Parameters
        ----------
        new_tokens : int
            Tokens of the chunk. [tokens]
        cached_tokens : int
            Tokens of its sequence that are cached already. [tokens]

        Returns
        -------
        float
            Attention of the chunk. [s]
        """
        if not cached_tokens:
            return self.attention_s[new_tokens]
        key = (new_tokens, cached_tokens)
        found = self._cached.get(key)
        if found is None:
            found = self._cached[key] = float(
                self._times.chunk_attention_s(new_tokens, cached_tokens)
            )
            if len(self._cached) > 1_000_000:
                self._cached.clear()
        return found


__all__ = ["StepLookup"]
