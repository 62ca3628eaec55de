"""Clocks and the host: medians, sets of inputs, and what the environment says."""

from __future__ import annotations

import doctest
import importlib
import time
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from planner.errors import ScenarioError  # noqa: E402
from planner.hardware import device_ids  # noqa: E402
from tests.validation.made_up_host import QUICK  # noqa: E402
from validation import environment as machine  # noqa: E402
from validation.ceilings import copy_rate  # noqa: E402
from validation.effort import Effort  # noqa: E402
from validation.measure import buffer_sets, measure  # noqa: E402

pytestmark = pytest.mark.oracle

HOST = torch.device("cpu")
FOLDER = Path(machine.__file__).parent


def test_a_known_time_is_measured() -> None:
    effort = Effort(warmup_s=0.0, least_s=0.0, most_s=0.2, least_samples=5)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        timing = measure([lambda: time.sleep(0.004)], HOST, cold=True, effort=effort)
    finally:
        torch.set_num_threads(threads)
    assert timing.measured_s == pytest.approx(0.0042, rel=0.3)
    assert timing.least_s <= timing.p10_s <= timing.measured_s <= timing.p90_s
    assert timing.samples >= 5


def test_time_off_the_core_does_not_count() -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        timing = measure([lambda: time.sleep(0.01)], HOST, cold=True, effort=QUICK)
    finally:
        torch.set_num_threads(threads)
    assert timing.disturbed == timing.samples
    assert timing.measured_s < 0.005


def test_short_calls_are_timed_together() -> None:
    one = torch.zeros(1)
    effort = Effort(warmup_s=0.05, least_s=0.0, most_s=0.0, least_samples=2)
    timing = measure([lambda: one.add_(1.0)], HOST, cold=False, effort=effort)
    assert timing.calls_per_sample > 1
    assert timing.measured_s < 1e-3


def test_inputs_are_gone_through_in_turn() -> None:
    seen: list[int] = []
    calls = [lambda i=i: (seen.append(i), time.sleep(1e-4)) for i in range(3)]
    measure(calls, HOST, cold=True, effort=QUICK)
    assert set(seen) == {0, 1, 2}


@pytest.mark.parametrize(
    ("size", "cache", "spare", "count"),
    [(2**20, 2**25, 2**40, 64), (2**24, 2**25, 2**40, 4), (2**30, 2**25, 2**40, 1),
     (2**24, 2**25, 2**25, 2), (2**24, None, 2**40, 1), (0, 2**25, 0, 1)],
)  # fmt: skip
def test_sets_of_inputs(size: int, cache: int | None, spare: int, count: int) -> None:
    assert buffer_sets(size, cache, spare) == count


def test_the_environment() -> None:
    found = machine.environment(HOST)
    assert found.spec_id is None
    assert found.torch == torch.__version__
    assert found.cores >= 1
    assert "cores" in found.device_name


def test_driver_names_lead_to_the_catalog() -> None:
    for _, name in machine._DRIVER_NAMES:
        assert name in device_ids()
    for driver, name in {
        "NVIDIA H100 80GB HBM3": "h100-sxm",
        "NVIDIA H100 PCIe": "h100-pcie",
        "NVIDIA H100 NVL": "h100-nvl",
        "NVIDIA H200": "h200-sxm",
        "NVIDIA A100-SXM4-80GB": "a100-sxm-80gb",
        "NVIDIA A100-SXM4-40GB": "a100-sxm-40gb",
        "NVIDIA L4": "l4",
        "NVIDIA L40S": "l40s",
        "NVIDIA GeForce RTX 4090": "rtx-4090",
        "Tesla T4": "t4",
        "NVIDIA GeForce RTX 4090 D": None,
        "NVIDIA GeForce GTX 1080": None,
    }.items():
        assert machine.spec_id(driver, None) == name
    assert machine.spec_id("NVIDIA H100 80GB HBM3", 10 * 2**30) is None, "a slice is not the device"


@pytest.mark.parametrize("name", ["cuda:99", "tpu", "mps"])
def test_devices_that_are_not_there_are_refused(name: str) -> None:
    with pytest.raises(ScenarioError, match="device"):
        machine.torch_device(name)


def test_a_copy_has_a_rate() -> None:
    rate = copy_rate(2**20)
    assert rate.total_bytes == 2**20
    assert 1e8 < rate.bytes_per_s < 1e13


def test_doctests() -> None:
    run = 0
    for path in sorted(FOLDER.glob("*.py")):
        if path.stem in ("__main__", "page", "page_details"):
            continue
        result = doctest.testmod(
            importlib.import_module(f"validation.{path.stem}"),
            optionflags=doctest.NORMALIZE_WHITESPACE,
        )
        assert result.failed == 0, path.name
        run += result.attempted
    assert run >= 15
