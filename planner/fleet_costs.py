"""What a fleet costs by the hour and over years, what it draws, and when the next one is bought."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from planner.service import Service
from planner.serving.capacity import ReplicaCapacity
from planner.serving.economics import (
    HOURS_PER_YEAR,
    Ownership,
    Price,
    energy,
    forecast,
    months_until,
    owned_against_rented,
    token_cost,
)
from planner.serving.search import Deployable
from planner.serving.terms import Terms


def economics(service: Service, place: int, terms: Terms) -> dict[str, Any]:
    """Return what one candidate costs and draws.

    Parameters
    ----------
    service : Service
        Candidates in closed form.
    place : int
        Which of them.
    terms : Terms
        Of the site.

    Returns
    -------
    dict
        Only what prices, purchases and power are known for.
    """
    deployable = service.settings_of(place)[0]
    devices = int(service.candidates.devices[place])
    shape, rate = service.shape, service.rate_per_s
    output = rate * shape.output_tokens
    usd_per_h = float(service.candidates.cost[place]) if service.search.priced else None
    found: dict[str, Any] = {"usd_per_h": usd_per_h, "pue": terms.pue}
    if usd_per_h is not None:
        cost = token_cost(
            usd_per_h=usd_per_h,
            input_tokens_per_s=rate * shape.prompt_tokens,
            output_tokens_per_s=output,
            prefill_fraction=_prefill_fraction(service, place),
        )
        found |= asdict(cost)
    if deployable.device_power_w is not None:
        drawn = energy(
            device_power_w=deployable.device_power_w,
            devices=devices,
            output_tokens_per_s=output,
            pue=terms.pue,
        )
        found |= asdict(drawn)
    ownership = terms.ownership(deployable.labels["device"])
    if ownership is not None:
        found["owned"] = _owned(ownership, deployable, devices, terms.pue)
    return found


def _owned(
    ownership: Ownership, deployable: Deployable, devices: int, pue: float
) -> dict[str, Any]:
    """Owned by the hour and year by year, beside rented where a price of the hour is known."""
    power_w = (deployable.device_power_w or 0.0) * pue
    running = power_w / 1e3 * ownership.usd_per_kwh * HOURS_PER_YEAR
    running += ownership.device_usd * ownership.upkeep_fraction
    rent = deployable.usd_per_device_h
    compared = None
    if rent is not None:
        compared = owned_against_rented(
            ownership=ownership,
            rent=Price(usd_per_h=rent),
            devices=devices,
            device_power_w=power_w,
        )
    return {
        "purchase_usd": devices * ownership.device_usd,
        "usd_per_h": devices * ownership.usd_per_h(power_w),
        "years": ownership.years,
        "usd_per_kwh": ownership.usd_per_kwh,
        "owned_usd": devices * ownership.usd_per_h(power_w) * ownership.years * HOURS_PER_YEAR,
        "rented_usd": None if compared is None else compared.rented_usd,
        "break_even_years": None if compared is None else compared.break_even_years,
        "spent_by_year": [
            {
                "year": year,
                "owned_usd": devices * (ownership.device_usd + running * year),
                "rented_usd": None if rent is None else devices * rent * year * HOURS_PER_YEAR,
            }
            for year in range(1, int(np.ceil(ownership.years)) + 1)
        ],
    }


def growth(service: Service, place: int, terms: Terms) -> dict[str, Any] | None:
    """Return the fleet month by month under growth, and when the next devices are bought.

    Parameters
    ----------
    service : Service
        Candidates in closed form.
    place : int
        Which of them is bought now.
    terms : Terms
        With the growth.

    Returns
    -------
    dict or None
        None where no growth is given.
    """
    if terms.growth_per_month is None:
        return None
    candidates = service.candidates
    deployable, _, replicas = service.settings_of(place)
    headroom = service.question.objectives.most_utilisation
    bears = service.rate_per_s / replicas / float(candidates.utilisation[place]) * headroom
    group = deployable.group
    months = forecast(
        rate_per_s=service.rate_per_s,
        growth_per_month=terms.growth_per_month,
        months=terms.months,
        replica_rate_per_s=bears * group,
        replica_devices=deployable.devices * group,
    )
    devices = int(candidates.devices[place])
    purchase = months_until(
        load=service.rate_per_s,
        capacity=bears * replicas,
        growth_per_month=terms.growth_per_month,
    )
    return {
        "per_month_fraction": terms.growth_per_month,
        "next_purchase_month": purchase,
        "months": [
            {"month": m.month, "rate_per_s": m.rate_per_s, "devices": max(m.devices, devices)}
            for m in months
        ],
    }


def _prefill_fraction(service: Service, place: int) -> float:
    """Share of the time in which tokens are made that prompts take."""
    deployable, settings, _ = service.settings_of(place)
    curve = ReplicaCapacity.of(deployable.times, service.shape, settings).held
    flight = float(service.candidates.concurrency[place])
    batch = max(float(curve.batch_in_flight(flight)), 1.0)
    decode_s = deployable.times.decode_time_s(batch, service.shape.resident_tokens)
    decoding = service.shape.decode_steps * decode_s / batch
    return float(np.clip(1 - curve.at("rate_per_s", batch) * decoding, 0.0, 1.0))


__all__ = ["economics", "growth"]
