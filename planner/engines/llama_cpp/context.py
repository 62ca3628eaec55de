"""A context of llama.cpp: how long, how many sequences, and in what the cache is kept."""

from __future__ import annotations

from dataclasses import dataclass

from planner.arrays import Numeric, ceil_div, maximum, minimum
from planner.model import Execution, Model
from planner.model.cache import Cache, StateCache, TokenCache
from planner.model.formats.number_format import FP32

PAD_CELLS = 256
"""Cells of a cache come in such steps. [tokens]"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a context was made with.

    Parameters
    ----------
    sequences : int
        Sequences that may be in flight. [1]
    step_tokens : int
        Tokens that are computed at once, ``n_ubatch``. [tokens]
    unified : bool
        Whether all sequences share one cache, as long as all of them together.
    whole_windows : bool
        Whether layers with a window keep the whole context.
    flash : bool
        Whether attention is fused; its scores are kept otherwise.
    """

    sequences: int = 1
    step_tokens: int = 512
    unified: bool = False
    whole_windows: bool = False
    flash: bool = True

    @property
    def streams(self) -> int:
        """Caches side by side. [1]."""
        return 1 if self.unified else self.sequences

    def cells(self, length: Numeric) -> Numeric:
        """Return the cells of one stream.

        Parameters
        ----------
        length : numeric
            Longest request. [tokens]

        Returns
        -------
        numeric
            In whole steps. [tokens]

        Examples
        --------
        >>> Context(sequences=4, unified=True).cells(4096), Context(sequences=4).cells(4000)
        (16384, 4096)
        """
        whole = length * self.sequences if self.unified else length
        return ceil_div(whole, PAD_CELLS) * PAD_CELLS

    def window_cells(self, window: int, length: Numeric) -> Numeric:
        """Return the cells of one stream of a layer with a window.

        Parameters
        ----------
        window : int
            Tokens that are attended to. [tokens]
        length : numeric
            Longest request. [tokens]

        Returns
        -------
        numeric
            The window of every sequence of the stream and the tokens of a step, in whole steps.
            [tokens]

        References
        ----------
        llama-cpp

        Examples
        --------
        >>> Context(step_tokens=1024).window_cells(128, 131072)
        1280
        """
        cells = self.cells(length)
        if self.whole_windows:
            return cells
        kept = window * (self.sequences if self.unified else 1) + self.step_tokens
        return ceil_div(minimum(cells, kept), PAD_CELLS) * PAD_CELLS

    def cache_cells(self, cache: Cache, length: Numeric) -> Numeric:
        """Return the cells of one stream of a cache; 0 for a state. [tokens]."""
        if isinstance(cache, StateCache):
            return 0
        if isinstance(cache, TokenCache) and cache.window is not None:
            return self.window_cells(cache.window, length)
        return self.cells(length)

    def cache_bytes(
        self, model: Model, execution: Execution, length: Numeric
    ) -> tuple[Numeric, Numeric]:
        """Return the buffers of keys and values, and of recurrent states.

        Parameters
        ----------
        model : Model
            The model.
        execution : Execution
            Gives the formats of keys and values; states are in fp32.
        length : numeric
            Longest request. [tokens]

        Returns
        -------
        tuple of numeric
            Keys and values, states. [bytes]

        References
        ----------
        llama-cpp

        Examples
        --------
        >>> from planner import load_model
        >>> from planner.model.execution import half
        >>> context = Context(sequences=2, step_tokens=1024)
        >>> kept, _ = context.cache_bytes(load_model("gpt-oss-120b"), half(), 131072)
        >>> kept // 2**20
        9306
        """
        kept: Numeric = 0
        states = 0
        for _, cache, count in model.caches:
            if isinstance(cache, StateCache):
                states += count * self.sequences * state_bytes(cache, execution)
            else:
                size = cache.token_bytes(execution, tp=1)
                kept = kept + self.cache_cells(cache, length) * self.streams * count * size
        return kept, states

    def most_cells(self, model: Model, length: Numeric) -> Numeric:
        """Return the cells of one stream of the longest cache. [tokens]."""
        most: Numeric = 0
        for _, cache, _ in model.caches:
            most = maximum(most, self.cache_cells(cache, length))
        return most


def state_bytes(cache: StateCache, execution: Execution) -> int:
    """Return a state of one sequence in fp32. [bytes]."""
    stored = (cache.format or execution.stream).bits
    return cache.sequence_bytes(0, execution, tp=1) * FP32.bits // stored
