import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.errors import ScenarioError, SpecError
from planner.units import FACTORS, format_bytes, format_seconds, parse_count, to_base


@pytest.mark.parametrize(
    ("text", "value"),
    [("32K", 32768), ("32k", 32000), ("1.5k", 1500), ("1M", 2**20), ("131_072", 131072), (7, 7)],
)
def test_counts_are_read_as_engines_do(text: object, value: int) -> None:
    assert parse_count(text, where="--context") == value


@pytest.mark.parametrize(
    "text",
    ["-5", "0", "nan", "inf", "1e30", "9" * 400, "", "32Q", "1.0001k", "0x10", True, None, "٣"],
)
def test_bad_counts_are_one_paragraph_that_names_the_flag(text: object) -> None:
    with pytest.raises(ScenarioError) as caught:
        parse_count(text, where="--context")
    message = str(caught.value)
    assert "--context" in message
    assert "\n" not in message
    assert len(message) < 400


@given(st.integers(1, 2**31))
def test_plain_numbers_round_trip(number: int) -> None:
    assert parse_count(str(number), where="x") == number


@pytest.mark.parametrize("unit", list(FACTORS))
def test_units_convert_by_their_factor(unit: str) -> None:
    dimension, factor = FACTORS[unit]
    assert math.isclose(to_base(3, unit, dimension), 3 * factor)


def test_a_unit_of_another_dimension_is_refused() -> None:
    with pytest.raises(SpecError, match="GB/s"):
        to_base(80, "GB", "bytes_per_s")


@given(st.floats(1, 1e18))
def test_printed_bytes_are_within_rounding(value: float) -> None:
    number, unit = format_bytes(value).replace(",", "").split()
    factor = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}[unit]
    tolerance = 0.5 if unit == "B" else 0.0051 * factor
    assert abs(float(number) * factor - value) <= tolerance


@given(st.floats(1e-9, 100))
def test_printed_seconds_are_within_rounding(value: float) -> None:
    number, unit = format_seconds(value).split()
    factor = {"s": 1, "ms": 1e-3, "µs": 1e-6, "ns": 1e-9}[unit]
    assert math.isclose(float(number) * factor, value, rel_tol=0.0051)
