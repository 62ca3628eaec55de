"""Names and versions of engines: ``vllm@0.33.0``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from planner.errors import ScenarioError


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """A released version, ordered as its numbers are.

    Parameters
    ----------
    numbers : tuple of int
        Major, minor, patch; a build number alone for engines that count builds.
    """

    numbers: tuple[int, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a version.

        Parameters
        ----------
        text : str
            Such as ``"0.33.0"`` or ``"b6500"``; what follows the numbers is left out.

        Returns
        -------
        Version
            Its numbers.

        Raises
        ------
        ScenarioError
            There are no numbers in it.

        Examples
        --------
        >>> Version.parse("0.9.1") < Version.parse("0.19.0rc1")
        True
        """
        match = re.match(r"[vb]?(\d{1,9}(?:\.\d{1,9}){0,3})", text.strip()[:60])
        if match is None:
            raise ScenarioError(
                "not a version of an engine",
                where="--engine",
                got=text,
                allowed="numbers joined by dots, such as vllm@0.33.0",
            )
        return cls(tuple(int(part) for part in match[1].split(".")))

    def __str__(self) -> str:
        return ".".join(map(str, self.numbers))


def parse_engine(text: str) -> tuple[str, Version | None]:
    """Read an engine's name and, where given, its version.

    Parameters
    ----------
    text : str
        Such as ``"vllm"`` or ``"vllm@0.33.0"``.

    Returns
    -------
    tuple of str and Version or None
        Name in lower case, and version.

    Raises
    ------
    ScenarioError
        The version has no numbers.

    Examples
    --------
    >>> name, version = parse_engine("vllm@0.33.0")
    >>> name, str(version)
    ('vllm', '0.33.0')
    """
    name, _, version = text.strip().partition("@")
    return name.lower(), Version.parse(version) if version else None
