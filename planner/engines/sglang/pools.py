"""SGLang's pools: tokens of layers that see everything, tokens of windows, slots of states."""

from __future__ import annotations

from dataclasses import dataclass

from planner.arrays import Numeric, ceil_div, maximum, minimum
from planner.model import Execution, Model
from planner.model.cache import StateCache, TokenCache


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """What a token and a state take on a rank.

    Parameters
    ----------
    full_bytes : int or float
        A token in all layers that keep every token. [bytes]
    window_bytes : int
        A token in all layers with a window. [bytes]
    window : int
        The widest window; 0 without one. [tokens]
    state_bytes : int
        The states of one sequence. [bytes]
    """

    full_bytes: Numeric
    window_bytes: Numeric
    window: int
    state_bytes: int

    @classmethod
    def of(cls, model: Model, execution: Execution) -> Cells:
        """Return the cells of a model.

        Parameters
        ----------
        model : Model
            The model, or the pipeline stage of a rank.
        execution : Execution
            Formats and layout.

        Returns
        -------
        Cells
            Sums over its caches.

        Raises
        ------
        LayoutError
            The ranks do not divide the heads.
        """
        full: Numeric = 0
        windowed: Numeric = 0
        state, window = 0, 0
        tp = execution.layout.tp
        for _, cache, count in model.caches:
            if isinstance(cache, StateCache):
                state += count * cache.sequence_bytes(0, execution, tp=tp)
            elif isinstance(cache, TokenCache) and cache.window is not None:
                windowed += count * cache.token_bytes(execution, tp=tp)
                window = max(window, cache.window)
            else:
                full += count * cache.token_bytes(execution, tp=tp)
        return cls(full_bytes=full, window_bytes=windowed, window=window, state_bytes=state)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """How the room is dealt out before anyone asks for it.

    Parameters
    ----------
    cells : Cells
        What a token and a state take.
    page_tokens : int
        Tokens of a page. [tokens]
    window_ratio : float
        Tokens of windows for each token of full layers, ``swa_full_tokens_ratio``. [1]
    state_ratio : float
        Bytes of states for each byte of keys and values, ``mamba_full_memory_ratio``. [1]
    slots : int
        States that one request may hold, those kept for its prefix included. [1]
    """

    cells: Cells
    page_tokens: int
    window_ratio: float
    state_ratio: float
    slots: int

    @property
    def token_bytes(self) -> Numeric:
        """A token of the full layers and its share of the windows' tokens. [bytes]."""
        cells = self.cells
        if not cells.window_bytes:
            return cells.full_bytes
        if not cells.full_bytes:
            return cells.window_bytes
        return cells.full_bytes + self.window_ratio * cells.window_bytes

    @property
    def _token_share(self) -> float:
        """Share of the room for keys and values. [1]."""
        if not self.cells.state_bytes:
            return 1.0
        return 1 / (1 + self.state_ratio) if self.token_bytes else 0.0

    def tokens(self, room_bytes: int) -> int:
        """Return the tokens of the full layers, whole pages.

        Parameters
        ----------
        room_bytes : int
            The room. [bytes]

        Returns
        -------
        int
            ``max_total_num_tokens``. [tokens]
        """
        if not self.token_bytes:
            return 0
        tokens = int(room_bytes * self._token_share / self.token_bytes)
        return tokens // self.page_tokens * self.page_tokens

    def need_bytes(self, length: Numeric, sequences: Numeric) -> Numeric:
        """Return the room that sequences of a length ask for, whichever pool is the tightest.

        Parameters
        ----------
        length : numeric
            Tokens of each. [tokens]
        sequences : numeric
            How many. [1]

        Returns
        -------
        numeric
            As much of the whole room as the tightest pool is of its own share. [bytes]
        """
        cells, page = self.cells, self.page_tokens
        need: Numeric = 0
        if self.token_bytes:
            kept = ceil_div(length, page) * page * sequences
            room = kept * self.token_bytes if cells.full_bytes else 0
            if cells.window_bytes:
                own = ceil_div(minimum(length, cells.window), page) * page * sequences
                ratio = self.window_ratio if cells.full_bytes else 1.0
                room = maximum(room, own * self.token_bytes / ratio)
            need = room / self._token_share
        if cells.state_bytes:
            states = sequences * self.slots * cells.state_bytes
            need = maximum(need, states / (1 - self._token_share))
        return need
