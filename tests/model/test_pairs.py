"""Pairs of queries and keys: closed forms against counting one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.model import Step
from planner.model.execution import half
from planner.model.mixers.attention import Attention
from planner.model.mixers.pairs import causal_pairs, chunked_pairs, mutual_pairs, visible_keys

lengths = st.integers(min_value=0, max_value=60)
widths = st.integers(min_value=1, max_value=70)
sinks = st.integers(min_value=0, max_value=6)


def attended(
    new: int, cached: int, *, window: int | None, chunk: int | None = None, first: int = 0
) -> list[list[int]]:
    """Keys that each new query sees, counted from the masks' definitions."""
    rows = []
    for position in range(cached, cached + new):
        keys = list(range(position + 1))
        if chunk is not None:
            keys = [key for key in keys if key // chunk == position // chunk]
        if window is not None:
            reach = window + first
            keys = keys if len(keys) <= reach else [*keys[:first], *keys[-window:]]
        rows.append(keys)
    return rows


@given(new=lengths, cached=lengths, window=st.none() | widths)
def test_causal_pairs(new: int, cached: int, window: int | None) -> None:
    rows = attended(new, cached, window=window)
    assert causal_pairs(new, cached, window) == sum(map(len, rows))


@given(new=lengths, cached=lengths, window=widths, first=sinks)
def test_first_tokens_beside_a_window(new: int, cached: int, window: int, first: int) -> None:
    rows = attended(new, cached, window=window, first=first)
    part = Attention(
        hidden=8, query_heads=1, kv_heads=1, head_dim=8, window=window, sink_tokens=first
    )
    assert causal_pairs(new, cached, part.reach) == sum(map(len, rows))
    kept = part.caches()[0].tokens(cached)
    assert kept == min(cached, window + first)


@given(new=lengths, cached=lengths, chunk=widths)
def test_chunked_pairs(new: int, cached: int, chunk: int) -> None:
    rows = attended(new, cached, window=None, chunk=chunk)
    assert chunked_pairs(new, cached, chunk) == sum(map(len, rows))


@given(tokens=lengths, window=st.none() | widths)
def test_mutual_pairs(tokens: int, window: int | None) -> None:
    reach = tokens if window is None else window
    pairs = sum(abs(i - j) < reach for i in range(tokens) for j in range(tokens))
    assert mutual_pairs(tokens, window) == pairs


@given(tokens=lengths, chunk=widths)
def test_mutual_pairs_within_chunks(tokens: int, chunk: int) -> None:
    pairs = sum(i // chunk == j // chunk for i in range(tokens) for j in range(tokens))
    assert mutual_pairs(tokens, chunk=chunk) == pairs


@given(new=st.integers(min_value=1, max_value=60), cached=lengths, window=st.none() | widths)
def test_visible_keys(new: int, cached: int, window: int | None) -> None:
    rows = attended(new, cached, window=window)
    assert visible_keys(new, cached, window) == len({key for row in rows for key in row})


@given(new=st.integers(min_value=1, max_value=60), cached=lengths, chunk=widths)
def test_visible_keys_of_chunks(new: int, cached: int, chunk: int) -> None:
    rows = attended(new, cached, window=None, chunk=chunk)
    seen = len({key for row in rows for key in row})
    assert visible_keys(new, cached, None, chunk) == seen


@pytest.mark.parametrize(
    "part",
    [
        Attention(hidden=64, query_heads=8, kv_heads=2, head_dim=8),
        Attention(hidden=64, query_heads=8, kv_heads=2, head_dim=8, window=5, sink_tokens=2),
        Attention(hidden=64, query_heads=8, kv_heads=2, head_dim=8, chunk=7),
        Attention(hidden=64, query_heads=8, kv_heads=8, head_dim=8, causal=False, window=4),
    ],
    ids=["full", "window", "chunk", "both ways"],
)
def test_a_grid_gives_what_its_points_give(part: Attention) -> None:
    contexts = np.array([1, 4, 6, 7, 8, 13, 14, 40])
    grid = part.operations(Step.prefill(3, contexts), half())
    decode = part.operations(Step.decode(3, contexts), half())
    for index, context in enumerate(contexts.tolist()):
        for operations, step in (
            (grid, Step.prefill(3, context)),
            (decode, Step.decode(3, context)),
        ):
            for many, one in zip(operations, part.operations(step, half()), strict=True):
                assert np.broadcast_to(many.flop, contexts.shape)[index] == one.flop
                assert np.broadcast_to(many.read_bytes, contexts.shape)[index] == one.read_bytes


@given(
    window=st.none() | widths,
    chunk=st.none() | widths,
    split=st.lists(st.integers(min_value=1, max_value=20), min_size=1, max_size=5),
)
def test_a_prompt_in_pieces_has_the_pairs_of_the_whole(
    window: int | None, chunk: int | None, split: list[int]
) -> None:
    part = Attention(hidden=8, query_heads=1, kv_heads=1, head_dim=8, window=window, chunk=chunk)
    names = {op.name: op for op in part.operations(Step.prefill(1, sum(split)), half())}
    whole = names["self_attn.attention"].flop
    done, pieces = 0, 0.0
    for piece in split:
        step = Step.prefill(1, piece, done)
        names = {op.name: op for op in part.operations(step, half())}
        pieces += names["self_attn.attention"].flop
        done += piece
    assert pieces == whole
