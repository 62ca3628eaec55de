"""Plans that reports are written of, each written once per format."""

from __future__ import annotations

import functools
from collections.abc import Callable

import pytest

from planner import Plan, Scenario, load_hardware, load_model, plan
from planner.report import write

Written = Callable[[str, str], bytes]

SHARE_LINK = "http://127.0.0.1:8501/?m=llama-3.1-70b&d=h100-sxm&n=4"


def _plan(model: str, device: str, devices: int, **load: int) -> Plan:
    hardware = load_hardware(device, devices)
    return plan(Scenario(model=load_model(model), hardware=hardware, **load))


@functools.cache
def made(name: str) -> Plan:
    return {
        "fits": lambda: _plan("llama-3.1-70b", "h100-sxm", 4, context=8192, sequences=32),
        "too-large": lambda: _plan("llama-3.1-70b", "h100-sxm", 2, context=32768, sequences=32),
        "never-fits": lambda: _plan("llama-3.1-405b", "rtx-4090", 1, context=8192),
        "state-space": lambda: _plan("mamba2-2.7b", "a100-sxm-80gb", 1, context=8192, sequences=4),
        "experts": lambda: _plan("gpt-oss-120b", "h100-sxm", 2, isl=4000, osl=500, sequences=8),
    }[name]()


@functools.cache
def _written(name: str, form: str) -> bytes:
    return write(made(name), form, share_link=SHARE_LINK)


PLANS = ("fits", "too-large", "never-fits", "state-space", "experts")


@pytest.fixture(params=PLANS)
def name(request: pytest.FixtureRequest) -> str:
    """Name of a plan; every test with it runs for all of them."""
    return str(request.param)


@pytest.fixture
def answer(name: str) -> Plan:
    return made(name)


@pytest.fixture(scope="session")
def plan_named() -> Callable[[str], Plan]:
    return made


@pytest.fixture(scope="session")
def written() -> Written:
    return _written
