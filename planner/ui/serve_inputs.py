"""Inputs of the pages about services, and the question they make."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import streamlit as st

from planner.errors import ScenarioError
from planner.fleet import Fleet
from planner.service import Service, ServiceQuestion
from planner.serving.arrivals import Poisson
from planner.serving.economics import Price
from planner.serving.lengths import Exponential
from planner.serving.objectives import Objectives
from planner.serving.presets import load_preset, presets
from planner.serving.terms import Terms
from planner.serving.workload import Workload
from planner.ui import loaded
from planner.ui.fields import MOST_CHARACTERS, UPLOADED
from planner.ui.state import first_word
from planner.units import parse_count

OWN = "own lengths"
MOST_CHOICES = 4
SIMULATED_REQUESTS = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What the inputs say, as text: a key for caches, and for links.

    Parameters
    ----------
    workload, isl, osl, rate, ttft_ms, tpot_ms, price, pue : str
        As typed.
    buy, kwh, years, growth : str
        Purchase of each device, energy price, years of a purchase and growth in per cent, as typed.
    """

    workload: str
    isl: str
    osl: str
    rate: str
    ttft_ms: str
    tpot_ms: str
    price: str = ""
    pue: str = ""
    buy: str = ""
    kwh: str = ""
    years: str = ""
    growth: str = ""


def ask_load() -> Load:
    """Draw the inputs of a load and its objectives.

    Returns
    -------
    Load
        As typed.
    """
    row = st.container(horizontal=True, vertical_alignment="bottom")
    workload = row.selectbox(
        "Workload",
        [*presets(), OWN],
        key="load",
        bind="query-params",
        width=190,
        help="Lengths and shared beginnings with their sources; or give your own means.",
    )
    own = workload == OWN
    return Load(
        workload=str(workload),
        isl=_text(row, "Mean prompt", "lp", "1000", "Tokens.") if own else "",
        osl=_text(row, "Mean output", "lo", "200", "Tokens, exponential.") if own else "",
        rate=_text(row, "Requests per second", "rps", "20", "At peak, over the whole fleet."),
        ttft_ms=_text(row, "TTFT [ms]", "ttft", "1000", "Most, at p90 of requests. Empty: any."),
        tpot_ms=_text(row, "TPOT [ms]", "tpot", "50", "Most, at p90 of requests. Empty: any."),
    )


def ask_cost(load: Load) -> Load:
    """Draw the inputs of cost beside a load.

    Parameters
    ----------
    load : Load
        The rest.

    Returns
    -------
    Load
        With prices, the site's power usage effectiveness and growth.
    """
    row = st.container(horizontal=True, vertical_alignment="bottom")
    price = _text(
        row,
        "Price [USD per device-hour]",
        "usd",
        "",
        "Yours, one for each device in their order, joined by commas. Without it devices count.",
    )
    pue = _text(row, "PUE", "pue", "1.2", "Power usage effectiveness of the site.")
    return replace(
        load,
        price=price,
        pue=pue,
        buy=_text(
            row,
            "Purchase [USD per device]",
            "buy",
            "",
            "To own instead of renting: one for each device, joined by commas.",
        ),
        kwh=_text(row, "Energy [USD/kWh]", "kwh", "0.12", "For devices that are owned."),
        years=_text(row, "Years", "yrs", "4", "Over which a purchase is written off."),
        growth=_text(row, "Growth [% a month]", "grow", "", "Of the load. Empty: no forecast."),
    )


def _text(row: Any, label: str, key: str, default: str, help_: str) -> str:
    if key not in st.session_state and key not in st.query_params:
        st.session_state[key] = default
    value = row.text_input(
        label, key=key, max_chars=MOST_CHARACTERS, help=help_, bind="query-params", width=170
    )
    return (value or "").strip()


def ask_devices(key: str, default: list[str]) -> list[str]:
    """Draw a choice of devices.

    Parameters
    ----------
    key : str
        URL key.
    default : list of str
        Ids.

    Returns
    -------
    list of str
        Ids.
    """
    options = loaded.device_options()
    chosen = st.multiselect(
        "Devices",
        options,
        default=[option for option in options if first_word(option) in default],
        key=key,
        max_selections=MOST_CHOICES,
        bind="query-params",
    )
    return [first_word(str(option)) for option in chosen]


