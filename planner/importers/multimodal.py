"""Configurations that hold a language model beside towers for images or sound."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from planner.errors import SpecError
from planner.importers.class_defaults import left_out
from planner.importers.config import Config
from planner.importers.harmless import check_neutral
from planner.importers.position import read_positions
from planner.importers.quantization import declared_dtype
from planner.importers.registry import Architecture, find_reader
from planner.importers.tower_registry import Stack, read_tower, tower_types
from planner.model import Layer
from planner.model.part import Part
from planner.model.tower import Tower

Projector = Callable[[Config, Stack, int], tuple[Part, ...]]
"""From the whole configuration, a tower and the language model's width to what joins the two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sense:
    """A tower that a family's files may describe.

    Parameters
    ----------
    name : str
        What it reads: ``"vision"`` or ``"audio"``.
    section : str
        The field that describes it.
    default : str
        ``model_type`` of a section that does not name its own.
    projector : callable
        What joins it to the language model.
    missing : mapping, optional
        The section to take where the file's is null; without it there is no tower then.
    kind : str, optional
        What the tower is, whatever ``model_type`` its section names.
    """

    name: str
    section: str
    default: str
    projector: Projector
    missing: Mapping[str, object] | None = None
    kind: str | None = None


def read_multimodal(
    config: Config,
    *senses: Sense,
    default: str,
    section: str = "text_config",
    ignored: tuple[str, ...] = (),
) -> Architecture:
    """Return a language model with its towers, where the file has a section for each.

    Parameters
    ----------
    config : Config
        The whole configuration.
    *senses : Sense
        The towers that there may be.
    default : str
        ``model_type`` of a text section that does not name its own.
    section : str
        The field that holds the text section.
    ignored : tuple of str
        Fields of the text section that the family answers for.

    Returns
    -------
    Architecture
        A tied head and a format of the weights may be said outside the text section.

    Raises
    ------
    SpecError
        The text section is missing, or a figure in a section is unusable.

    Examples
    --------
    >>> read_multimodal(Config({}, "config.json"), default="llama")
    Traceback (most recent call last):
        ...
    planner.errors.SpecError: config.json: text_config: a required section is missing.
    """
    text = config.section(
        section,
        inherited=("tie_word_embeddings",),
        defaults={"model_type": default, **_filled(config, section, default)},
    )
    if text is None:
        raise SpecError("a required section is missing", where=config.place(section))
    config.ignore("vocab_size", "hidden_size")  # Once more what the section says.
    text.ignore(*ignored)
    architecture = find_reader(text)(text)
    check_neutral(text)
    return replace(
        architecture,
        dtype=declared_dtype(text) or architecture.dtype,
        positions=architecture.positions or read_positions(text, architecture),
        towers=(
            *architecture.towers,
            *read_towers(config, *senses, hidden=architecture.embedding.hidden),
        ),
    )


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
        The decoder alone.

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
    left_out = [name for name in towers if config.given(name)]
    if left_out:
        config.warn(
            f"Only the language model is planned: {', '.join(left_out)} and what joins it to the "
            f"language model are not counted."
        )
    return read_multimodal(config, default=default)


def read_towers(config: Config, *senses: Sense, hidden: int) -> tuple[Tower, ...]:
    """Return the towers that a configuration describes, each with what joins it to the model.

    Parameters
    ----------
    config : Config
        The whole configuration.
    *senses : Sense
        The towers that there may be.
    hidden : int
        Width of the language model. [elements]

    Returns
    -------
    tuple of Tower
        Held in memory; they work where somebody says what they read.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    UnsupportedConfigError
        A tower is not modelled.

    Examples
    --------
    >>> read_towers(Config({"vision_config": None}, "config.json"), hidden=4096)
    ()
    """
    towers = []
    tower_types()  # Towers put the defaults of their classes on record.
    for sense in senses:
        section = config.section(
            sense.section, defaults=_filled(config, sense.section, sense.kind or sense.default)
        )
        if section is None and sense.missing is not None:
            config.warn(f"The file says nothing in {sense.section}; its class's tower is taken.")
            section = Config(sense.missing, config.where, warnings=config.warnings)
        if section is None:
            continue
        stack = read_tower(section, sense.default, kind=sense.kind)
        check_neutral(section)
        joint = sense.projector(config, stack, hidden)
        layers = (*stack.layers, Layer("projector", joint)) if joint else stack.layers
        towers.append(Tower(name=sense.name, layers=layers))
    return tuple(towers)


def _filled(config: Config, name: str, kind: str) -> Mapping[str, object]:
    """Return the figures that the class of a section adds to it, with a note where it does."""
    section = config.peek(name)
    missing = left_out(section.get("model_type", kind), section) if section else {}
    if missing:
        config.warn(
            f"The file leaves out {', '.join(missing)} in {name}: those of its class are taken."
        )
    return missing


def feature_layers(config: Config) -> int:
    """Return how many layers of a tower the language model sees.

    Parameters
    ----------
    config : Config
        The whole configuration.

    Returns
    -------
    int
        One, or as many as ``vision_feature_layer`` lists. [1]

    Raises
    ------
    SpecError
        The list is empty.

    Examples
    --------
    >>> feature_layers(Config({"vision_feature_layer": [-2, -5]}, "config.json"))
    2
    """
    if not config.is_list("vision_feature_layer"):
        config.ignore("vision_feature_layer")
        return 1
    layers = config.entries("vision_feature_layer") or ()
    if not layers:
        config.refuse("vision_feature_layer", "a layer, or a list of layers")
    return len(layers)
