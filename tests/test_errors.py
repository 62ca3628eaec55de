import pytest

from planner.errors import PlannerError, UnknownNameError, shown


def test_an_error_says_what_where_got_allowed_and_fix() -> None:
    error = PlannerError("out of range", where="--tp", got=7, allowed="1, 2, 4", fix="Choose one.")
    assert str(error) == "--tp: out of range; got 7; allowed: 1, 2, 4. Choose one."


def test_none_that_was_given_is_shown() -> None:
    assert "got None" in str(PlannerError("missing", got=None))
    assert "got" not in str(PlannerError("missing"))


@pytest.mark.parametrize(
    "value", ["x" * 10_000, [[["deep"] * 50] * 50], 10**5000], ids=["long", "nested", "huge"]
)
def test_shown_values_are_short(value: object) -> None:
    assert len(shown(value)) <= 120


def test_unknown_names_offer_the_nearest() -> None:
    message = str(UnknownNameError("device", "H100-SMX", ["h100-sxm", "a100-sxm-80gb", "l4"]))
    assert "nearest: h100-sxm" in message


def test_unknown_names_far_from_all_list_some() -> None:
    message = str(UnknownNameError("device", "zzz", [f"id-{i}" for i in range(30)]))
    assert "and 18 more" in message
