"""Parameters of every class of transformers: at its defaults, and with one field changed.

The classes are built on the meta device, which holds shapes and no numbers.
"""

from __future__ import annotations

import json
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from planner.errors import PlannerError  # noqa: E402
from planner.importers import import_config  # noqa: E402
from planner.importers.registry import model_types  # noqa: E402
from validation.parameters import ClassCount, load_parameter_record  # noqa: E402

pytestmark = [pytest.mark.oracle, pytest.mark.timeout(1800)]

ROOT = Path(__file__).resolve().parents[2]
RECORD = load_parameter_record()
DEPTHS = (
    "num_hidden_layers", "n_layer", "n_layers", "num_layers", "encoder_layers", "decoder_layers",
    "num_decoder_layers",
)  # fmt: skip
NO_SHAPE = (
    "act", "architectures", "chunk_size_feed", "cross_attention", "dropout", "dtype", "eps",
    "is_decoder", "is_encoder", "jitter", "kernels", "label", "layer_types", "layerdrop", "loss",
    "model_type", "pdrop", "return_dict", "rope", "scale", "softcap", "std", "time_step", "token",
    "tie_word_embeddings", "use_cache", "_name",
)  # fmt: skip
CHECKPOINTS_DIFFER = {"longcat_flash"}
LEAST_EXACT_SHARE = 0.99


@pytest.fixture(scope="module")
def defaults() -> dict[str, tuple[dict[str, Any], int]]:
    """Kind, configuration and count of every class that builds from its defaults."""
    if transformers.__version__ not in RECORD.counted_with:
        pytest.skip(f"the record was {RECORD.counted_with}")
    script = runpy.run_path(str(ROOT / "scripts" / "record_parameters.py"))
    return {kind: (config, count) for kind, config, count in script["class_defaults"]()}


def test_the_record_is_of_these_classes(defaults: dict[str, tuple[dict[str, Any], int]]) -> None:
    exact = {row.model_type for row in RECORD.classes if row.exact and not row.alone}
    assert {row.model_type for row in RECORD.classes} == set(defaults)
    for kind in exact:
        config, count = defaults[kind]
        assert import_config(config, where=kind).parameters == count, kind
    rows: list[ClassCount] = list(RECORD.classes)
    assert len(exact) > 0.55 * len(rows)


def changes(config: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield one field at a time with another value that may change a shape."""
    for name, value in config.items():
        if name in DEPTHS or any(word in name for word in NO_SHAPE):
            continue
        if isinstance(value, bool):
            yield {name: not value}
        elif isinstance(value, int) and value > 1:
            yield {name: 2 * value}
            yield {name: value // 2}


def test_one_field_changed(defaults: dict[str, tuple[dict[str, Any], int]]) -> None:
    read, wrong = 0, []
    for kind in sorted(set(model_types()) & set(defaults) - CHECKPOINTS_DIFFER):
        config = defaults[kind][0]
        if any(isinstance(value, dict) and "model_type" in value for value in config.values()):
            continue
        short = {name: min(config[name], 4) for name in DEPTHS if isinstance(config.get(name), int)}
        for change in changes(config):
            try:
                built = transformers.CONFIG_MAPPING[kind](**{**short, **change})
                with torch.device("meta"):
                    model = getattr(transformers, config["architectures"][0])(built)
                model.tie_weights()
                content = json.loads(built.to_json_string(use_diff=False))
            except Exception:
                continue  # The class takes no such value.
            count = sum(tensor.numel() for tensor in model.parameters())
            try:
                found = import_config(content, where=kind).parameters
            except PlannerError:
                continue
            read += 1
            if found != count:
                wrong.append((kind, change, found, count))
    assert len(wrong) <= (1 - LEAST_EXACT_SHARE) * read, wrong
