"""Errors for people: what was wrong, where, what was given, what is allowed, how to fix it.

Every error that bad input can cause derives from :class:`PlannerError` and prints as one paragraph.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_SHOWN_CHARACTERS = 120


def shown(value: object) -> str:
    """Return a short, printable form of a value that a person entered.

    Parameters
    ----------
    value : object
        Anything, of any size.

    Returns
    -------
    str
        ``repr`` cut to 120 characters.

    Examples
    --------
    >>> shown("h100")
    "'h100'"
    """
    try:
        text = repr(value)
    except (ValueError, RecursionError):
        text = f"a {type(value).__name__} too large to print"
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"


def printable(name: object, most: int = _SHOWN_CHARACTERS) -> str:
    r"""Return a name from a file or a command line on one line, without control characters.

    Parameters
    ----------
    name : object
        A field, a key or a path.
    most : int
        Characters to keep. [1]

    Returns
    -------
    str
        The name itself where it is harmless.

    Examples
    --------
    >>> printable("hidden_size"), printable("a\nb")
    ('hidden_size', "'a\\nb'")
    """
    text = str(name)[:most]
    return text if text.isprintable() else ascii(text)


class PlannerError(Exception):
    """Base of every error that input can cause.

    Parameters
    ----------
    what : str
        What is wrong, one clause.
    where : str, optional
        File, field or flag.
    got : object, optional
        The value that was given.
    allowed : str, optional
        What is allowed.
    fix : str, optional
        What to do about it.
    """

    _ABSENT = object()

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        got: object = _ABSENT,
        allowed: str | None = None,
        fix: str | None = None,
    ) -> None:
        self.what = what
        self.where = where
        self.got = None if got is self._ABSENT else got
        self.allowed = allowed
        self.fix = fix
        parts = [f"{where}: {what}" if where else what]
        if got is not self._ABSENT:
            parts.append(f"got {shown(got)}")
        if allowed:
            parts.append(f"allowed: {allowed}")
        sentence = "; ".join(parts) + "."
        super().__init__(f"{sentence} {fix}" if fix else sentence)


class SpecError(PlannerError):
    """A hardware, model or configuration file says something that cannot be used."""


class UnsupportedConfigError(SpecError):
    """A model configuration holds a field that may change bytes or FLOP and is not understood."""


class ScenarioError(PlannerError):
    """The question itself is out of range or contradictory."""


class LayoutError(ScenarioError):
    """A parallel layout that the model or the devices do not admit."""


class PrecisionError(ScenarioError):
    """A number format that is unknown, or that the device has no rate for."""


class UnknownNameError(PlannerError):
    """An id that no catalog knows; the nearest known ones are offered.

    Parameters
    ----------
    kind : str
        What was looked for, such as ``"device"``.
    name : str
        The id that was given.
    known : iterable of str
        All ids that exist.
    fix : str, optional
        What to do about it.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], *, fix: str | None = None):
        ids = sorted(known)
        asked = str(name)[:200].lower()
        near = [entry for entry in ids if asked and asked in entry.lower()]
        near += difflib.get_close_matches(asked, ids, n=3, cutoff=0.5)
        near = list(dict.fromkeys(near))[:8]
        allowed = (
            "nearest: " + ", ".join(near)
            if near
            else ", ".join(ids[:12]) + (f" and {len(ids) - 12} more" if len(ids) > 12 else "")
        )
        super().__init__(f"unknown {kind}", got=name, allowed=allowed, fix=fix)
