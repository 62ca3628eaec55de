"""Importers: published configurations and catalog files become models. Data only."""

from typing import TYPE_CHECKING

from planner.importers.catalog import CatalogEntry, describe_catalog, lint_models, model_ids
from planner.importers.resolve import load_model
from planner.on_demand import offered

if TYPE_CHECKING:
    from planner.importers.files import model_from_text
    from planner.importers.huggingface import import_config
    from planner.importers.reading import parse_json, read_json

__all__ = [
    "CatalogEntry",
    "describe_catalog",
    "import_config",
    "lint_models",
    "load_model",
    "model_from_text",
    "model_ids",
    "parse_json",
    "read_json",
]

__getattr__ = offered(
    {
        "import_config": "planner.importers.huggingface:import_config",
        "model_from_text": "planner.importers.files:model_from_text",
        "parse_json": "planner.importers.reading:parse_json",
        "read_json": "planner.importers.reading:read_json",
    }
)
