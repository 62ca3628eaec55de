"""Where spec files live, and how one is read without trusting it.

Specs are YAML files in folders at the root of a clone; a wheel carries the same folders inside the
package. ``PLANNER_SPEC_PATH`` names further folders, laid out alike, whose files come first. What a
script writes may be JSON, which reads a hundred times as fast.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from planner.errors import SpecError, printable

ENVIRONMENT_VARIABLE = "PLANNER_SPEC_PATH"
MOST_BYTES = 1_000_000
MOST_NESTING = 16
_SHOWN_CHARACTERS = 200

_PACKAGE = Path(__file__).resolve().parent
_BASE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

SpecModel = TypeVar("SpecModel", bound=BaseModel)


@functools.cache
def folder(name: str) -> Path:
    """Return the shipped folder of one kind of spec.

    Parameters
    ----------
    name : str
        ``"hardware_specs"`` or ``"models_catalog"``.

    Returns
    -------
    pathlib.Path
        Inside an installed wheel, or beside the package in a clone.

    Raises
    ------
    SpecError
        The folder is missing.

    Examples
    --------
    >>> folder("hardware_specs").name
    'hardware_specs'
    """
    for candidate in (_PACKAGE / "_data" / name, _PACKAGE.parent / name):
        if candidate.is_dir():
            return candidate
    raise SpecError("the folder of spec files is missing", where=name, fix="Install again.")


def application() -> Path:
    """Return the script of the page.

    Returns
    -------
    pathlib.Path
        Inside an installed wheel, or beside the package in a clone.

    Raises
    ------
    SpecError
        The script is missing.

    Examples
    --------
    >>> application().name
    'app.py'
    """
    for candidate in (_PACKAGE / "_data" / "app.py", _PACKAGE.parent / "app.py"):
        if candidate.is_file():
            return candidate
    raise SpecError("the script of the page is missing", where="app.py", fix="Install again.")


def folders(name: str) -> tuple[Path, ...]:
    """Return every folder of one kind of spec, the user's own first.

    Parameters
    ----------
    name : str
        ``"hardware_specs"`` or ``"models_catalog"``.

    Returns
    -------
    tuple of pathlib.Path
        Where two files have the same name, the one in the earlier folder counts.

    Raises
    ------
    SpecError
        The environment variable names something that is not a folder.
    """
    return (*own_folders(name), folder(name))


def own_folders(name: str) -> tuple[Path, ...]:
    """Return the user's own folders of one kind of spec.

    Parameters
    ----------
    name : str
        ``"hardware_specs"`` or ``"models_catalog"``.

    Returns
    -------
    tuple of pathlib.Path
        In the order in which the environment variable names them.

    Raises
    ------
    SpecError
        The environment variable names something that is not a folder.
    """
    own: list[Path] = []
    for entry in filter(None, os.environ.get(ENVIRONMENT_VARIABLE, "").split(os.pathsep)):
        root = Path(entry).expanduser()
        if not root.is_dir():
            raise SpecError("not a folder", where=ENVIRONMENT_VARIABLE, got=entry)
        if (root / name).is_dir():
            own.append(root / name)
    return tuple(own)


def spec_paths(name: str, subfolder: str = ".") -> dict[str, Path]:
    """Return the spec files of one kind by id, which is the name of the file.

    Parameters
    ----------
    name : str
        ``"hardware_specs"`` or ``"models_catalog"``.
    subfolder : str
        A folder below it.

    Returns
    -------
    dict
        Path by id, sorted.

    Examples
    --------
    >>> spec_paths("hardware_specs")["h100-sxm"].name
    'h100-sxm.yaml'
    """
    paths: dict[str, Path] = {}
    for root in folders(name):
        for path in (root / subfolder).glob("*.yaml"):
            paths.setdefault(path.stem, path)
    return dict(sorted(paths.items()))


def shown_path(path: Path) -> str:
    """Return a path as errors print it.

    Parameters
    ----------
    path : pathlib.Path
        A file.

    Returns
    -------
    str
        Its end, where it is very long.

    Examples
    --------
    >>> shown_path(Path("specs/mine.yaml"))
    'specs/mine.yaml'
    """
    text = str(path)
    return text if len(text) <= _SHOWN_CHARACTERS else "…" + text[-_SHOWN_CHARACTERS:]


def read_spec(path: Path) -> Mapping[str, Any]:
    """Read one YAML or JSON file that anybody may have written.

    Aliases, duplicate keys, deep nesting and large files are refused; dates stay text. A file that
    has not changed is parsed once. A name that ends in ``.json`` says JSON.

    Parameters
    ----------
    path : pathlib.Path
        The file.

    Returns
    -------
    Mapping
        Its content, not to be changed.

    Raises
    ------
    SpecError
        It cannot be read, or is not a mapping in plain YAML or JSON.
    """
    where = shown_path(path)
    try:
        if not path.is_file():
            raise SpecError("no such file", where=where)
        stat = path.stat()
    except (OSError, ValueError) as error:
        raise SpecError(f"cannot be read ({str(error)[:80]})", where=where) from error
    if stat.st_size > MOST_BYTES:
        raise SpecError(
            "too large for a spec file",
            where=where,
            got=f"{stat.st_size:,} bytes",
            allowed=f"at most {MOST_BYTES:,} bytes",
        )
    return _parsed(path, stat.st_mtime_ns, stat.st_size)


@functools.lru_cache(maxsize=2048)
def _parsed(path: Path, mtime_ns: int, size: int) -> Mapping[str, Any]:
    where = shown_path(path)
    try:
        text = path.read_text(encoding="utf-8")
        data = _from_json(text) if path.suffix == ".json" else _from_yaml(text, where)
    except yaml.YAMLError as error:
        raise SpecError(f"not valid YAML ({_yaml_problem(error)})", where=where) from error
    except json.JSONDecodeError as error:
        raise SpecError(
            f"not valid JSON ({error.msg}, line {error.lineno})", where=where
        ) from error
    except (OSError, ValueError, OverflowError, RecursionError) as error:
        raise SpecError(f"cannot be read ({str(error)[:120]})", where=where) from error
    if not isinstance(data, dict):
        raise SpecError("not a mapping", where=where, got=data, allowed="a mapping of fields")
    return data


def _from_yaml(text: str, where: str) -> Any:
    _refuse_traps(text, where)
    return yaml.load(text, Loader=_SpecLoader)


def _from_json(text: str) -> Any:
    """Read JSON; the parser itself refuses what is nested too deeply."""
    return json.loads(text, object_pairs_hook=_unique_keys)


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        raise ValueError("a key stands twice in one mapping")
    return mapping


class _SpecLoader(_BASE):  # type: ignore[misc]
    """The C parser with duplicate keys refused and dates left as text."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own protocol
        first: [(tag, regexp) for tag, regexp in pairs if not tag.endswith(":timestamp")]
        for first, pairs in _BASE.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        mapping = super().construct_mapping(node, deep)
        if len(mapping) != len(node.value):
            raise yaml.constructor.ConstructorError(
                None, None, "a key stands twice in one mapping", node.start_mark
            )
        return mapping


