"""Some 300 real configurations with exact counts, where the folder lies beside the checkout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from planner.errors import PlannerError
from planner.importers import import_config, read_json
from planner.model import Model
from validation.parameters import load_parameter_record

EXACT_SHARE = 0.98

# Counts of the folder that are not those of the architecture; the record says why of each.
RECORDED = load_parameter_record().published
COUNTED_OTHERWISE = {row.model for row in RECORDED if not row.exact}
ACTIVE_COUNTED_OTHERWISE = {row.model for row in RECORDED if not row.active_exact}
POSITIONS_BEFORE_THE_FIRST = {
    "class_default/roberta__FacebookAI__roberta-base.json": "two rows of 512 are for padding",
    "reconstructed/allenai__longformer-base-4096.json": "two rows of 4,098 are for padding",
}
KEPT_WHOLE = frozenset(["gpt_neo"])
"""The reference keeps keys that windows of these models never see again."""


@pytest.fixture(scope="module")
def models(shared_data: Path) -> list[tuple[dict[str, Any], Model | PlannerError]]:
    """Every configuration with its model, or with what was raised."""
    folder = shared_data / "hf_configs"
    found: list[tuple[dict[str, Any], Model | PlannerError]] = []
    for entry in json.loads((folder / "INDEX.json").read_text(encoding="utf-8")):
        try:
            config = read_json(folder / entry["file"])
            found.append((entry, import_config(config, where=entry["file"], weights_given=True)))
        except PlannerError as error:
            found.append((entry, error))
    return found


def counted(entry: dict[str, Any]) -> bool:
    return "meta device" in (entry.get("counted_with") or "")


def test_parameters_are_exact(models: list[tuple[dict[str, Any], Model | PlannerError]]) -> None:
    entries = [(entry, model) for entry, model in models if counted(entry)]
    exact = 0
    wrong = []
    for entry, model in entries:
        if isinstance(model, Model):
            same = model.parameters == entry["params_total"]
            exact += same
            if not same and entry["hf_id"] not in COUNTED_OTHERWISE:
                wrong.append((entry["file"], model.parameters, entry["params_total"]))
    assert wrong == []
    assert exact >= EXACT_SHARE * len(entries)


def test_active_parameters_are_exact(
    models: list[tuple[dict[str, Any], Model | PlannerError]],
) -> None:
    wrong = [
        (entry["file"], model.active_parameters, entry["params_active"])
        for entry, model in models
        if isinstance(model, Model) and counted(entry) and entry["params_active"]
        if entry["hf_id"] not in ACTIVE_COUNTED_OTHERWISE
        if model.active_parameters != entry["params_active"]
    ]
    assert wrong == []


def test_the_record_is_of_these_configurations(
    models: list[tuple[dict[str, Any], Model | PlannerError]],
) -> None:
    found = [
        (entry["hf_id"], entry["params_total"], getattr(model, "parameters", None))
        for entry, model in models
        if counted(entry)
    ]
    assert found == [(row.model, row.reference, row.parameters) for row in RECORDED]


def test_what_is_not_read_says_why_in_one_line(
    models: list[tuple[dict[str, Any], Model | PlannerError]],
) -> None:
    errors = [(entry, error) for entry, error in models if isinstance(error, PlannerError)]
    assert all("\n" not in str(error) and len(str(error)) < 1500 for _, error in errors)
    assert len(errors) <= 0.05 * len(models)


def test_contexts_are_as_declared(
    models: list[tuple[dict[str, Any], Model | PlannerError]],
) -> None:
    wrong = [
        (entry["file"], model.usable_context, entry["context_length"])
        for entry, model in models
        if isinstance(model, Model) and entry["context_length"] and model.usable_context
        if model.usable_context != entry["context_length"]
    ]
    assert [row for row in wrong if row[0] not in POSITIONS_BEFORE_THE_FIRST] == []


def test_windows_are_those_of_the_reference_caches(
    models: list[tuple[dict[str, Any], Model | PlannerError]],
) -> None:
    wrong = []
    for entry, model in models:
        runs = entry["cache_layers"]
        if not isinstance(model, Model) or not runs or "..." in runs:
            continue
        expected: list[int | None] = []
        for run in runs:
            count, kind = run.split("x", 1)
            if kind.startswith(("DynamicLayer", "DynamicSlidingWindowLayer")):
                window = int(kind.split("(")[1].rstrip(")")) if "(" in kind else None
                expected += [window] * int(count)
        caches = [
            cache for layer in model.layers for part in layer.parts for cache in part.caches()
        ]
        windows = [c.window for c in caches if hasattr(c, "window") and hasattr(c, "heads")]
        if entry["model_type"] in KEPT_WHOLE or len(windows) != len(expected):
            continue
        if windows != expected:
            wrong.append((entry["file"], windows[:8], expected[:8]))
    assert wrong == []
