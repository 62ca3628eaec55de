"""The fields of a configuration file, and which of them were understood."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NoReturn

from planner.errors import SpecError, UnsupportedConfigError, printable

_MOST_LISTED = 12
_NAME_CHARACTERS = 80
_TOKEN_IDS = ("_token_id", "_token_ids", "_token_index")
MISSING = object()
_SIZE = re.compile(
    r"(^|_)(num|n|heads?|layers?|sizes?|dims?|experts?|rank|width|hidden|slots?|channels?|blocks?)(_|$)"
)
"""Names of counts and widths."""


class Fields:
    """A mapping that is read field by field; what nobody read is found at the end.

    Parameters
    ----------
    data : mapping
        The content of a configuration file, or of a section of it.
    where : str
        The file, for errors.
    prefix : str
        The section, as in ``"text_config."``.
    warnings : list of str, optional
        Where notes to the person go; sections share their file's.
    """

    __slots__ = ("_data", "_prefix", "_read", "_sections", "warnings", "where")

    def __init__(
        self,
        data: Mapping[str, object],
        where: str,
        *,
        prefix: str = "",
        warnings: list[str] | None = None,
    ) -> None:
        self._data = data
        self._prefix = prefix
        self._read: set[str] = set()
        self._sections: dict[str, Fields] = {}
        self.where = where
        self.warnings: list[str] = [] if warnings is None else warnings

    def __contains__(self, name: str) -> bool:
        return name in self._data

    def given(self, name: str) -> bool:
        """Return whether a field is there and not null; it counts as read.

        Parameters
        ----------
        name : str
            The field.

        Returns
        -------
        bool
            Whether it says anything.

        Examples
        --------
        >>> Fields({"n_inner": None}, "config.json").given("n_inner")
        False
        """
        value = self._raw((name,))[1]
        return value is not None and value is not MISSING

    def is_text(self, name: str) -> bool:
        """Return whether a field holds a text; it does not count as read.

        Parameters
        ----------
        name : str
            The field.

        Returns
        -------
        bool
            False where it is missing.

        Examples
        --------
        >>> Fields({"sliding_window_pattern": "LLLG"}, "config.json").is_text(
        ...     "sliding_window_pattern"
        ... )
        True
        """
        return isinstance(self._data.get(name), str)

    def names(self) -> list[str]:
        """Return the names of all fields, read or not.

        Returns
        -------
        list of str
            In the order of the file.

        Examples
        --------
        >>> Fields({"05": {}, "11": {}}, "config.json").names()
        ['05', '11']
        """
        return list(self._data)

    def peek(self, name: str) -> Mapping[str, object]:
        """Return a section as it stands; it does not count as read.

        Parameters
        ----------
        name : str
            The field.

        Returns
        -------
        mapping
            Empty where the field holds no section.

        Examples
        --------
        >>> Fields({"text_config": {"hidden_size": 512}}, "config.json").peek("text_config")
        {'hidden_size': 512}
        """
        value = self._data.get(name)
        return value if isinstance(value, Mapping) else {}

    def is_list(self, name: str) -> bool:
        """Return whether a field holds a list; it does not count as read.

        Parameters
        ----------
        name : str
            The field.

        Returns
        -------
        bool
            False where it is missing.

        Examples
        --------
        >>> Fields({"vision_feature_layer": -2}, "config.json").is_list("vision_feature_layer")
        False
        """
        return isinstance(self._data.get(name), list)

    def was_read(self, name: str) -> bool:
        """Return whether somebody read a field, and so answers for its value.

        Parameters
        ----------
        name : str
            The field.

        Returns
        -------
        bool
            False where it is missing.

        Examples
        --------
        >>> Fields({"is_causal": False}, "config.json").was_read("is_causal")
        False
        """
        return name in self._read

    def warn(self, text: str) -> None:
        """Leave a note for the person who plans with this file.

        Parameters
        ----------
        text : str
            A sentence; said once, however often it is left.

        Examples
        --------
        >>> config = Fields({}, "config.json")
        >>> config.warn("Mind the gap.")
        >>> config.warnings
        ['Mind the gap.']
        """
        if text not in self.warnings:
            self.warnings.append(text)

    def place(self, name: str) -> str:
        """Return where a field stands, for an error.

        Parameters
        ----------
        name : str
            The field.

        Returns
        -------
        str
            File, section and field.

        Examples
        --------
        >>> Fields({}, "config.json", prefix="text_config.").place("hidden_size")
        'config.json: text_config.hidden_size'
        """
        return f"{self.where}: {self._prefix}{printable(name, _NAME_CHARACTERS)}"

    def refuse(self, name: str, allowed: str, what: str = "not usable") -> NoReturn:
        """Raise for the value of a field.

        Parameters
        ----------
        name : str
            The field.
        allowed : str
            What it may be.
        what : str
            What is wrong, one clause.

        Raises
        ------
        SpecError
            Always; names file, field, value and what is allowed.
        """
        raise SpecError(what, where=self.place(name), got=self._data.get(name), allowed=allowed)

    def _raw(self, names: tuple[str, ...]) -> tuple[str, object]:
        """Return the first of a figure's names that is there, and its value."""
        present = [name for name in names if name in self._data]
        self._read.update(present)
        values = [(name, self._data[name]) for name in present]
        given = [pair for pair in values if pair[1] is not None] or values
        for name, value in given[1:]:
            if value != given[0][1]:
                self.refuse(name, f"the value of {given[0][0]}", "two fields contradict each other")
        return given[0] if given else (names[0], MISSING)

    def mapping(self, name: str) -> Mapping[str, object]:
        """Return an object as it stands, empty where the field is missing or null.

        Parameters
        ----------
        name : str
            The field.

        Returns
        -------
        mapping
            Its fields all count as read.

        Raises
        ------
        SpecError
            Not an object.

        Examples
        --------
        >>> Fields({"dynamic": {"a": 1}}, "config.json").mapping("dynamic")
        {'a': 1}
        """
        name, value = self._raw((name,))
        if value is MISSING or value is None:
            return {}
        if not isinstance(value, Mapping):
            self.refuse(name, "an object of fields", "not an object")
        return value

    def is_any(self, name: str, *values: object) -> bool:
        """Return whether a field has one of some values.

        Parameters
        ----------
        name : str
            The field.
        *values : object
            The values.

        Returns
        -------
        bool
            False for a missing field.

        Examples
        --------
        >>> Fields({"actorder": "static"}, "config.json").is_any("actorder", False, "static")
        True
        """
        value = self._raw((name,))[1]
        return any(
            value is item or (value == item and type(value) is type(item)) for item in values
        )

    def _missing(self, names: tuple[str, ...]) -> NoReturn:
        fix = f"Also known as: {', '.join(names[1:])}." if names[1:] else None
        raise SpecError("a required field is missing", where=self.place(names[0]), fix=fix)

    def ignore(self, *names: str) -> None:
        """Count fields as understood: they change neither bytes nor FLOP.

        Parameters
        ----------
        *names : str
            The fields.

        Examples
        --------
        >>> config = Fields({"rope_theta": 1e6}, "config.json")
        >>> config.ignore("rope_theta")
        >>> config.unread()
        []
        """
        self._read.update(names)

    def unread(self, harmless: frozenset[str] = frozenset()) -> list[str]:
        """Return the fields that nobody read or counted as understood, sections included.

        Parameters
        ----------
        harmless : frozenset of str
            Fields to leave out, wherever they stand; ids of tokens are left out by their names.

        Returns
        -------
        list of str
            In the order of the file.

        Examples
        --------
        >>> Fields({"hidden_size": 1, "new_idea": 2}, "config.json").unread()
        ['hidden_size', 'new_idea']
        """
        return [name for name, _ in self._left(harmless)]

    def _left(self, harmless: frozenset[str]) -> list[tuple[str, object]]:
        known = self._read | harmless
        own = [
            (self._prefix + printable(name, _NAME_CHARACTERS), value)
            for name, value in self._data.items()
            if name not in known and not name.endswith(_TOKEN_IDS)
        ]
        inner = [pair for section in self._sections.values() for pair in section._left(harmless)]
        return own + inner

    def refuse_unread(self, harmless: frozenset[str]) -> None:
        """Raise if a section or a size is left that nobody read, and note other fields.

        A section describes a part of the network, a whole number under a name of a size measures
        one. Any other value that a family does not know is mostly a leftover; a warning names it.
        A null says nothing.

        Parameters
        ----------
        harmless : frozenset of str
            Fields that change neither bytes nor FLOP in any family.

        Raises
        ------
        UnsupportedConfigError
            Names the sections and sizes.
        """
        left = [(name, value) for name, value in self._left(harmless) if value is not None]
        refused = [name for name, value in left if _describes(value) or _measures(name, value)]
        if refused:
            raise UnsupportedConfigError(
                f"not understood and may change bytes or FLOP: {_listed(refused)}",
                where=self.where,
                fix="Remove a field that has no effect, or describe the model in YAML.",
            )
        if left:
            names = _listed([name for name, _ in left])
            self.warn(
                f"Not understood and not taken into account: {names}; if one of them adds or "
                f"widens a part of the network, bytes and FLOP are too low."
            )


def _describes(value: object) -> bool:
    """Return whether a value is an object of fields, or a list that holds one."""
    items = value if isinstance(value, list) else [value]
    return any(isinstance(item, Mapping) and bool(item) for item in items)


def _measures(name: str, value: object) -> bool:
    """Return whether a value is more than one of something that a network is made of."""
    several = isinstance(value, int) and not isinstance(value, bool) and value > 1
    return several and _SIZE.search(name.rpartition(".")[2]) is not None


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _MOST_LISTED} more" if len(names) > _MOST_LISTED else ""
    return ", ".join(names[:_MOST_LISTED]) + more
