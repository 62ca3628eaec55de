"""The models of the catalog, by id and by the names they have on Hugging Face."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from planner.errors import PlannerError, SpecError
from planner.model import Model
from planner.model.description import model_from_description
from planner.spec_folders import read_spec, spec_paths

HINT = (
    "Give a catalog id (`planner models` lists them), its Hugging Face id, a config.json or its "
    "folder, a GGUF or safetensors file, or a YAML description."
)
"""What to write where a model is asked for."""

_FOLDER = "models_catalog"


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogEntry:
    """One line of the catalog.

    Parameters
    ----------
    id, name : str
        Identifier and printed name.
    parameters : int
        All parameters; a tied head counts once. [1]
    usable_context : int or None
        Tokens the positions are good for; None where nothing limits them. [tokens]
    hf_id : str or None
        Name on Hugging Face.
    aliases : tuple of str
        Further Hugging Face names of the same architecture.
    """

    id: str
    name: str
    parameters: int
    usable_context: int | None
    hf_id: str | None
    aliases: tuple[str, ...]


def model_ids() -> list[str]:
    """Return the ids of the catalog.

    Returns
    -------
    list of str
        Sorted.

    Examples
    --------
    >>> "llama-3.1-8b" in model_ids()
    True
    """
    return list(spec_paths(_FOLDER))


def catalog_model(name: str) -> Model | None:
    """Return a model of the catalog.

    Parameters
    ----------
    name : str
        Its id, its Hugging Face id or an alias, in any case.

    Returns
    -------
    Model or None
        None where nothing of the catalog has this name.

    Raises
    ------
    SpecError
        Its file cannot be used.
    """
    paths = spec_paths(_FOLDER)
    path = paths.get(name.lower()) or _by_hf_id(name, paths)
    return None if path is None else model_from_description(read_spec(path), str(path))


def known_names() -> list[str]:
    """Return every name that the catalog knows.

    Returns
    -------
    list of str
        Ids, then Hugging Face ids in small letters.
    """
    paths = spec_paths(_FOLDER)
    return [*paths, *(name.lower() for _, data in _readable(paths) for name in _hf_ids(data))]


def _hf_ids(data: Mapping[str, Any]) -> list[str]:
    aliases = data.get("aliases")
    names = [data.get("hf_id"), *(aliases if isinstance(aliases, list) else ())]
    return [name for name in names if isinstance(name, str)]


def _by_hf_id(text: str, paths: Mapping[str, Path]) -> Path | None:
    """Parse only the files in which the name stands."""
    wanted = text.lower()
    if wanted.count("/") != 1 or len(wanted) > 200:
        return None
    for path in paths.values():
        try:
            if wanted not in path.read_text(encoding="utf-8").lower():
                continue
            names = _hf_ids(read_spec(path))
        except (OSError, UnicodeDecodeError, SpecError):
            continue
        if wanted in map(str.lower, names):
            return path
    return None


def _readable(paths: Mapping[str, Path]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, path in paths.items():
        try:
            yield name, read_spec(path)
        except SpecError:
            continue


def describe_catalog() -> list[CatalogEntry]:
    """Return one line for each model of the catalog.

    Returns
    -------
    list of CatalogEntry
        Sorted by id. Counts are as stated; loading a model verifies them.

    Raises
    ------
    SpecError
        A file of the catalog cannot be read.

    Examples
    --------
    >>> {entry.id: entry.parameters for entry in describe_catalog()}["gpt2"]
    124439808
    """
    entries = []
    for name, path in spec_paths(_FOLDER).items():
        data = read_spec(path)
        try:
            entry = CatalogEntry(
                id=name,
                name=str(data["name"]),
                parameters=int(data["parameters"]),
                usable_context=data["usable_context"],
                hf_id=data.get("hf_id"),
                aliases=tuple(_hf_ids({"aliases": data.get("aliases")})),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise SpecError(f"cannot be listed ({error!r})", where=str(path)) from error
        entries.append(entry)
    return entries


def lint_models() -> list[str]:
    """Return what is wrong with the catalog.

    Returns
    -------
    list of str
        One sentence per problem; empty if every file loads, is named after its id, cites a source
        and has Hugging Face ids that no other file has.

    Examples
    --------
    >>> lint_models()
    []
    """
    problems = []
    owner: dict[str, str] = {}
    for name, path in spec_paths(_FOLDER).items():
        try:
            model = model_from_description(read_spec(path), str(path))
        except PlannerError as error:
            problems.append(str(error))
            continue
        if model.id != name:
            problems.append(f"{path}: the id is {model.id!r}, not the name of the file.")
        if not model.sources:
            problems.append(f"{path}: no source.")
        for hf_id in filter(None, (model.hf_id, *model.aliases)):
            other = owner.setdefault(hf_id.lower(), name)
            if other != name:
                problems.append(f"{path}: {hf_id} belongs to {other} already.")
            elif [model.hf_id, *model.aliases].count(hf_id) > 1:
                problems.append(f"{path}: {hf_id} stands there twice.")
    return problems
