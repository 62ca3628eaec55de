"""Seconds of any step of continuous batching, from a few steps that a cost function was asked for.

A step is its tokens through the weights plus the attention of each sequence in it. Three tables
hold both parts, and every mixture of prompt chunks and decoding sequences is a sum over them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner.arrays import Numeric
from planner.model import Step

Floats = NDArray[np.float64]
StepCostFunction = Callable[[Step], Numeric]
"""Seconds of a step whose fields may be arrays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTable:
    """Seconds of steps, interpolated between nodes.

    Parameters
    ----------
    tokens : array, shape (tokens,)
        Nodes of ``tokens_s``. [tokens]
    tokens_s : array, shape (tokens,)
        A step of so many tokens without context and with one row of logits. [s]
    batch, context : array
        Nodes of ``decode_s``. [1], [tokens]
    decode_s : array, shape (batch, context)
        A decode step after which each cache holds ``context`` tokens. [s]
    chunk, cached : array
        Nodes of ``attention_s_per_token``. [tokens]
    attention_s_per_token : array, shape (chunk, cached)
        What a prompt chunk takes beyond its tokens' way through the weights, per token. [s/token]
    """

    tokens: Floats
    tokens_s: Floats
    batch: Floats
    context: Floats
    decode_s: Floats
    chunk: Floats
    cached: Floats
    attention_s_per_token: Floats

    def slowed(self, factor: float) -> StepTable:
        """Return the table of a machine whose every step takes longer.

        Parameters
        ----------
        factor : float
            Multiple of all seconds. [1]

        Returns
        -------
        StepTable
            With the same nodes.
        """
        return replace(
            self,
            tokens_s=self.tokens_s * factor,
            decode_s=self.decode_s * factor,
            attention_s_per_token=self.attention_s_per_token * factor,
        )

    def weights_time_s(self, tokens: Numeric) -> Numeric:
        """Return the seconds that tokens take through the weights.

        Parameters
        ----------
        tokens : numeric
            Tokens in the step, of prompts and decoding sequences together. [tokens]

        Returns
        -------
        numeric
            Without attention to cached tokens. [s]
        """
        return np.interp(tokens, self.tokens, self.tokens_s)

    def decode_time_s(self, batch: Numeric, context: Numeric) -> Numeric:
        """Return the seconds of a decode step.

        Parameters
        ----------
        batch : numeric
            Decoding sequences. [1]
        context : numeric
            Mean tokens in their caches. [tokens]

        Returns
        -------
        numeric
            The whole step. [s]
        """
        return _bilinear(self.batch, self.context, self.decode_s, batch, context)

    def chunk_attention_s(self, new_tokens: Numeric, cached_tokens: Numeric) -> Numeric:
        """Return what a prompt chunk takes beyond its tokens' way through the weights.

        Parameters
        ----------
        new_tokens : numeric
            Tokens of the chunk. [tokens]
        cached_tokens : numeric
            Tokens of its sequence that are cached already. [tokens]

        Returns
        -------
        numeric
            Attention of the chunk. [s]
        """
        rate = _bilinear(
            self.chunk, self.cached, self.attention_s_per_token, new_tokens, cached_tokens
        )
        return rate * new_tokens

    def prefill_time_s(self, new_tokens: Numeric, cached_tokens: Numeric = 0) -> Numeric:
        """Return the seconds of a step that reads one prompt chunk and nothing else.

        Parameters
        ----------
        new_tokens : numeric
            Tokens of the chunk. [tokens]
        cached_tokens : numeric
            Tokens of its sequence that are cached already. [tokens]

        Returns
        -------
        numeric
            The whole step. [s]
        """
        return self.weights_time_s(new_tokens) + self.chunk_attention_s(new_tokens, cached_tokens)

    def mixed_time_s(
        self, new_tokens: Numeric, cached_tokens: Numeric, batch: Numeric, context: Numeric
    ) -> Numeric:
        r"""Return the seconds of a step with one prompt chunk and decoding sequences.

        .. math::
            t = G(n + b) + A(n, c) + (D(b, C) - G(b))

        Parameters
        ----------
        new_tokens, cached_tokens : numeric
            The chunk, and what of its sequence is cached. [tokens]
        batch, context : numeric
            Decoding sequences, and mean tokens in their caches. [1], [tokens]

        Returns
        -------
        numeric
            The whole step; the weights are read once. [s]
        """
        return (
            self.weights_time_s(np.add(new_tokens, batch))
            + self.chunk_attention_s(new_tokens, cached_tokens)
            + self.decode_time_s(batch, context)
            - self.weights_time_s(batch)
        )


