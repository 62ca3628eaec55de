"""Record how many parameters the planner counts, beside the published classes.

Usage: ``python scripts/record_parameters.py FOLDER``, where FOLDER holds configurations and an
``INDEX.json`` with their exact counts. The defaults of every class are counted anew on the meta
device, for which PyTorch and transformers must be installed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from planner.errors import PlannerError, UnsupportedConfigError
from planner.importers import import_config, read_json
from planner.importers.registry import model_types
from validation.parameters import RECORD

WHY = {
    "OrionStarAI/Orion-14B-Chat": (
        "its own class has LayerNorms with biases, two in each of 40 layers and a last one; it was "
        "counted as a Llama, which has none"
    ),
    "Tencent/Hunyuan-Large": (
        "every second layer takes keys and values from the one before and holds no projections for "
        "them; it was counted with a class that knows no such sharing"
    ),
    "google/flan-t5-xxl": (
        "its head is a matrix of its own, as its configuration says; it was counted tied"
    ),
    "databricks/dbrx-instruct": "the reference is the published 36, in billions",
    "meta-models/Muse-Spark-Open-816B-A42B": (
        "norms around the experts stand in their module and were counted as visited by 8 of "
        "256; every token passes them"
    ),
}
WHY_CLASSES = {
    "qwen2_5_omni": "the thinker is planned alone, without what speaks, as a warning says",
    "longcat_flash": "the class holds matrices for experts that do nothing; checkpoints have none",
}
MAPPINGS = (
    "IMAGE_TEXT_TO_TEXT", "SEQ_TO_SEQ_CAUSAL_LM", "SPEECH_SEQ_2_SEQ", "MULTIMODAL_LM", "CAUSAL_LM",
    "MASKED_LM",
)  # fmt: skip


def published(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield a row for each configuration of the folder that was counted with its class."""
    for entry in json.loads((folder / "INDEX.json").read_text(encoding="utf-8")):
        if "meta device" not in (entry.get("counted_with") or ""):
            continue
        row = {"model": entry["hf_id"], "group": entry["fidelity"],
               "reference": entry["params_total"], "parameters": None}  # fmt: skip
        config = read_json(folder / entry["file"])
        try:
            model = import_config(config, where=entry["file"], weights_given=True)
            row["parameters"] = model.parameters
        except PlannerError as error:
            row["why"] = str(error)
            yield row
            continue
        if entry["params_active"]:
            row |= {"reference_active": entry["params_active"], "active": model.active_parameters}
        different = row["parameters"] != row["reference"] or (
            row.get("active") != row.get("reference_active")
        )
        yield row | ({"why": WHY[entry["hf_id"]]} if different else {})


def class_defaults() -> Iterator[tuple[str, dict[str, Any], int]]:
    """Yield the kind, configuration and count of every class that builds from its defaults."""
    import torch
    import transformers
    from transformers import CONFIG_MAPPING
    from transformers.models.auto import modeling_auto

    names: dict[str, str] = {}
    for mapping in MAPPINGS:
        known = getattr(modeling_auto, f"MODEL_FOR_{mapping}_MAPPING_NAMES")
        for kind, name in known.items():
            names.setdefault(kind, name if isinstance(name, str) else name[0])
    for kind, name in sorted(names.items()):
        try:
            config = CONFIG_MAPPING[kind]()
            with torch.device("meta"):
                model = getattr(transformers, name)(config)
            model.tie_weights()
            content = json.loads(config.to_json_string(use_diff=False))
        except Exception:
            continue  # A class that cannot build its own defaults has no count.
        yield kind, {**content, "architectures": [name]}, sum(p.numel() for p in model.parameters())


def class_rows() -> Iterator[dict[str, Any]]:
    """Yield a row for each class."""
    known = model_types()
    for kind, config, reference in class_defaults():
        row: dict[str, Any] = {"model_type": kind, "reference": reference}
        try:
            row["parameters"] = import_config(config, where=kind).parameters
            if config["model_type"] not in known:
                yield row | {"alone": True}
                continue
        except PlannerError as error:
            if kind in known or not isinstance(error, UnsupportedConfigError):
                row["why"] = str(error)
        if row.get("parameters", reference) != reference:
            row["why"] = WHY_CLASSES.get(kind, "not explained yet")
        yield row


def main(arguments: list[str]) -> int:
    """Write the record."""
    if len(arguments) != 1 or not Path(arguments[0]).is_dir():
        print(__doc__, file=sys.stderr)
        return 2
    import transformers

    record = {
        "counted_with": f"transformers {transformers.__version__} on the meta device",
        "published": list(published(Path(arguments[0]))),
        "classes": list(class_rows()),
    }
    lines = [
        "# Written by scripts/record_parameters.py.",
        f"counted_with: {record['counted_with']}",
    ]
    for name in ("published", "classes"):
        lines.append(f"{name}:")
        for row in record[name]:
            text = yaml.safe_dump(row, default_flow_style=True, sort_keys=False, width=10**6)
            lines.append(f"- {text.strip()}")
    RECORD.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
