"""The page answers or refuses whatever is within the ranges of its inputs; it never breaks."""

from __future__ import annotations

import random
from typing import Any

import pytest

from planner.hardware import device_ids, node_ids
from planner.importers import model_ids
from planner.model.storage import CACHE_FORMATS, COMPUTE_FORMATS, WEIGHT_FORMATS

COUNTS = ["1", "2", "3", "7", "8", "64", "1K", "100k", "1M", "2147483647", ""]


def links(count: int) -> list[dict[str, str]]:
    draw = random.Random(7)
    return [
        {
            "m": draw.choice(model_ids()),
            "d": draw.choice([*device_ids(), *node_ids()]),
            "n": draw.choice(["1", "2", "8", "6", "96", "65536"]),
            "w": draw.choice(["auto", *WEIGHT_FORMATS]),
            "kv": draw.choice(["auto", *CACHE_FORMATS]),
            "a": draw.choice(["auto", "auto", *COMPUTE_FORMATS]),
            "ctx": draw.choice(COUNTS),
            "s": draw.choice(COUNTS[:-2]),
            "isl": draw.choice(["", "", "1", "5000"]),
            "mbt": draw.choice(["1", "8192", "16M"]),
        }
        for _ in range(count)
    ]


@pytest.mark.parametrize("link", links(40), ids=lambda link: f"{link['m']}-{link['d']}")
def test_any_link_is_answered_or_refused(open_app: Any, link: dict[str, str]) -> None:
    app = open_app(**link)
    assert not app.exception
    assert len(app.metric) == 4 or app.sidebar.error


@pytest.mark.parametrize("model", model_ids())
def test_every_model_of_the_catalog_can_be_planned(open_app: Any, model: str) -> None:
    app = open_app(m=model, d="b300-sxm", n="8", ctx="1K")
    assert not app.exception
    assert len(app.metric) == 4
