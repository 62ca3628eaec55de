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
REFUSED: dict[str, str] = {}
# What the index counts otherwise, and by how much the planner's count is larger.
DIFFERENT = {
    "OrionStarAI__Orion-14B-Chat.json": 81 * 5120,  # LayerNorm, counted there as RMSNorm
    "reconstructed/google__flan-t5-xxl.json": 32_128 * 4096,  # a head of its own, counted as tied
}
# Positions that the index leaves out, or that differ: RoBERTa's first two rows serve as padding.
CONTEXTS = {"whisper": 448, "roberta": 510}
# The reference code makes caches for these that nothing reads, or ignores their windows.
CACHES_APART = {
    "bert", "electra", "gpt_neo", "mllama", "roberta",
}  # fmt: skip


@pytest.fixture(scope="module")
def configurations(shared_data: Path) -> list[dict[str, Any]]:
    folder = shared_data / "hf_configs"
    index = json.loads((folder / "INDEX.json").read_text(encoding="utf-8"))
    return [{**entry, "path": folder / entry["file"]} for entry in index]


def test_known_families_are_exact(configurations: list[dict[str, Any]]) -> None:
    known = set(model_types())
    wrong, exact = [], 0
    for entry in configurations:
        if entry["model_type"] not in known or not isinstance(entry["params_total"], int):
            continue
        content = read_json(entry["path"])
        model = import_config(content, where=entry["file"], weights_given=True)
        expected = entry["params_total"] + DIFFERENT.get(entry["file"], 0)
        active = entry["params_active"] or model.active_parameters
        if (model.parameters, model.active_parameters) != (expected, active):
            wrong.append((entry["file"], model.parameters, expected))
        exact += 1
    assert wrong == []
    assert exact >= 220


def test_contexts_are_as_declared(configurations: list[dict[str, Any]]) -> None:
    known = set(model_types())
    for entry in configurations:
        if entry["model_type"] in known and entry["file"] not in REFUSED:
            content = read_json(entry["path"])
            model = import_config(content, where=entry["file"], weights_given=True)
            expected = CONTEXTS.get(entry["model_type"], entry["context_length"])
            assert model.usable_context == expected, entry["file"]


def test_windows_are_those_of_the_reference_caches(configurations: list[dict[str, Any]]) -> None:
    known = set(model_types()) - {"mamba2"} - CACHES_APART
    for entry in configurations:
        if entry["model_type"] not in known:
            continue
        content = read_json(entry["path"])
        if not entry["cache_layers"] or "..." in entry["cache_layers"]:
            continue
        if content.get("is_causal") is False:
            continue
        model = import_config(content, where=entry["file"], weights_given=True)
        windows = [
            [
                cache.window
                for part in layer.parts
                for cache in part.caches()
                if cache.kind != "encoder"
            ]
            for layer in model.layers
        ]
        expected: list[list[int | None]] = []
        for run in entry["cache_layers"]:
            count, kind = run.split("x", 1)
            window = int(kind.split("(")[1].rstrip(")")) if "(" in kind else None
            expected += [[] if kind.startswith("Dummy") else [window]] * int(count)
        assert windows == expected, entry["file"]


def test_everything_else_raises_a_typed_error(configurations: list[dict[str, Any]]) -> None:
    known = set(model_types())
    for entry in configurations:
        if entry["model_type"] in known:
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
