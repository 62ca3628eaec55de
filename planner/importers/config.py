"""Typed reading of a configuration: every figure is checked for its kind and its range."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from planner.errors import SpecError, UnsupportedConfigError
from planner.importers.fields import MISSING, Fields
from planner.model.bounds import MOST_ELEMENTS

_NONE: Mapping[str, object] = MappingProxyType({})


class Config(Fields):
    """A configuration file, or a section of one; see :class:`~planner.importers.fields.Fields`."""

    __slots__ = ()

    def size(
        self,
        *names: str,
        default: int | None = None,
        least: int = 1,
        most: int = MOST_ELEMENTS,
    ) -> int:
        """Return a whole number.

        Parameters
        ----------
        *names : str
            The field; further names where families differ. All that are there must agree.
        default : int, optional
            Value of a missing field; an error without one. [1]
        least, most : int
            The range allowed, both ends included. [1]

        Returns
        -------
        int
            The figure. [1]

        Raises
        ------
        SpecError
            Missing, not a whole number, or out of range.

        Examples
        --------
        >>> Config({"n_embd": 768}, "config.json").size("hidden_size", "n_embd")
        768
        """
        name, value = self._raw(names)
        if value is MISSING:
            if default is None:
                self._missing(names)
            return default
        return self._whole(name, value, least, most)

    def optional_size(self, *names: str, least: int = 1, most: int = MOST_ELEMENTS) -> int | None:
        """Return a whole number, or None where the field is missing or null.

        Parameters
        ----------
        *names : str
            The field and its other names.
        least, most : int
            The range allowed, both ends included. [1]

        Returns
        -------
        int or None
            The figure. [1]

        Raises
        ------
        SpecError
            Not a whole number, or out of range.

        Examples
        --------
        >>> Config({"head_dim": None}, "config.json").optional_size("head_dim")
        """
        name, value = self._raw(names)
        if value is MISSING or value is None:
            return None
        return self._whole(name, value, least, most)

    def _whole(self, name: str, value: object, least: int, most: int) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise SpecError(
                "not a usable figure",
                where=self.place(name),
                got=value,
                allowed=f"a whole number from {least:,} to {most:,}",
            )
        return value

    def flag(self, name: str, default: bool) -> bool:
        """Return yes or no.

        Parameters
        ----------
        name : str
            The field.
        default : bool
            Value of a missing field.

        Returns
        -------
        bool
            The flag.

        Raises
        ------
        SpecError
            Neither true nor false.

        Examples
        --------
        >>> Config({"mlp_bias": True}, "config.json").flag("mlp_bias", False)
        True
        """
        name, value = self._raw((name,))
        if value is MISSING:
            return default
        if not isinstance(value, bool):
            self.refuse(name, "true or false", "not a flag")
        return value

    def number(self, name: str, default: float) -> float:
        """Return a finite number, or the default where the field is missing or null.

        Parameters
        ----------
        name : str
            The field.
        default : float
            Value of a missing field.

        Returns
        -------
        float
            The number.

        Raises
        ------
        SpecError
            Not a finite number.

        Examples
        --------
        >>> Config({"factor": 8}, "config.json").number("factor", 1.0)
        8.0
        """
        name, value = self._raw((name,))
        if value is MISSING or value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.refuse(name, "a number", "not a number")
        if not abs(value) < 1e30 or not math.isfinite(value):
            self.refuse(name, "a number below 10³⁰", "out of range")
        return float(value)

    def text(self, name: str, default: str | None = None) -> str | None:
        """Return a text, or the default where the field is missing or null.

        Parameters
        ----------
        name : str
            The field.
        default : str, optional
            Value of a missing field.

        Returns
        -------
        str or None
            The text.

        Raises
        ------
        SpecError
            Not a text.

        Examples
        --------
        >>> Config({"model_type": "llama"}, "config.json").text("model_type")
        'llama'
        """
        name, value = self._raw((name,))
        if value is MISSING or value is None:
            return default
        if not isinstance(value, str):
            self.refuse(name, "a text", "not a text")
        return value

    def entries(self, name: str) -> tuple[object, ...] | None:
        """Return a list as it stands, or None where the field is missing or null.

        Parameters
        ----------
        name : str
            The field.

        Returns
        -------
        tuple or None
            The entries, of any type.

        Raises
        ------
        SpecError
            Not a list.

        Examples
        --------
        >>> Config({"mlp_only_layers": [0]}, "config.json").entries("mlp_only_layers")
        (0,)
        """
        name, value = self._raw((name,))
        if value is MISSING or value is None:
            return None
        if not isinstance(value, list):
            self.refuse(name, "a list", "not a list")
        return tuple(value)

    def listed(
        self, name: str, allowed: Sequence[object], count: int, *, more: bool = False
    ) -> tuple[object, ...] | None:
        """Return a list with one entry per layer, or None where the field is missing or null.

        Parameters
        ----------
        name : str
            The field.
        allowed : sequence
            What an entry may be.
        count : int
            Entries there must be. [1]
        more : bool
            Whether further entries may follow, which are left out.

        Returns
        -------
        tuple or None
            So many entries, each of those allowed.

        Raises
        ------
        SpecError
            Not a list, of another length, or with another entry.

        Examples
        --------
        >>> Config({"moe_layer_freq": [0, 1]}, "config.json").listed("moe_layer_freq", (0, 1), 2)
        (0, 1)
        """
        entries = self.entries(name)
        if entries is None:
            return None
        enough = len(entries) >= count if more else len(entries) == count
        if not enough or any(entry not in allowed for entry in entries):
            words = " or ".join(_as_json(value) for value in allowed)
            self.refuse(name, f"{words} for each of the {count:,} layers")
        return entries[:count]

    def section(
        self, name: str, *, inherited: tuple[str, ...] = (), defaults: Mapping[str, object] = _NONE
    ) -> Config | None:
        """Return a section, or None where the field is missing or null.

        Parameters
        ----------
        name : str
            The field that holds the section.
        inherited : tuple of str
            Fields that hold for the section too, whatever it says itself.
        defaults : mapping
            Fields to fill in where neither has them.

        Returns
        -------
        Config or None
            Its fields count as unread until they are read there.

        Raises
        ------
        SpecError
            Not an object.

        Examples
        --------
        >>> Config({"rope_scaling": None}, "config.json").section("rope_scaling")
        """
        known = self._sections.get(name)
        if isinstance(known, Config):
            return known
        name, value = self._raw((name,))
        if value is MISSING or value is None:
            return None
        if not isinstance(value, Mapping):
            self.refuse(name, "an object of fields", "not an object")
        outer = {key: self._data[key] for key in inherited if key in self._data}
        self._read.update(outer)
        section = Config(
            {**defaults, **value, **outer},
            self.where,
            prefix=f"{self._prefix}{name}.",
            warnings=self.warnings,
        )
        self._sections[name] = section
        return section

    def sections(self, name: str) -> list[Config]:
        """Return a list of sections; none where the field is missing or null.

        Parameters
        ----------
        name : str
            The field that holds the list.

        Returns
        -------
        list of Config
            Their fields count as unread until they are read there.

        Raises
        ------
        SpecError
            Not a list, or one of its entries is not an object.

        Examples
        --------
        >>> [block.size("heads") for block in Config({"b": [{"heads": 8}]}, "c").sections("b")]
        [8]
        """
        found = []
        for number, entry in enumerate(self.entries(name) or ()):
            if not isinstance(entry, Mapping):
                self.refuse(name, "a list of objects of fields", "not a list of objects")
            place = f"{name}[{number}]"
            section = Config(
                entry, self.where, prefix=f"{self._prefix}{place}.", warnings=self.warnings
            )
            found.append(section)
            self._sections[place] = section
        return found

    def require(self, name: str, *values: object) -> None:
        """Raise unless a field is missing or has one of the values that are understood.

        Parameters
        ----------
        name : str
            The field.
        *values : object
            The values that are understood.

        Raises
        ------
        UnsupportedConfigError
            It has another value, which may change bytes or FLOP.

        Examples
        --------
        >>> Config({"alibi": False}, "config.json").require("alibi", False)
        """
        name, value = self._raw((name,))
        if value is MISSING or any(value is item or value == item for item in values):
            return
        raise UnsupportedConfigError(
            "a value that is not modelled and may change bytes or FLOP",
            where=self.place(name),
            got=value,
            allowed=" or ".join(map(_as_json, values)),
        )


def _as_json(value: object) -> str:
    return {"True": "true", "False": "false", "None": "null"}.get(str(value), str(value))
