"""Which reader understands which kind of configuration; one file of ``families`` each."""

from __future__ import annotations

import difflib
import functools
import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass

from planner.errors import UnsupportedConfigError
from planner.importers.config import Config
from planner.model import Layer
from planner.model.embedding import Embedding, Head
from planner.model.part import Part
from planner.model.position import Positions
from planner.model.tower import Tower


@dataclass(frozen=True, slots=True, kw_only=True)
class RotaryDefaults:
    """What a family does with rotary positions where a file does not say it.

    Parameters
    ----------
    base : float
        Base of the angles. [1]
    window_base : float, optional
        Base in layers with a window; as elsewhere without it. [1]
    scaled_windows : bool
        Whether a scaling holds in layers with a window too.
    """

    base: float = 10_000.0
    window_base: float | None = None
    scaled_windows: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """What a configuration says about the network itself.

    Parameters
    ----------
    embedding : Embedding
        Token table.
    layers : tuple of Layer
        The stack, in order.
    final : tuple of Part
        What stands between the last layer and the head.
    head : Head
        LM head.
    usable_context : int or None
        Tokens the positions are good for; None where nothing limits them. [tokens]
    dtype : str, optional
        Format of the published weights where a family's files do not say it.
    mtp : tuple of Layer
        Layers for multi-token prediction, beside the stack.
    initial : tuple of Part
        What stands between the token table and the first layer.
    towers : tuple of Tower
        Stacks beside the main one.
    positions : Positions, optional
        What the usable context rests on.
    rotary : RotaryDefaults
        What holds for rotary positions where the file is silent.
    """

    embedding: Embedding
    layers: tuple[Layer, ...]
    final: tuple[Part, ...]
    head: Head
    usable_context: int | None
    dtype: str | None = None
    mtp: tuple[Layer, ...] = ()
    initial: tuple[Part, ...] = ()
    towers: tuple[Tower, ...] = ()
    positions: Positions | None = None
    rotary: RotaryDefaults = RotaryDefaults()


Reader = Callable[[Config], Architecture]

_SHOWN = 12
_MOST_COMPARED = 80

_BY_TYPE: dict[str, Reader] = {}
_BY_ARCHITECTURE: dict[str, Reader] = {}
_BY_SIGNATURE: dict[frozenset[str], Reader] = {}
_WRAPPERS: dict[str, Reader] = {}


def family(
    *model_types: str, architectures: tuple[str, ...] = (), signature: tuple[str, ...] = ()
) -> Callable[[Reader], Reader]:
    """Return a decorator that registers a reader.

    Parameters
    ----------
    *model_types : str
        Values of ``model_type`` that it understands.
    architectures : tuple of str
        Class names, for files without a ``model_type``.
    signature : tuple of str
        Fields that together give away a file with neither.

    Returns
    -------
    callable
        Returns the reader as it is.

    Raises
    ------
    ValueError
        Another reader has one of the names.

    Examples
    --------
    >>> "llama" in model_types()
    True
    >>> family("llama")(lambda config: None)
    Traceback (most recent call last):
        ...
    ValueError: two readers for llama
    """

    def register(reader: Reader) -> Reader:
        for registered, names in (
            (_BY_TYPE, model_types),
            (_BY_ARCHITECTURE, architectures),
        ):
            for name in names:
                if name in registered:
                    raise ValueError(f"two readers for {name}")
                registered[name] = reader
        if signature:
            _BY_SIGNATURE[frozenset(signature)] = reader
        return reader

    return register


def wrapper(*sections: str) -> Callable[[Reader], Reader]:
    """Return a decorator that registers a reader of files of any kind that hold a known one.

    Parameters
    ----------
    *sections : str
        Fields that may hold the language model.

    Returns
    -------
    callable
        Returns the reader as it is.

    Examples
    --------
    >>> wrapper()(find_reader) is find_reader
    True
    """

    def register(reader: Reader) -> Reader:
        _WRAPPERS.update(dict.fromkeys(sections, reader))
        return reader

    return register


def wrapped_section(config: Config) -> str | None:
    """Return the field that holds a language model of a known kind.

    Parameters
    ----------
    config : Config
        The whole configuration.

    Returns
    -------
    str or None
        None where no section names a known kind.

    Examples
    --------
    >>> wrapped_section(Config({"text_config": {"model_type": "llama"}}, "config.json"))
    'text_config'
    """
    _families()
    kinds = ((name, config.peek(name).get("model_type")) for name in _WRAPPERS)
    return next((name for name, kind in kinds if isinstance(kind, str) and kind in _BY_TYPE), None)


@functools.cache
def _families() -> None:
    """Import every file of ``families``, which registers its readers."""
    package = importlib.import_module("planner.importers.families")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")


def model_types() -> list[str]:
    """Return the kinds of configuration that are understood.

    Returns
    -------
    list of str
        Values of ``model_type``, sorted.

    Examples
    --------
    >>> "llama" in model_types()
    True
    """
    _families()
    return sorted(_BY_TYPE)


def find_reader(config: Config) -> Reader:
    """Return the reader of a configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    callable
        Chosen by ``model_type``; without one by ``architectures``, then by telling fields; at last
        by a section of a known kind.

    Raises
    ------
    UnsupportedConfigError
        No reader understands this kind; names it and those that are understood.
    """
    _families()
    model_type = config.text("model_type")
    names = [name for name in config.entries("architectures") or () if isinstance(name, str)]
    if model_type is not None:
        reader = _BY_TYPE.get(model_type)
        field, got = "model_type", model_type
    else:
        reader = next((_BY_ARCHITECTURE[name] for name in names if name in _BY_ARCHITECTURE), None)
        field, got = "architectures", ", ".join(names)
    for signature, own in _BY_SIGNATURE.items():
        if reader is None and model_type is None and all(name in config for name in signature):
            reader = own
    if reader is None:
        reader = _WRAPPERS.get(wrapped_section(config) or "")
    if reader is None:
        raise UnsupportedConfigError(
            "an architecture that is not modelled" if got else "names no architecture",
            where=config.place(field),
            got=got or None,
            allowed=_nearest(got),
        )
    return reader


def _nearest(kind: str) -> str:
    """Return the kinds that are spelt most like one, and how many others there are."""
    known = model_types()
    near = difflib.get_close_matches(kind[:_MOST_COMPARED], known, _SHOWN, 0.0)
    return f"{', '.join(near)} and {len(known) - len(near)} others"
