"""From what a person typed to a model: a catalog id, a Hugging Face id, or a file."""

from __future__ import annotations

import os
from pathlib import Path

from planner.errors import UnknownNameError
from planner.importers.catalog import HINT, catalog_model, known_names
from planner.model import Model
from planner.on_demand import load


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
    model: Model | None = catalog_model(text)
    if model is not None:
        return model
    file = Path(text).expanduser()
    if not load("planner.importers.files:is_file_name")(text, file):
        raise UnknownNameError("model", text, known_names(), fix=HINT)
    model = load("planner.importers.files:model_from_file")(file, weights_given=weights_given)
    return model
