"""Importers: published configurations and catalog files become models. Data only."""

from planner.importers.huggingface import import_config
from planner.importers.reading import parse_json, read_json
from planner.importers.resolve import (
    CatalogEntry,
    describe_catalog,
    lint_models,
    load_model,
    model_from_text,
    model_ids,
)

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
