"""Presets: lengths, sources and the shares that their notes state."""

from __future__ import annotations

import pytest

from planner.errors import UnknownNameError
from planner.serving.arrivals import Poisson
from planner.serving.load_shape import load_shape
from planner.serving.presets import load_preset, presets


@pytest.mark.parametrize("name", list(presets()))
def test_every_preset_can_be_drawn_and_is_sourced(name: str) -> None:
    preset = load_preset(name)
    requests = preset.workload(Poisson(1)).draw(1000)
    assert requests.prompt_tokens.min() >= 1
    assert preset.sources
    assert all(source.title for source in preset.sources.values())


def test_agents_find_the_stated_share_in_the_cache() -> None:
    shape = load_shape(load_preset("agents").workload(Poisson(1)))
    assert shape.cached_tokens.mean() / shape.prompt_tokens == pytest.approx(0.59, abs=0.01)


def test_an_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="chat"):
        load_preset("chatt")