def models_of_catalog() -> list[str]:
    """Return the ids of the catalog.

    Returns
    -------
    list of str
        Sorted.
    """
    return [name for name in loaded.model_options() if name != UPLOADED]


def service_of(model: str, devices: tuple[str, ...], load: Load) -> Service:
    """Return the service that inputs ask about.

    Parameters
    ----------
    model : str
        Id of the catalog.
    devices : tuple of str
        Ids of devices or nodes.
    load : Load
        As typed.

    Returns
    -------
    Service
        Not computed yet.

    Raises
    ------
    ScenarioError
        An input is no number, or out of range.
    """
    if not devices:
        raise ScenarioError("no device", where="Devices", fix="Choose one.")
    hardware = tuple(loaded.hardware(name, None) for name in devices)
    return Service(
        question=ServiceQuestion(
            model=loaded.model({"m": model}),
            hardware=hardware,
            workload=_workload(load),
            objectives=Objectives(
                ttft_s=_number(load.ttft_ms, "TTFT", 1e-3),
                tpot_s=_number(load.tpot_ms, "TPOT", 1e-3),
            ),
            prices=_prices(load.price, [each.device.id for each in hardware]),
        )
    )


def _workload(load: Load) -> Workload:
    rate = _number(load.rate, "Requests per second")
    if rate is None:
        raise ScenarioError("missing", where="Requests per second")
    arrivals = Poisson(rate)
    if load.workload != OWN:
        return load_preset(load.workload).workload(arrivals)
    prompt = parse_count(load.isl, where="Mean prompt", most=10_000_000)
    output = parse_count(load.osl, where="Mean output", most=10_000_000)
    return Workload(
        prompt=Exponential(prompt, most=8 * prompt),
        output=Exponential(output, most=8 * output),
        arrivals=arrivals,
    )


def _prices(text: str, devices: list[str]) -> dict[str, Price]:
    given = _by_device(text, devices, "Price")
    return {device: Price(usd_per_h=usd) for device, usd in given.items()}


def _by_device(text: str, devices: list[str], where: str) -> dict[str, float]:
    """One amount for each device, in their order; none at all where the text is empty."""
    parts = [part for part in text.replace(";", ",").split(",") if part.strip()]
    if parts and len(parts) != len(devices):
        raise ScenarioError(
            "one price for each device", where=where, got=text, allowed=", ".join(devices)
        )
    return {
        device: _number(part, where) or 0.0
        for device, part in zip(devices, parts, strict=bool(parts))
    }


def _number(text: str, where: str, unit: float = 1.0) -> float | None:
    if not text.strip():
        return None
    try:
        value = float(text)
    except ValueError as error:
        raise ScenarioError("not a number", where=where, got=text) from error
    if not 0 < value < 1e12:
        raise ScenarioError("not a positive number", where=where, got=text)
    return value * unit


def fleet_of(model: str, devices: tuple[str, ...], load: Load) -> Fleet:
    """Return the fleet that inputs ask about.

    Parameters
    ----------
    model : str
        Id of the catalog.
    devices : tuple of str
        Ids of devices or nodes.
    load : Load
        As typed.

    Returns
    -------
    Fleet
        Not computed yet.

    Raises
    ------
    ScenarioError
        An input is no number, or out of range.
    """
    service = service_of(model, devices, load)
    ids = [each.device.id for each in service.question.hardware]
    terms = Terms(
        pue=max(_number(load.pue, "PUE") or 1.0, 1.0),
        purchases=_by_device(load.buy, ids, "Purchase"),
        years=_number(load.years, "Years") or 4.0,
        usd_per_kwh=_number(load.kwh, "Energy") or 0.0,
        growth_per_month=_number(load.growth, "Growth", 0.01),
    )
    return Fleet(service=service, requests=SIMULATED_REQUESTS, terms=terms)
