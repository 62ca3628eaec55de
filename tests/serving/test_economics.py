"""Costs by hand."""

from __future__ import annotations

import pytest

from planner.errors import ScenarioError
from planner.serving.economics import (
    Ownership,
    Price,
    energy,
    forecast,
    months_until,
    owned_against_rented,
    token_cost,
)


def test_the_parts_of_a_tokens_cost_add_up_to_the_fleet() -> None:
    cost = token_cost(
        usd_per_h=36, input_tokens_per_s=5000, output_tokens_per_s=1000, prefill_fraction=0.3
    )
    hourly = (cost.usd_per_input_mtok * 5000 * 3600 + cost.usd_per_output_mtok * 1000 * 3600) / 1e6
    assert hourly == pytest.approx(36)
    assert cost.usd_per_mtok == pytest.approx(10)


def test_an_owned_device_by_the_hour() -> None:
    own = Ownership(
        device_usd=35_064, years=4, usd_per_kwh=0.2, upkeep_fraction=0.1, resale_fraction=0.2
    )
    # 28,051.2 over four years and 3,506.4 a year are 1.2 USD/h; a kilowatt adds 0.2.
    assert own.usd_per_h(1000) == pytest.approx(1.4)


def test_owning_never_pays_where_energy_costs_more_than_rent() -> None:
    own = Ownership(device_usd=10_000, years=3, usd_per_kwh=3.0)
    found = owned_against_rented(
        ownership=own, rent=Price(usd_per_h=1.0), devices=2, device_power_w=700
    )
    assert found.break_even_years is None
    assert found.owned_usd > found.rented_usd == pytest.approx(2 * 3 * 8766)


def test_growth_to_the_next_purchase() -> None:
    months = forecast(
        rate_per_s=10,
        growth_per_month=0.1,
        months=12,
        replica_rate_per_s=5,
        replica_devices=4,
    )
    assert months[0].replicas == 2
    assert months[1].replicas == 3
    assert months[12].devices == 4 * 7
    assert months_until(load=10, capacity=10, growth_per_month=0.1) == 1
    assert months_until(load=11, capacity=10, growth_per_month=0.1) == 0
    assert months_until(load=10, capacity=11, growth_per_month=0.0) is None


def test_what_cannot_be_is_an_error() -> None:
    with pytest.raises(ScenarioError):
        Price(usd_per_h=-1)
    with pytest.raises(ScenarioError):
        energy(device_power_w=700, devices=1, output_tokens_per_s=1, pue=0.5)
    with pytest.raises(ScenarioError):
        token_cost(usd_per_h=1, input_tokens_per_s=0, output_tokens_per_s=1, prefill_fraction=0.5)
