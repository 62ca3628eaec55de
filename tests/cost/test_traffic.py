"""Attention traffic: published goldens, brute force, and what holds for every shape."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.cost.attention_orders import (
    Tile,
    attention_tile,
    flash1_elements,
    flash2_elements,
    materialised_elements,
    streamed_keys,
)
from planner.cost.traffic import AttentionTraffic, attention_traffic
from planner.errors import ScenarioError
from planner.hardware import device_ids, load_device
from planner.units import KIB, MIB

ON_CHIP = 51_200  # 100 KiB of 16-bit elements


@pytest.mark.parametrize(
    ("tokens", "head_dim", "first", "materialised"),
    [(8192, 128, 501, 520), (1024, 64, 2.6, 8.5)],
)
def test_flash_attention_1_gains_little_at_wide_heads(
    tokens: int, head_dim: int, first: float, materialised: float
) -> None:
    assert flash1_elements(tokens, head_dim, ON_CHIP) * 2 / MIB == pytest.approx(first, rel=0.03)
    assert materialised_elements(tokens, head_dim) * 2 / MIB == materialised


def test_flash_attention_2_golden() -> None:
    h100 = load_device("h100-sxm")
    tile = Tile(query_rows=128, key_rows=64)
    full, causal = (
        attention_traffic(h100, tokens=8192, head_dim=128, causal=causal, tile=tile)
        for causal in (False, True)
    )
    assert round(full.flash2_bytes / MIB) == 260
    assert round(causal.flash2_bytes / MIB) == 134
    assert causal.compulsory_bytes == 8 * MIB
    assert causal.resident_fraction == 1
    assert causal.fused_bytes == 8 * MIB + 4 * 8192


@pytest.mark.parametrize(
    ("device", "tokens", "head_dim", "share"),
    [("a100-sxm-80gb", 1024, 64, 0.836), ("h100-sxm", 4096, 128, 0.826)],
)
def test_most_of_the_time_of_materialised_attention_waits_for_memory(
    device: str, tokens: int, head_dim: int, share: float
) -> None:
    found = attention_traffic(load_device(device), tokens=tokens, head_dim=head_dim)
    assert found.materialised_memory_share == pytest.approx(share, abs=5e-4)


tokens_of = st.integers(1, 20_000)
tiles = st.builds(
    Tile,
    query_rows=st.sampled_from([16, 48, 64, 96, 128]),
    key_rows=st.sampled_from([7, 16, 32, 64, 80, 128]),
)


@given(tokens=tokens_of, tile=tiles)
def test_streamed_keys_equal_a_walk_over_the_tiles(tokens: int, tile: Tile) -> None:
    starts = range(0, tokens, tile.query_rows)
    walked = 0
    for start in starts:
        end = start + tile.query_rows
        seen = -(-end // tile.key_rows) * tile.key_rows
        walked += tokens if end >= tokens else seen
    every = len(starts) * tokens
    assert streamed_keys(tokens, tile, causal=True) == min(walked, every)
    assert streamed_keys(tokens, tile, causal=False) == every


@given(
    device=st.sampled_from(device_ids()),
    tokens=tokens_of,
    head_dim=st.sampled_from([32, 64, 80, 96, 128]),
    kv_heads=st.integers(1, 8),
    group=st.integers(1, 8),
    causal=st.booleans(),
    packed=st.booleans(),
)
def test_no_fused_order_moves_less_than_compulsory_or_more_than_materialised(
    device: str,
    tokens: int,
    head_dim: int,
    kv_heads: int,
    group: int,
    causal: bool,
    packed: bool,
) -> None:
    found = attention_traffic(
        load_device(device),
        tokens=tokens,
        head_dim=head_dim,
        query_heads=kv_heads * group,
        kv_heads=kv_heads,
        causal=causal,
        packed=packed,
    )
    statistics = found.statistics_bytes
    assert found.compulsory_bytes + statistics <= found.fused_bytes <= found.flash2_bytes
    assert found.flash2_bytes - statistics <= found.materialised_bytes
    assert 0 <= found.resident_fraction <= 1


@given(tokens=st.integers(128, 100_000), head_dim=st.sampled_from([64, 128, 256]))
def test_more_on_chip_memory_never_moves_more(tokens: int, head_dim: int) -> None:
    moved = [flash1_elements(tokens, head_dim, 2**power) for power in range(12, 20)]
    assert moved == sorted(moved, reverse=True)


def test_arrays_and_numbers_agree() -> None:
    device = load_device("a100-sxm-80gb")
    lengths = [1, 100, 4096, 131_072]
    at_once = attention_traffic(device, tokens=np.array(lengths), head_dim=128, query_heads=8)
    for i, length in enumerate(lengths):
        one = attention_traffic(device, tokens=length, head_dim=128, query_heads=8)
        for name in ("materialised_bytes", "flash1_bytes", "flash2_bytes", "fused_bytes", "saving"):
            assert getattr(at_once, name)[i] == pytest.approx(getattr(one, name))


def test_heads_that_share_keys_read_them_once_when_packed() -> None:
    h100 = load_device("h100-sxm")
    apart, packed = (
        attention_traffic(
            h100, tokens=131_072, head_dim=128, query_heads=32, kv_heads=8, packed=packed
        )
        for packed in (False, True)
    )
    assert packed.fused_bytes < apart.fused_bytes
    assert packed.compulsory_bytes == apart.compulsory_bytes


def test_a_larger_level_2_cache_saves_traffic() -> None:
    small, large = (
        attention_traffic(load_device(name), tokens=131_072, head_dim=128)
        for name in ("h100-sxm", "b200-sxm")
    )
    assert large.resident_fraction > small.resident_fraction
    assert large.saving > small.saving


def test_tiles_fit_into_the_shared_memory() -> None:
    for name in device_ids():
        device = load_device(name)
        for head_dim in (64, 128, 256):
            tile = attention_tile(device, head_dim)
            held = (tile.query_rows + 4 * tile.key_rows) * head_dim * 2
            assert held <= (device.shared_memory_per_multiprocessor_bytes or 0)


def test_wide_heads_without_a_tile_are_refused() -> None:
    with pytest.raises(ScenarioError, match="no tile"):
        attention_tile(load_device("t4"), 4096)


def test_kv_heads_that_do_not_divide_are_refused() -> None:
    with pytest.raises(ScenarioError, match="divisor"):
        attention_traffic(load_device("h100-sxm"), tokens=8, head_dim=64, query_heads=8, kv_heads=3)


@pytest.mark.parametrize(
    "figure",
    [
        "materialised_bytes",
        "flash1_bytes",
        "flash2_bytes",
        "fused_bytes",
        "compulsory_bytes",
        "saving",
        "materialised_memory_share",
    ],
)
def test_every_figure_explains_itself(figure: str) -> None:
    found: AttentionTraffic = attention_traffic(load_device("l4"), tokens=65_536, head_dim=128)
    explained = found.explain(figure)
    assert float(explained.value or 0) == pytest.approx(getattr(found, figure), rel=1e-6)
    assert "65,536" in explained.substituted
    if explained.terms:
        assert sum(t.value for t in explained.terms) == pytest.approx(getattr(found, figure))


def test_materialised_attention_reads_masks_too() -> None:
    device = load_device("l4")
    plain, masked = (
        attention_traffic(device, tokens=1000, head_dim=64, masks=masks) for masks in (0, 2)
    )
    assert masked.materialised_bytes - plain.materialised_bytes == 2 * 1000**2 * 2


def test_flash2_elements_are_the_layers_bytes_without_statistics() -> None:
    tile = Tile(query_rows=128, key_rows=128)
    layer = attention_traffic(load_device("l4"), tokens=5000, head_dim=64, tile=tile)
    elements = flash2_elements(5000, 64, tile, causal=True)
    assert layer.flash2_bytes == 2 * elements + 4 * 5000
    assert layer.on_chip_bytes == 100 * KIB
