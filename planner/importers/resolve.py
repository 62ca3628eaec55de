"""From what a person typed to a model: a catalog id, a Hugging Face id, or a file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

from planner.errors import (
    PlannerError,
    SpecError,
    UnknownNameError,
    UnsupportedConfigError,
    printable,
)
from planner.importers.gguf import gguf_from_bytes
from planner.importers.headers import is_weight_file, model_from_gguf, model_from_header
from planner.importers.huggingface import import_config
from planner.importers.reading import parse_json, read_json
from planner.model import Model
from planner.model.description import model_from_description
from planner.spec_folders import read_spec, spec_paths

_FOLDER = "models_catalog"
_PATH_CHARACTERS = 300
_QUANTISED_NAME = re.compile(r"(\w[\w.-]*?)__([\w.-]*(?:FP8|NVFP4)[\w.-]*)", re.IGNORECASE)
_YAML = (".yaml", ".yml")
_WEIGHTS = (".safetensors", ".gguf")
_NOT_READ = {".bin": "PyTorch files", ".pt": "PyTorch files"}
_HINT = (
    "Give a catalog id (`planner models` lists them), its Hugging Face id, a config.json or its "
    "folder, a GGUF or safetensors file, or a YAML description."
)


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


def load_model(name: str | os.PathLike[str], *, weights_given: bool = False) -> Model:
    """Return the model that a name or a path stands for; no network.

    Parameters
    ----------
    name : str or path
        A catalog id, a Hugging Face id or alias of the catalog in any case, a ``config.json`` or
        the folder that holds one, a GGUF file, a safetensors file or its index with the
        ``config.json`` beside it, or a YAML description.
    weights_given : bool
        Whether the person names a format of weights, so that a file's own does not matter.

    Returns
    -------
    Model
        The model.

    Raises
    ------
    UnknownNameError
        Nothing has this name; offers the nearest.
    SpecError
        The file cannot be used; names file and field.

    Examples
    --------
    >>> load_model("llama-3.1-8b").parameters
    8030261248
    """
    text = os.fspath(name)
    paths = spec_paths(_FOLDER)
    path = paths.get(text.lower()) or _by_hf_id(text, paths)
    if path is not None:
        return model_from_description(read_spec(path), str(path))
    file = Path(text).expanduser()
    if _is_file_name(text, file):
        return _from_file(file, weights_given=weights_given)
    raise UnknownNameError("model", text, _known(paths), fix=_HINT)


def _is_file_name(text: str, file: Path) -> bool:
    if file.suffix.lower() in (".json", *_YAML, *_WEIGHTS, *_NOT_READ):
        return True
    try:
        return bool(text) and file.exists()
    except (OSError, ValueError):
        return False


def _from_file(file: Path, *, weights_given: bool) -> Model:
    try:
        if file.is_dir():
            file = _in_folder(file)
        if not file.is_file():
            raise SpecError("no such file", where=printable(file, _PATH_CHARACTERS), fix=_HINT)
    except (OSError, ValueError) as error:
        raise SpecError(
            f"cannot be read ({error})", where=printable(file, _PATH_CHARACTERS)
        ) from error
    suffix = file.suffix.lower()
    where = printable(file, _PATH_CHARACTERS)
    if suffix in _NOT_READ:
        _refuse_kind(where, suffix)
    if is_weight_file(file):
        return model_from_header(file, weights_given=weights_given)
    if suffix in _YAML:
        return model_from_description(read_spec(file), where)
    model = import_config(
        read_json(file), where=where, weights_given=weights_given, quantisation=_beside(file)
    )
    return model if weights_given else _as_published(model, file.stem)


def _beside(file: Path) -> dict[str, Any] | None:
    """Return what stands about quantisation in a file of its own beside a configuration."""
    beside = file.with_name("hf_quant_config.json")
    return read_json(beside) if file.name == "config.json" and beside.is_file() else None


def _as_published(model: Model, stem: str) -> Model:
    """Return a model stored as the catalog knows it where only its name says that it is quantised.

    Some publishers keep what they say about quantisation in a file apart from the configuration.
    """
    named = _QUANTISED_NAME.fullmatch(stem)
    if model.checkpoint.quantised is not None or named is None:
        return model
    path = _by_hf_id("/".join(named.groups()), spec_paths(_FOLDER))
    if path is None:
        return model
    known = model_from_description(read_spec(path), str(path))
    if known.checkpoint.quantised is None or known.parameters != model.parameters:
        return model
    note = (
        f"The configuration says nothing about quantisation; that of {known.hf_id} in the catalog "
        f"is taken."
    )
    return replace(model, checkpoint=known.checkpoint, warnings=(*model.warnings, note))


def _in_folder(folder: Path) -> Path:
    config = folder / "config.json"
    if config.is_file():
        return config
    raise SpecError(
        "no config.json in this folder", where=printable(folder, _PATH_CHARACTERS), fix=_HINT
    )


def _refuse_kind(where: str, suffix: str) -> NoReturn:
    raise UnsupportedConfigError(
        f"{_NOT_READ[suffix]} are programs and are not read",
        where=where,
        fix="Give the model's config.json.",
    )


def model_from_text(data: bytes, where: str, *, weights_given: bool = False) -> Model:
    """Return the model in a file that was handed over as bytes, such as an upload.

    Parameters
    ----------
    data : bytes
        A configuration in JSON, or a GGUF file.
    where : str
        Name of the file, for errors and for the name of the model.
    weights_given : bool
        Whether the person names a format of weights, so that the file's own does not matter.

    Returns
    -------
    Model
        The model.

    Raises
    ------
    SpecError
        The text cannot be used; names file and field.

    Examples
    --------
    >>> model_from_text(b'{"hidden_size"', "config.json")
    Traceback (most recent call last):
        ...
    planner.errors.SpecError: config.json: not valid JSON: expecting ':' delimiter at line 1, \
column 15. The file may be cut off.
    """
    suffix = Path(where).suffix.lower()
    if suffix in _NOT_READ:
        _refuse_kind(where, suffix)
    if suffix == ".gguf":
        header = gguf_from_bytes(data, where)
        return model_from_gguf(header, None, where, weights_given=weights_given)
    if suffix == ".safetensors":
        raise UnsupportedConfigError(
            "a header without an architecture", where=where, fix="Give the model's config.json."
        )
    return import_config(parse_json(data, where), where=where, weights_given=weights_given)


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


def _known(paths: Mapping[str, Path]) -> list[str]:
    return [*paths, *(name.lower() for _, data in _readable(paths) for name in _hf_ids(data))]


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
