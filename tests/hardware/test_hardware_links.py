"""Counts of devices, and what groups of them talk over."""

from dataclasses import replace

import pytest

from planner.cost.collectives import message_s
from planner.cost.links import Links
from planner.errors import ScenarioError
from planner.hardware import Link, load_hardware
from planner.model import Layout
from planner.model.execution import half
from planner.model.operation import all_reduce


def test_count_defaults_to_one_device_or_a_whole_node():
    assert load_hardware("h100-sxm").devices == 1
    assert load_hardware("8x-h100-sxm").devices == 8
    assert load_hardware("8x-h100-sxm", 16).devices == 16
    assert load_hardware("h100-sxm", "4").devices == 4


@pytest.mark.parametrize("count", [0, -1, "x", "1.5", 10**30, True, "nan"])
def test_a_wrong_count_is_refused(count):
    with pytest.raises(ScenarioError, match="-n"):
        load_hardware("h100-sxm", count)


def test_identity():
    assert load_hardware("8x-h100-sxm").id == "8x-h100-sxm"
    assert load_hardware("8x-h100-sxm").node_id == "8x-h100-sxm"
    assert load_hardware("h100-sxm").id == "h100-sxm"
    assert load_hardware("h100-sxm").node_id is None
    assert "mlperf-dell-h100" in load_hardware("8x-h100-sxm").sources
    assert "mlperf-dell-h100" not in load_hardware("h100-sxm").sources


def test_one_device_needs_no_link():
    assert load_hardware("8x-h100-sxm").link(1) == (None, None)


@pytest.mark.parametrize("name", ["8x-h100-sxm", "h100-sxm"])
@pytest.mark.parametrize("ranks", [2, 4, 8])
def test_a_switch_gives_every_group_its_whole_bandwidth(name, ranks):
    link, note = load_hardware(name, 8).link(ranks)
    assert link.per_direction_bytes_per_s == 450e9
    assert note is None


@pytest.mark.parametrize(("ranks", "expected"), [(2, 64e9), (4, 192e9), (8, 448e9)])
def test_a_mesh_gives_a_group_its_lanes(ranks, expected):
    link, note = load_hardware("8x-mi300x").link(ranks)
    assert link.per_direction_bytes_per_s == expected
    assert note is None


def test_beyond_the_node_the_network_counts():
    link, note = load_hardware("8x-h100-sxm", 16).link(16)
    assert link.per_direction_bytes_per_s == 50e9
    assert "joins 8 devices" in note
    assert load_hardware("h100-sxm", 16).link(16) == (None, None)


def test_cards_without_a_link_use_pcie():
    link, note = load_hardware("l40s", 4).link(4)
    assert link.per_direction_bytes_per_s == 31.5e9
    assert "no direct link" in note
    bridged, none = load_hardware("a100-pcie-80gb", 2).link(2)
    assert (bridged.per_direction_bytes_per_s, none) == (300e9, None)
    four, why = load_hardware("a100-pcie-80gb", 4).link(4)
    assert four.per_direction_bytes_per_s == 31.5e9
    assert "joins 2 devices" in why


def test_a_link_of_unknown_reach_says_so():
    link, note = load_hardware("gh200-96gb", 4).link(4)
    assert link.per_direction_bytes_per_s == 450e9
    assert "taken to join all" in note


def test_rack_scale_domain():
    hardware = load_hardware("gb200", 72)
    assert hardware.link(72)[0].per_direction_bytes_per_s == 900e9
    assert hardware.link(73) == (None, None)


def test_among_never_exceeds_the_whole():
    link = Link(kind="mesh", per_direction_bytes_per_s=100e9, per_peer_bytes_per_s=40e9)
    assert [link.among(n).per_direction_bytes_per_s for n in (2, 3, 4)] == [40e9, 80e9, 100e9]


def test_a_node_feeds_the_network_through_all_its_ports() -> None:
    """Ranks combine inside their node first: the bound is that of the node's eight ports."""
    hardware = load_hardware("8x-h100-sxm", 32)
    links = Links.of(hardware, Layout(tp=32))
    message = all_reduce("x", 8192, 8192, replace(half(), layout=Layout(tp=32)))
    found = links.carrying(message)
    assert found is not None
    seconds = message_s(
        "all_reduce", 1e9, ranks=32, link_bytes_per_s=found.per_direction_bytes_per_s
    )
    inside, between = 2 * 7 / 8 / 450, 2 * 3 / 4 / (8 * 50)
    assert seconds == pytest.approx(max(inside, between))
    alone = Links.of(load_hardware("8x-h100-sxm", 8), Layout(tp=8)).carrying(
        all_reduce("x", 1, 8192, replace(half(), layout=Layout(tp=8)))
    )
    assert alone is not None
    assert alone.per_direction_bytes_per_s == 450e9
