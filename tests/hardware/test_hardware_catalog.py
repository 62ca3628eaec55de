"""The shipped devices and nodes: golden figures, oracles from first principles, completeness."""

import csv
import math
import subprocess
import sys
from pathlib import Path

import pytest

from planner.errors import PrecisionError, SpecError, UnknownNameError
from planner.hardware import (
    PRECISIONS,
    device_ids,
    lint_hardware,
    load_device,
    load_hardware,
    load_node,
    node_ids,
)
from planner.units import GIB

GOLDEN = list(csv.DictReader((Path(__file__).parent / "golden.csv").open(encoding="utf-8")))

REQUIRED = (
    "a100-pcie-40gb",
    "a100-sxm-40gb",
    "a100-pcie-80gb",
    "a100-sxm-80gb",
    "h100-sxm",
    "h100-pcie",
    "h100-nvl",
    "h200-sxm",
    "b200-sxm",
    "l40s",
    "l4",
    "rtx-4090",
    "mi300x",
)


@pytest.mark.parametrize("row", GOLDEN, ids=lambda row: f"{row['device']}-{row['key']}")
def test_figure_is_the_published_one(row):
    explanation = load_device(row["device"]).explain(row["key"])
    assert explanation.value == pytest.approx(float(row["value"]), rel=float(row["tolerance"]))


def test_every_device_the_issue_names_is_there():
    assert set(REQUIRED) <= set(device_ids())
    sxm = {d for d in REQUIRED if "sxm" in d or d == "mi300x"}
    assert {f"8x-{device}" for device in sxm} <= set(node_ids())


def test_lint_finds_nothing():
    assert lint_hardware() == []


# FLOP per clock of one multiprocessor in 16 bits, from the architecture papers: tensor cores per
# multiprocessor x multiply-adds x 2. GeForce halves it when accumulating in 32 bits.
FLOP_PER_CLOCK = {
    "a100-sxm-80gb": 4 * 256 * 2,
    "h100-sxm": 4 * 512 * 2,
    "l40s": 4 * 128 * 2,
    "l4": 4 * 128 * 2,
    "a10": 4 * 128 * 2,
    "t4": 8 * 64 * 2,
    "v100-sxm2-32gb": 8 * 64 * 2,
    "rtx-4090": 4 * 128,
    "rtx-3090": 4 * 128,
    "rtx-5090": 4 * 128,
    "mi300x": 4 * 256 * 2,
    "mi355x": 4 * 512 * 2,
}


@pytest.mark.parametrize(("name", "flop"), FLOP_PER_CLOCK.items())
def test_rate_is_units_times_clock(name, flop):
    device = load_device(name)
    assert device.rate("fp16") == pytest.approx(
        device.multiprocessors * device.boost_clock_hz * flop, rel=0.02
    )


@pytest.mark.parametrize(("name", "clock"), [("h100-pcie", 1620e6), ("h200-nvl", 1545e6)])
def test_hopper_cards_state_rates_below_their_boost_clock(name, clock):
    device = load_device(name)
    assert device.rate("fp16") == pytest.approx(device.multiprocessors * clock * 4096, rel=0.001)
    assert clock < device.boost_clock_hz


# Bus width and data rate per pin.
MEMORY_BUS = {
    "a100-sxm-80gb": (5120, 3.186e9),
    "rtx-4090": (384, 21e9),
    "rtx-3090": (384, 19.5e9),
    "rtx-5090": (512, 28e9),
    "l4": (192, 12.5e9),
    "l40s": (384, 18e9),
    "a40": (384, 14.5e9),
    "b200-sxm": (7680, 7.992e9),
    "mi300x": (8192, 5.2e9),
}


@pytest.mark.parametrize(("name", "bits", "rate"), [(n, *b) for n, b in MEMORY_BUS.items()])
def test_bandwidth_is_bus_times_data_rate(name, bits, rate):
    bandwidth = load_device(name).memory_bandwidth_bytes_per_s
    assert bandwidth == pytest.approx(bits / 8 * rate, rel=0.01)


@pytest.mark.parametrize("name", device_ids())
def test_device_is_within_physical_bounds(name):
    device = load_device(name)
    assert device.id == name
    assert 30 < device.ridge_flop_per_byte("fp16") < 600
    assert 70 <= device.power_w <= 1500
    assert 0.9 * device.vendor_capacity_bytes < device.capacity_bytes
    assert device.capacity_bytes <= device.vendor_capacity_bytes * 1.0738
    assert set(device.rates) <= set(PRECISIONS)
    assert device.host is not None
    assert 10e9 < device.host.per_direction_bytes_per_s <= 450e9


