"""JSON that anybody may have written, read without trusting it."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

from planner.errors import SpecError, printable

MOST_BYTES = 16_000_000
MOST_NESTING = 64
MOST_VALUES = 1_000_000
_PATH_CHARACTERS = 300


def read_json(path: Path) -> dict[str, Any]:
    """Read one JSON file.

    Parameters
    ----------
    path : pathlib.Path
        The file.

    Returns
    -------
    dict
        Its content.

    Raises
    ------
    SpecError
        It cannot be read, or is not an object in plain JSON; names file and position.
    """
    where = printable(path, _PATH_CHARACTERS)
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            _refuse_size(where, size)
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise SpecError(f"cannot be read ({reason})", where=where) from error
    return parse_json(data, where)


def parse_json(data: bytes, where: str, *, most_values: int = MOST_VALUES) -> dict[str, Any]:
    """Parse JSON text.

    Size, nesting, the number of values, duplicate keys and numbers that are not finite are checked
    as well as the grammar; ``Infinity`` alone passes, as the upper limit that some files write.

    Parameters
    ----------
    data : bytes
        The text in UTF-8.
    where : str
        Its file, for errors.
    most_values : int
        Values, lists and objects together. [1]

    Returns
    -------
    dict
        The content.

    Raises
    ------
    SpecError
        Not an object in plain JSON; names file and position.

    Examples
    --------
    >>> parse_json(b'{"hidden_size": 4096}', "config.json")
    {'hidden_size': 4096}
    >>> parse_json(b'{"hidden_size": ', "config.json")
    Traceback (most recent call last):
        ...
    planner.errors.SpecError: config.json: not valid JSON: expecting value at line 1, column 17. \
The file may be cut off.
    """
    if len(data) > MOST_BYTES:
        _refuse_size(where, len(data))
    if data.count(b",") + data.count(b"[") + data.count(b"{") > most_values:
        raise SpecError("too many values", where=where, allowed=f"at most {most_values:,}")
    try:
        content = json.loads(
            data.decode("utf-8-sig"),
            object_pairs_hook=_unique,
            parse_float=_finite,
            parse_constant=_constant,
        )
    except UnicodeDecodeError as error:
        raise SpecError(f"not UTF-8 text at byte {error.start:,}", where=where) from error
    except json.JSONDecodeError as error:
        raise _grammar_error(error, where) from error
    except RecursionError as error:
        raise _nesting_error(where) from error
    except ValueError as error:
        raise SpecError(f"not valid JSON: {str(error)[:120]}", where=where) from error
    _check_nesting(content, where)
    if not isinstance(content, dict):
        raise SpecError("not a JSON object of fields", where=where, got=content)
    return content


def _refuse_size(where: str, size: int) -> None:
    raise SpecError(
        "too large for a configuration",
        where=where,
        got=f"{size:,} bytes",
        allowed=f"at most {MOST_BYTES:,} bytes",
    )


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"the field {twice[:80]!r} stands twice in one object")
    return fields


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is not a finite number")
    return number


def _constant(text: str) -> float:
    """Accept ``Infinity``, which published files write for a limit that is none."""
    return math.inf if text == "Infinity" else _finite(text)


def _check_nesting(content: object, where: str) -> None:
    level: list[object] = [content]
    for _ in range(MOST_NESTING + 1):
        level = [
            item
            for value in level
            if isinstance(value, dict | list)
            for item in (value.values() if isinstance(value, dict) else value)
        ]
        if not level:
            return
    raise _nesting_error(where)


def _nesting_error(where: str) -> SpecError:
    return SpecError("nested too deeply", where=where, allowed=f"{MOST_NESTING} levels")


def _grammar_error(error: json.JSONDecodeError, where: str) -> SpecError:
    problem = (error.msg[:1].lower() + error.msg[1:]).removesuffix(" at")
    cut = error.pos >= len(error.doc.rstrip()) or error.msg.startswith("Unterminated")
    return SpecError(
        f"not valid JSON: {problem} at line {error.lineno:,}, column {error.colno:,}",
        where=where,
        fix="The file may be cut off." if cut else None,
    )
