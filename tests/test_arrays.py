import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from planner.arrays import ceil_div, maximum, minimum


@given(st.integers(-(10**30), 10**30), st.integers(-(10**30), 10**30))
def test_integers_of_any_size_stay_exact(a: int, b: int) -> None:
    assert minimum(a, b) == min(a, b)
    assert maximum(a, b) == max(a, b)
    assert isinstance(minimum(a, b), int)


@given(st.integers(0, 10**30), st.integers(1, 10**9))
def test_division_rounds_up(a: int, b: int) -> None:
    assert (ceil_div(a, b) - 1) * b < a <= ceil_div(a, b) * b


def test_arrays_broadcast() -> None:
    grid = minimum(np.array([[1.0], [5.0]]), np.array([2.0, 9.0]))
    assert grid.tolist() == [[1, 1], [2, 5]]
    assert maximum(3, np.array([1, 9])).tolist() == [3, 9]
    assert ceil_div(np.array([7.0, 8.0]), 4).tolist() == [2, 2]
