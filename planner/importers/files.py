"""Models from files: configurations, weight files and descriptions."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from planner.errors import SpecError, UnsupportedConfigError, printable
from planner.importers.catalog import HINT, catalog_model
from planner.importers.gguf import gguf_from_bytes
from planner.importers.headers import is_weight_file, model_from_gguf, model_from_header
from planner.importers.huggingface import import_config
from planner.importers.reading import parse_json, read_json
from planner.model import Model
from planner.model.description import model_from_description
from planner.spec_folders import read_spec

_PATH_CHARACTERS = 300
_QUANTISED_NAME = re.compile(r"(\w[\w.-]*?)__([\w.-]*(?:FP8|NVFP4)[\w.-]*)", re.IGNORECASE)
_YAML = (".yaml", ".yml")
_WEIGHTS = (".safetensors", ".gguf")
_NOT_READ = {".bin": "PyTorch files", ".pt": "PyTorch files"}


def is_file_name(text: str, file: Path) -> bool:
    """Return whether what a person typed is meant as a file.

    Parameters
    ----------
    text : str
        What was typed.
    file : pathlib.Path
        The same as a path.

    Returns
    -------
    bool
        True where it ends like a file that describes a model, or is there.

    Examples
    --------
    >>> is_file_name("mine.gguf", Path("mine.gguf")), is_file_name("gpt-5", Path("gpt-5"))
    (True, False)
    """
    if file.suffix.lower() in (".json", *_YAML, *_WEIGHTS, *_NOT_READ):
        return True
    try:
        return bool(text) and file.exists()
    except (OSError, ValueError):
        return False


def model_from_file(file: Path, *, weights_given: bool = False) -> Model:
    """Return the model that a file or a folder describes.

    Parameters
    ----------
    file : pathlib.Path
        A ``config.json`` or its folder, a weight file or its index, or a YAML description.
    weights_given : bool
        Whether the person names a format of weights, so that the file's own does not matter.

    Returns
    -------
    Model
        The model.

    Raises
    ------
    SpecError
        The file cannot be used; names file and field.
    """
    try:
        if file.is_dir():
            file = _in_folder(file)
        if not file.is_file():
            raise SpecError("no such file", where=printable(file, _PATH_CHARACTERS), fix=HINT)
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
    known = catalog_model("/".join(named.groups()))
    if known is None or known.checkpoint.quantised is None:
        return model
    if known.parameters != model.parameters:
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
        "no config.json in this folder", where=printable(folder, _PATH_CHARACTERS), fix=HINT
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
