"""Models from the headers of weight files."""

from __future__ import annotations

from pathlib import Path

from planner.errors import SpecError, printable
from planner.importers.dialects.gguf_words import configuration, translated
from planner.importers.gguf import SUFFIX as GGUF_SUFFIX
from planner.importers.gguf import Gguf, read_gguf
from planner.importers.huggingface import import_config
from planner.importers.measured import measured
from planner.importers.reading import read_json
from planner.importers.safetensors import INDEX_SUFFIX, SUFFIX, read_safetensors
from planner.model import Model

_PATH_CHARACTERS = 300
_CONFIG = "config.json"
_BESIDE = "hf_quant_config.json"


def is_weight_file(file: Path) -> bool:
    """Return whether a file is one whose header is read.

    Parameters
    ----------
    file : pathlib.Path
        The file.

    Returns
    -------
    bool
        True for safetensors files, their indices, and GGUF files.

    Examples
    --------
    >>> is_weight_file(Path("model.safetensors.index.json")), is_weight_file(Path("config.json"))
    (True, False)
    """
    return file.name.lower().endswith((SUFFIX, INDEX_SUFFIX, GGUF_SUFFIX))


def model_from_header(file: Path, *, weights_given: bool) -> Model:
    """Return the model in a weight file, its weights exactly as the file holds them.

    Parameters
    ----------
    file : pathlib.Path
        A safetensors file or index with the ``config.json`` beside it, or a GGUF file.
    weights_given : bool
        Whether the person names a format of weights, so that the file's own does not matter.

    Returns
    -------
    Model
        Its weights take exactly the bytes of the file's tensors.

    Raises
    ------
    SpecError
        A file is missing, malformed or cut off; names file and field.
    """
    where = printable(file, _PATH_CHARACTERS)
    if file.name.lower().endswith(GGUF_SUFFIX):
        return model_from_gguf(read_gguf(file), file, where, weights_given=weights_given)
    model = _configured(file.with_name(_CONFIG), weights_given=weights_given)
    tensors = read_safetensors(file)
    return model if weights_given else measured(model, tensors, where)


def _configured(config: Path, *, weights_given: bool) -> Model:
    where = printable(config, _PATH_CHARACTERS)
    if not config.is_file():
        raise SpecError(
            "no config.json beside the weights",
            where=where,
            fix="The header names tensors, not the architecture; put its config.json beside it.",
        )
    beside = config.with_name(_BESIDE)
    return import_config(
        read_json(config),
        where=where,
        weights_given=weights_given,
        quantisation=read_json(beside) if beside.is_file() else None,
    )


def model_from_gguf(header: Gguf, file: Path | None, where: str, *, weights_given: bool) -> Model:
    """Return the model that a GGUF header describes.

    Parameters
    ----------
    header : Gguf
        The header.
    file : pathlib.Path or None
        Its file; a ``config.json`` beside it serves where the architecture is not read.
    where : str
        The same, for errors.
    weights_given : bool
        Whether the person names a format of weights, so that the file's own does not matter.

    Returns
    -------
    Model
        Its weights take exactly the bytes of the file's tensors.

    Raises
    ------
    SpecError
        A figure is missing or unusable, or the architecture is not read.
    """
    try:
        model = import_config(configuration(header, where), where=where, weights_given=True)
    except SpecError:
        if file is None or not file.with_name(_CONFIG).is_file():
            raise
        model = _configured(file.with_name(_CONFIG), weights_given=True)
    return model if weights_given else measured(model, translated(header), where)
