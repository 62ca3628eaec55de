"""Write the model catalog from published configurations.

Usage: ``python scripts/build_catalog.py FOLDER [--check]``, where FOLDER holds the configurations
that ``catalog_sources.yaml`` names. Each is imported as a user's file would be; the exact count of
parameters in the table must come out.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from planner.errors import PlannerError, SpecError
from planner.importers import import_config, read_json
from planner.model import Model
from planner.model.description import (
    description_to_yaml,
    model_from_description,
    model_to_description,
)
from planner.sources import Source

ROOT = Path(__file__).resolve().parent.parent
TABLE = Path(__file__).with_name("catalog_sources.yaml")
CATALOG = ROOT / "models_catalog"
HEADER = "# Written by scripts/build_catalog.py from scripts/catalog_sources.yaml.\n"


def build(entry: Mapping[str, Any], folder: Path) -> Model:
    """Return the model of one entry of the table."""
    config = entry["config"]
    figures = config if isinstance(config, dict) else read_json(folder / config)
    imported = import_config(
        {**figures, **entry.get("fields", {})},
        where=entry["id"],
        quantisation=_beside(config, folder),
    )
    model = replace(
        imported,
        id=entry["id"],
        name=entry["name"],
        hf_id=entry.get("hf_id"),
        aliases=tuple(entry.get("aliases", ())),
        sources={name: Source(**source) for name, source in entry["sources"].items()},
        warnings=(*imported.warnings, *entry.get("warnings", ())),
    )
    if model.parameters != entry["parameters"]:
        raise SpecError(
            f"the tensors add up to {model.parameters:,} parameters",
            where=f"{TABLE.name}: {model.id}",
            got=entry["parameters"],
        )
    return model


def _beside(config: Any, folder: Path) -> Mapping[str, Any] | None:
    """Return what stands about quantisation in a file of its own."""
    if isinstance(config, dict):
        return None
    beside = folder / "quantization" / config
    return read_json(beside) if beside.is_file() else None


def text_of(model: Model) -> str:
    """Return the catalog file of a model, read back once to be sure of it."""
    text = HEADER + description_to_yaml(model_to_description(model))
    model_from_description(yaml.safe_load(text), model.id)
    return text


def main(arguments: list[str]) -> int:
    """Write the catalog; with ``--check`` only say what differs."""
    check = "--check" in arguments
    places = [argument for argument in arguments if argument != "--check"]
    if len(places) != 1 or not Path(places[0]).is_dir():
        print(__doc__, file=sys.stderr)
        return 2
    entries = yaml.safe_load(TABLE.read_text(encoding="utf-8"))
    differing = 0
    for entry in entries:
        try:
            text = text_of(build(entry, Path(places[0])))
        except PlannerError as error:
            print(error, file=sys.stderr)
            return 2
        path = CATALOG / f"{entry['id']}.yaml"
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        differing += 1
        print(path.relative_to(ROOT))
        if not check:
            path.write_text(text, encoding="utf-8")
    stray = {path.stem for path in CATALOG.glob("*.yaml")} - {entry["id"] for entry in entries}
    print(f"{len(entries)} models, {differing} changed, not in the table: {sorted(stray)}")
    return int(check and differing > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
