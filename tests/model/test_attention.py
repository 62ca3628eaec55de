"""Closed forms of masked attention against counting one pair at a time."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from planner.model import Step
from planner.model.execution import half
from planner.model.mixers.attention import Attention, causal_pairs, visible_keys

few = st.integers(min_value=0, max_value=60)
some = st.integers(min_value=1, max_value=60)
windows = st.one_of(st.none(), st.integers(min_value=1, max_value=80))


def admitted(new_tokens: int, cached_tokens: int, window: int | None) -> list[range]:
    """The keys that each new query may see."""
    reach = 10**9 if window is None else window
    places = range(cached_tokens, cached_tokens + new_tokens)
    return [range(max(0, place - reach + 1), place + 1) for place in places]


@given(some, few, windows)
def test_pairs_are_those_of_the_mask(
    new_tokens: int, cached_tokens: int, window: int | None
) -> None:
    counted = sum(len(keys) for keys in admitted(new_tokens, cached_tokens, window))
    assert causal_pairs(new_tokens, cached_tokens, window) == counted


@given(some, few, windows)
def test_visible_keys_are_those_that_any_query_sees(
    new_tokens: int, cached_tokens: int, window: int | None
) -> None:
    seen = set().union(*admitted(new_tokens, cached_tokens, window))
    assert visible_keys(new_tokens, cached_tokens, window) == len(seen)


@given(some, few, windows)
def test_a_grid_is_its_points(new_tokens: int, cached_tokens: int, window: int | None) -> None:
    grid = causal_pairs(np.array([new_tokens, 1]), np.array([cached_tokens, 7]), window)
    assert grid.tolist() == [
        causal_pairs(new_tokens, cached_tokens, window),
        causal_pairs(1, 7, window),
    ]


@given(some, st.integers(min_value=1, max_value=60))
def test_a_prompt_in_two_parts_costs_the_pairs_of_one(first: int, second: int) -> None:
    for window in (None, 16):
        parts = causal_pairs(first, 0, window) + causal_pairs(second, first, window)
        assert parts == causal_pairs(first + second, 0, window)


@given(some, few)
def test_a_window_as_long_as_the_context_is_none(new_tokens: int, cached_tokens: int) -> None:
    length = new_tokens + cached_tokens
    assert causal_pairs(new_tokens, cached_tokens, length) == causal_pairs(
        new_tokens, cached_tokens, None
    )


def test_kv_heads_equal_to_query_heads_are_mha() -> None:
    gqa = Attention(hidden=64, query_heads=8, kv_heads=2, head_dim=8)
    mha = Attention(hidden=64, query_heads=8, kv_heads=8, head_dim=8)
    mqa = Attention(hidden=64, query_heads=8, kv_heads=1, head_dim=8, window=4)
    assert [part.variant for part in (gqa, mha, mqa)] == ["GQA", "MHA", "SWA MQA"]
    step = Step.decode(3, 100)

    def flop(part: Attention) -> float:
        return sum(op.flop for op in part.operations(step, half()) if "attention" in op.kind)

    assert flop(gqa) == flop(mha) == 4 * 3 * 100 * 64


def test_only_the_rotated_part_of_a_head_is_moved() -> None:
    whole = Attention(hidden=64, query_heads=8, kv_heads=8, head_dim=8)
    part = Attention(hidden=64, query_heads=8, kv_heads=8, head_dim=8, rotary_dim=4)
    step = Step.decode(1, 1)

    def moved(attention: Attention) -> float:
        (rotary,) = (op for op in attention.operations(step, half()) if op.name.endswith("rotary"))
        return rotary.read_bytes

    assert 2 * moved(part) == moved(whole)
