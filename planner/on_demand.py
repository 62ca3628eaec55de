"""What is loaded when it is first asked for, so that an answer loads only what it needs.

Places are written ``"package.module:name"``; the test of the architecture reads such texts as
imports, so what is loaded later still keeps to the floors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any, TypeVar

Value = TypeVar("Value")


def load(place: str) -> Any:
    """Return what stands at a place, after importing its module.

    Parameters
    ----------
    place : str
        Module and name, such as ``"planner.units:GIB"``.

    Returns
    -------
    object
        What the module calls so.

    Examples
    --------
    >>> load("planner.units:GIB")
    1073741824
    """
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)


def offered(places: Mapping[str, str]) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a package that offers names which are loaded when asked for.

    Parameters
    ----------
    places : mapping
        Place by name; no name is also one of the package's modules.

    Returns
    -------
    callable
        From a name to what stands there.

    Examples
    --------
    >>> offered({"GIB": "planner.units:GIB"})("GIB")
    1073741824
    """

    def found(name: str) -> Any:
        if name not in places:
            raise AttributeError(f"no such name: {name}")
        return load(places[name])

    return found


class OnDemand(Mapping[str, Value]):
    """Values by name, each imported when it is first asked for.

    Parameters
    ----------
    places : mapping
        Place by name.

    Examples
    --------
    >>> sizes = OnDemand[int]({"gib": "planner.units:GIB"})
    >>> "gib" in sizes, list(sizes), sizes["gib"]
    (True, ['gib'], 1073741824)
    """

    def __init__(self, places: Mapping[str, str]) -> None:
        self._places = dict(places)

    def __getitem__(self, name: str) -> Value:
        value: Value = load(self._places[name])
        return value

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)
