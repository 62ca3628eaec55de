"""Some 300 real configurations with exact counts, where the folder lies beside the checkout."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from planner.errors import SpecError
from planner.importers import import_config, read_json
from planner.importers.registry import model_types

SECONDS_EACH = 0.02

# Files of a known family that must stop with a typed error, and what it names.
REFUSED = {
    "Alibaba-NLP__gte-Qwen2-7B-instruct.json": "is_causal",
}
TESTED_APART = frozenset(
    [
        "axk1",
        "bailing_moe",
        "dbrx",
        "deepseek",
        "deepseek_ref",
        "deepseek_v2",
        "deepseek_v3",
        "deepseek_v32",
        "deepseek_v4",
        "ernie4_5_moe",
        "glm_moe_dsa",
        "grok-1",
        "hunyuan",
        "hy_v3",
        "kimi_k2",
        "kimi_k25",
        "kolibri1",
        "mellum",
        "minicpm3",
        "minimax_m2",
        "minimax_m3",
        "minimax_m3_vl",
        "mistral4",
        "mistral_large4",
        "muse_spark",
        "solar_open",
        "youtu",
    ]
)
"""Families of ``test_latent_families.py``, whose caches are not only keys and values."""

PROJECTORS = {
    "gemma3": lambda hidden: 1152 * hidden + 1152,
    "mistral3": lambda hidden: 1024 * 4 * 1024 + 1024 + 1024 * hidden + hidden * hidden,
}


@pytest.fixture(scope="module")
def configurations(shared_data: Path) -> list[dict[str, Any]]:
    folder = shared_data / "hf_configs"
    index = json.loads((folder / "INDEX.json").read_text(encoding="utf-8"))
    return [
        {**entry, "path": folder / entry["file"]}
        for entry in index
        if entry["model_type"] not in TESTED_APART
    ]


def test_known_families_are_exact(configurations: list[dict[str, Any]]) -> None:
    known = set(model_types())
    wrong, exact = [], 0
    for entry in configurations:
        if entry["model_type"] not in known or entry["file"] in REFUSED:
            continue
        model = import_config(read_json(entry["path"]), where=entry["file"])
        expected = entry["params_total"]
        if entry["params_vision"]:
            projector = PROJECTORS[entry["model_type"]](model.hidden)
            expected -= entry["params_vision"] + projector
        active = entry["params_active"] or expected
        if (model.parameters, model.active_parameters) != (expected, active):
            wrong.append((entry["file"], model.parameters, expected))
        exact += 1
    assert wrong == []
    assert exact >= 125


def test_contexts_are_as_declared(configurations: list[dict[str, Any]]) -> None:
    known = set(model_types())
    for entry in configurations:
        if entry["model_type"] in known and entry["file"] not in REFUSED:
            model = import_config(read_json(entry["path"]), where=entry["file"])
            assert model.usable_context == entry["context_length"], entry["file"]


def test_windows_are_those_of_the_reference_caches(configurations: list[dict[str, Any]]) -> None:
    known = set(model_types()) - {"mamba2"}
    for entry in configurations:
        if entry["model_type"] not in known or entry["file"] in REFUSED:
            continue
        if not entry["cache_layers"] or "..." in entry["cache_layers"]:
            continue
        model = import_config(read_json(entry["path"]), where=entry["file"])
        windows = [
            cache.window
            for layer in model.layers
            for part in layer.parts
            for cache in part.caches()
        ]
        expected: list[int | None] = []
        for run in entry["cache_layers"]:
            count, kind = run.split("x", 1)
            window = int(kind.split("(")[1].rstrip(")")) if "(" in kind else None
            expected += [window] * int(count)
        assert windows == expected, entry["file"]


def test_everything_else_raises_a_typed_error(configurations: list[dict[str, Any]]) -> None:
    known = set(model_types())
    for entry in configurations:
        if entry["model_type"] in known and entry["file"] not in REFUSED:
            continue
        with pytest.raises(SpecError) as caught:
            import_config(read_json(entry["path"]), where=entry["file"])
        assert REFUSED.get(entry["file"], "") in str(caught.value)
        assert "\n" not in str(caught.value)


def test_each_import_is_quick(configurations: list[dict[str, Any]]) -> None:
    entries = [e for e in configurations if e["model_type"] in model_types()]
    start = time.perf_counter()
    for entry in entries:
        try:
            import_config(read_json(entry["path"]), where=entry["file"])
        except SpecError:
            continue
    assert (time.perf_counter() - start) / len(entries) < SECONDS_EACH