@pytest.mark.parametrize("name", device_ids())
def test_every_figure_is_cited_and_explained(name):
    device = load_device(name)
    cited = set()
    for key, figure in device.figures.items():
        explanation = device.explain(key)
        assert explanation.figure == f"{name}.{key}"
        assert device.sources[figure.source].title in explanation.terms[0].detail
        assert explanation.sources == (figure.source,)
        assert math.isfinite(explanation.value)
        cited.add(figure.source)
    assert cited == set(device.sources)
    for source in device.sources.values():
        assert source.url or source.kind == "log"


def test_explanation_shows_the_conversion():
    device = load_device("h100-sxm")
    explanation = device.explain("memory.visible_capacity")
    assert explanation.value == device.visible_capacity_bytes == int(79.1 * GIB)
    assert explanation.substituted == "79.1 GiB · 1,073,741,824 bytes"
    assert explanation.unit == "bytes"
    assert "79.25" in explanation.meaning
    unverified = load_device("mi300x").explain("rates.fp8")
    assert "Not yet re-read" in unverified.meaning
    with pytest.raises(SpecError, match="no such figure"):
        device.explain("rates.int4")


def test_capacity_is_never_substituted_in_silence():
    for name in device_ids():
        device = load_device(name)
        named = {
            "visible": device.visible_capacity_bytes,
            "reported": device.reported_capacity_bytes,
            "vendor": device.vendor_capacity_bytes,
        }
        assert device.capacity_bytes == named[device.capacity_basis]


def test_a_missing_rate_is_an_error():
    device = load_device("a100-sxm-80gb")
    with pytest.raises(PrecisionError, match="fp8") as caught:
        device.rate("fp8")
    assert "bf16" in caught.value.allowed
    with pytest.raises(PrecisionError):
        load_device("t4").rate("bf16")


def test_unverified_figures_are_listed():
    device = load_device("rtx-3090")
    assert "rates.bf16" in device.unverified
    assert "memory.bandwidth" not in device.unverified
    assert load_hardware("8x-b200-sxm").unverified == ("links.network.per_direction",)


def test_devices_are_values():
    assert load_device("l4") is load_device("l4")
    assert {load_device("l4"): 1}[load_device("l4")] == 1
    assert load_node("8x-h100-sxm") == load_node("8x-h100-sxm")
    with pytest.raises(AttributeError):
        load_device("l4").power_w = 1
    with pytest.raises(TypeError):
        load_device("l4").rates["bf16"] = 1.0


@pytest.mark.parametrize("name", node_ids())
def test_node_agrees_with_its_device(name):
    node = load_node(name)
    assert node.id == name == f"{node.devices}x-{node.device.id}"
    assert node.scale_up.devices == node.devices
    assert node.scale_up.per_direction_bytes_per_s == (
        node.device.scale_up.per_direction_bytes_per_s
    )
    assert node.scale_up.per_peer_bytes_per_s == node.device.scale_up.per_peer_bytes_per_s
    if node.network is not None:
        assert node.network.per_direction_bytes_per_s < node.scale_up.per_direction_bytes_per_s
    for key, figure in node.figures.items():
        assert node.sources[figure.source].title in node.explain(key).terms[0].detail


def test_node_figures():
    node = load_node("8x-h100-sxm")
    assert node.network.per_direction_bytes_per_s == 50e9
    assert node.host_memory_bytes == 2 * 10**12
    assert load_node("8x-a100-sxm-80gb").network.per_direction_bytes_per_s == 25e9


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("h100", "h100-sxm"),
        ("H100-SXM", "h100-sxm"),
        ("8x-h100", "8x-h100-sxm"),
        ("a100", "a100-sxm-80gb"),
        ("A100", "a100-pcie-40gb"),
        ("rtx4090", "rtx-4090"),
    ],
)
def test_an_unknown_id_offers_near_ones(name, near):
    with pytest.raises(UnknownNameError) as caught:
        load_hardware(name)
    assert near in str(caught.value)


@pytest.mark.parametrize("name", ["", "runtime", "nodes", "x" * 10**5, "..", "a\0b", "*", "é"])
def test_odd_names_are_unknown(name):
    with pytest.raises(UnknownNameError):
        load_device(name)


def test_a_node_is_not_a_device_nor_the_reverse():
    with pytest.raises(UnknownNameError, match="node of h100-sxm"):
        load_device("8x-h100-sxm")
    with pytest.raises(UnknownNameError, match="is a device"):
        load_node("h100-sxm")


def test_loading_one_device_reads_one_file():
    code = (
        "import sys, builtins, pathlib\n"
        "from planner.hardware import load_device\n"
        "seen = []\n"
        "read = pathlib.Path.read_text\n"
        "pathlib.Path.read_text = lambda p, *a, **k: (seen.append(p.name), read(p, *a, **k))[1]\n"
        "load_device('h100-sxm'); load_device('h100-sxm')\n"
        "print(seen)\n"
        "heavy = {'torch', 'pandas', 'streamlit', 'plotly', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "['h100-sxm.yaml']"
