"""Configurations that hold a language model beside towers for images or sound."""

from __future__ import annotations

from dataclasses import replace

from planner.errors import SpecError
from planner.importers.config import Config
from planner.importers.harmless import check_neutral
from planner.importers.position import read_positions
from planner.importers.quantization import declared_dtype
from planner.importers.registry import Architecture, find_reader


def read_language_model(config: Config, *, towers: tuple[str, ...], default: str) -> Architecture:
    """Return the language model of a configuration, with a warning that names what is left out.

    Parameters
    ----------
    config : Config
        The whole configuration.
    towers : tuple of str
        Sections of the parts that are not counted.
    default : str
        ``model_type`` of a text section that does not name its own.

    Returns
    -------
    Architecture
        The decoder alone. A tied head and a format of the weights may be said outside its section.

    Raises
    ------
    SpecError
        The text section is missing, or a figure in it is unusable.

    Examples
    --------
    >>> read_language_model(Config({}, "config.json"), towers=(), default="llama")
    Traceback (most recent call last):
        ...
    planner.errors.SpecError: config.json: text_config: a required section is missing.
    """
    text = config.section(
        "text_config", inherited=("tie_word_embeddings",), defaults={"model_type": default}
    )
    if text is None:
        raise SpecError("a required section is missing", where=config.place("text_config"))
    left_out = [name for name in towers if config.given(name)]
    if left_out:
        config.warn(
            f"Only the language model is planned: {', '.join(left_out)} and what joins it to the "
            f"language model are not counted."
        )
    check_neutral(text)
    architecture = find_reader(text)(text)
    return replace(
        architecture,
        dtype=declared_dtype(text) or architecture.dtype,
        positions=architecture.positions or read_positions(text, architecture),
    )