def _refuse_traps(text: str, where: str) -> None:
    """Refuse what makes a small file large or deep, before anything is built from it."""
    depth = 0
    for event in yaml.parse(text, Loader=_SpecLoader):
        if isinstance(event, yaml.AliasEvent):
            raise SpecError("an alias (*name)", where=where, allowed="plain values only")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MOST_NESTING:
                raise SpecError("nested too deeply", where=where, allowed=f"{MOST_NESTING} levels")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _yaml_problem(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = str(getattr(error, "problem", None) or error)[:120]
    return f"{problem}, line {mark.line + 1}" if mark else problem


def validate(model: type[SpecModel], data: Mapping[str, Any], where: str) -> SpecModel:
    """Check the content of a file against its model.

    Parameters
    ----------
    model : type
        A strict pydantic model.
    data : Mapping
        The content.
    where : str
        The file, for errors.

    Returns
    -------
    pydantic.BaseModel
        The checked content.

    Raises
    ------
    SpecError
        Names the file and the key of the first problem.

    Examples
    --------
    >>> from planner.sources import Figure
    >>> validate(Figure, {"value": "1e12", "unit": "B", "source": "x"}, "a.yaml")
    Traceback (most recent call last):
        ...
    planner.errors.SpecError: a.yaml: value: text where a number belongs; got '1e12'. YAML reads \
1e12 as text: write 1.0e+12 or 1000000000000.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise _spec_error(error, data, where) from error


def _spec_error(error: ValidationError, data: Mapping[str, Any], where: str) -> SpecError:
    problems = error.errors(include_url=False, include_context=False)
    first = problems[0]
    keys, got = _locate(data, first["loc"])
    place = f"{where}: {'.'.join(keys)}" if keys else where
    if first["type"] == "missing":
        return SpecError("a required field is missing", where=f"{where}: {_dotted(first['loc'])}")
    if first["type"] in {"extra_forbidden", "unexpected_keyword_argument"}:
        return SpecError("an unknown field", where=place, fix="Correct its spelling or remove it.")
    numeric = first["type"] in {"float_type", "int_type", "float_parsing", "int_parsing"}
    if numeric and isinstance(got, str):
        return SpecError(
            "text where a number belongs",
            where=place,
            got=got,
            fix="YAML reads 1e12 as text: write 1.0e+12 or 1000000000000.",
        )
    message = first["msg"][:1].lower() + first["msg"][1:]
    return SpecError(message, where=place, got=got)


def _locate(data: Any, location: tuple[int | str, ...]) -> tuple[list[str], Any]:
    """Follow a location into the data; pydantic adds names of union members to it."""
    keys: list[str] = []
    for key in location:
        inside = isinstance(data, Mapping) and key in data
        if not inside and not (isinstance(data, list) and isinstance(key, int)):
            continue
        data = data[key]
        keys.append(printable(key, 80))
    return keys, data


def _dotted(location: tuple[int | str, ...]) -> str:
    return ".".join(printable(key, 80) for key in location)
