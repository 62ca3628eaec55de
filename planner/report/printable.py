"""Texts that every writer can print."""

from __future__ import annotations

import dataclasses
import unicodedata
from typing import TypeVar

T = TypeVar("T")


def printable(value: T) -> T:
    r"""Return blocks whose texts hold no control characters, bidirectional overrides or surrogates.

    Parameters
    ----------
    value : dataclass, tuple, str or any other
        A document or a part of one.

    Returns
    -------
    same type
        With U+FFFD in place of what no writer can print; line breaks become blanks.

    Examples
    --------
    >>> printable(("a\x00b", "one\ntwo", 3))
    ('a\ufffdb', 'one two', 3)
    """
    if isinstance(value, str):
        return _printable_text(value)  # type: ignore[return-value]
    if isinstance(value, tuple):
        return tuple(printable(item) for item in value)  # type: ignore[return-value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {
            field.name: printable(getattr(value, field.name)) for field in dataclasses.fields(value)
        }
        return dataclasses.replace(value, **fields)
    return value


def _printable_text(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_printable_character, text))


def _printable_character(character: str) -> str:
    if character in "\n\r\t\u2028\u2029":
        return " "
    if unicodedata.category(character) in {"Cc", "Cs", "Cn", "Co"} or character in _OVERRIDES:
        return "\ufffd"
    return character


_OVERRIDES = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