def _bilinear(rows: Floats, columns: Floats, table: Floats, x: Numeric, y: Numeric) -> Any:
    i, u = _cell(rows, x)
    j, v = _cell(columns, y)
    below = table[i, j] * (1 - v) + table[i, j + 1] * v
    above = table[i + 1, j] * (1 - v) + table[i + 1, j + 1] * v
    return below * (1 - u) + above * u


def _cell(nodes: Floats, value: Numeric) -> tuple[Any, Any]:
    """The cell a value lies in and how far; beyond the last node the last cell goes on."""
    i = np.clip(np.searchsorted(nodes, value, side="right") - 1, 0, nodes.size - 2)
    return i, np.maximum((value - nodes[i]) / (nodes[i + 1] - nodes[i]), 0.0)


def geometric_nodes(most: int, *, per_doubling: int = 2, least: int = 1) -> Floats:
    """Return whole numbers from ``least`` to ``most`` in about equal ratios.

    Parameters
    ----------
    most : int
        Last node. [1]
    per_doubling : int
        Nodes to each doubling. [1]
    least : int
        First node, at least 1. [1]

    Returns
    -------
    array
        At least two nodes. [1]

    Examples
    --------
    >>> geometric_nodes(16).tolist()
    [1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 11.0, 16.0]
    """
    most = max(most, least + 1)
    count = int(np.ceil(np.log2(most / least) * per_doubling)) + 1
    nodes = np.unique(np.rint(np.geomspace(least, most, count)))
    return nodes.astype(np.float64)


def tabulate(
    cost: StepCostFunction,
    *,
    max_batch: int,
    max_step_tokens: int,
    max_context: int,
    per_doubling: int = 2,
) -> StepTable:
    """Ask a cost function for the steps that all others follow from.

    Parameters
    ----------
    cost : callable
        Seconds of a step; one of the band's percentiles, or a floor.
    max_batch : int
        Most decoding sequences. [1]
    max_step_tokens : int
        Most tokens in one step. [tokens]
    max_context : int
        Most tokens in one cache. [tokens]
    per_doubling : int
        Nodes to each doubling. [1]

    Returns
    -------
    StepTable
        Exact at the nodes.

    Examples
    --------
    >>> times = tabulate(
    ...     lambda step: 0.01 + 1e-6 * step.tokens,
    ...     max_batch=8,
    ...     max_step_tokens=64,
    ...     max_context=128,
    ... )
    >>> round(float(times.mixed_time_s(40, 0, 5, 100)), 9)
    0.010045
    """
    tokens = geometric_nodes(max_step_tokens + max_batch, per_doubling=per_doubling)
    batch = geometric_nodes(max_batch, per_doubling=per_doubling)
    context = geometric_nodes(max_context, per_doubling=per_doubling)
    chunk = geometric_nodes(max_step_tokens, per_doubling=per_doubling)
    cached = np.concatenate([[0.0], context])
    tokens_s = _seconds(cost, _tokens_alone(tokens))
    whole = _seconds(cost, Step.prefill(1, chunk[:, np.newaxis], cached[np.newaxis, :]))
    through = np.interp(chunk, tokens, tokens_s)[:, np.newaxis]
    return StepTable(
        tokens=tokens,
        tokens_s=tokens_s,
        batch=batch,
        context=context,
        decode_s=_seconds(cost, Step.decode(batch[:, np.newaxis], context[np.newaxis, :])),
        chunk=chunk,
        cached=cached,
        attention_s_per_token=np.maximum(whole - through, 0.0) / chunk[:, np.newaxis],
    )


def _tokens_alone(tokens: Floats) -> Step:
    """Tokens that attend to nothing but themselves, with one row of logits among them."""
    return Step(
        batch=tokens, new_tokens=1, cached_tokens=0, phase="decode", logit_rows=1.0 / tokens
    )


def _seconds(cost: StepCostFunction, step: Step) -> Floats:
    shape = np.broadcast_shapes(
        *(np.shape(field) for field in (step.batch, step.new_tokens, step.cached_tokens))
    )
    return np.array(np.broadcast_to(np.asarray(cost(step), dtype=np.float64), shape))


__all__ = ["StepCostFunction", "StepTable", "geometric_nodes", "tabulate"]
