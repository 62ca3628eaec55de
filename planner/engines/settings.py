"""What a person tells an engine: the flags that change memory."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from planner.errors import ScenarioError
from planner.units import parse_count

Value = bool | int | float | str
LONGEST = -1
"""A ``max_model_len`` that asks for the longest request that fits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """Flags of an engine; what is None follows the engine's own default.

    Parameters
    ----------
    engine : str
        Name and version, such as ``"vllm@0.33.0"``.
    gpu_memory_utilization : float, optional
        Share of the device's memory that the engine may take. [1]
    max_model_len : int, optional
        Longest request, prompt and output together; -1 asks for the longest that fits. [tokens]
    max_num_batched_tokens : int, optional
        Most tokens in one step. [tokens]
    max_num_seqs : int, optional
        Most sequences in one step. [1]
    block_size : int, optional
        Tokens of one cache block. [tokens]
    kv_pool_bytes : int, optional
        Room for caches on each device; the budget is not computed then. [bytes]
    options : tuple of (str, str)
        Further flags by the engine's own names, as written.
    """

    engine: str
    gpu_memory_utilization: float | None = None
    max_model_len: int | None = None
    max_num_batched_tokens: int | None = None
    max_num_seqs: int | None = None
    block_size: int | None = None
    kv_pool_bytes: int | None = None
    options: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Options:
    """Further flags, read and checked.

    Parameters
    ----------
    given : mapping
        Value by the engine's own name of the flag.
    """

    given: Mapping[str, Value] = field(default_factory=dict)

    def flag(self, name: str) -> bool | None:
        """Return a yes or no, or None where it was not given."""
        value = self.given.get(name)
        return value if isinstance(value, bool) else None

    def count(self, name: str) -> int | None:
        """Return a whole number, or None where it was not given."""
        value = self.given.get(name)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def number(self, name: str) -> float | None:
        """Return a number, or None where it was not given."""
        value = self.given.get(name)
        return float(value) if isinstance(value, int | float) else None

    def text(self, name: str) -> str | None:
        """Return a word, or None where it was not given."""
        value = self.given.get(name)
        return value if isinstance(value, str) else None


def split_options(pairs: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Split ``NAME=VALUE`` as written on a command line.

    Parameters
    ----------
    pairs : iterable of str
        One flag each; dashes in names count as underscores.

    Returns
    -------
    tuple of (str, str)
        Names and values.

    Raises
    ------
    ScenarioError
        A pair has no ``=``.

    Examples
    --------
    >>> split_options(["enable-prefix-caching=false"])
    (('enable_prefix_caching', 'false'),)
    """
    found = []
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise ScenarioError(
                "not a flag with its value",
                where="--engine-option",
                got=pair,
                allowed="NAME=VALUE, such as enable_prefix_caching=false",
            )
        found.append((name.strip().lstrip("-").replace("-", "_"), value.strip()))
    return tuple(found)


def read_options(
    engine: str, known: Mapping[str, type], pairs: Iterable[tuple[str, str]]
) -> Options:
    """Read the further flags of an engine.

    Parameters
    ----------
    engine : str
        Its name, for errors.
    known : mapping
        Kind of value (``bool``, ``int``, ``float`` or ``str``) by name of the flag.
    pairs : iterable of (str, str)
        Names and values as written.

    Returns
    -------
    Options
        Values of the kinds that the flags have.

    Raises
    ------
    ScenarioError
        The engine has no such flag, or the value is not of its kind.

    Examples
    --------
    >>> read_options("vllm", {"enforce_eager": bool}, [("enforce_eager", "true")]).given
    {'enforce_eager': True}
    """
    given: dict[str, Value] = {}
    for name, text in pairs:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=3) or sorted(known)
            raise ScenarioError(
                f"no flag of {engine} that changes memory",
                where="--engine-option",
                got=name,
                allowed=", ".join(near),
            )
        given[name] = _read(name, known[name], text)
    return Options(given)


def _read(name: str, kind: type, text: str) -> Value:
    where = f"--engine-option {name}"
    if kind is str:
        return text
    if kind is bool:
        words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
        if text.lower() not in words:
            raise ScenarioError("not a yes or no", where=where, got=text, allowed="true, false")
        return words[text.lower()]
    if kind is int:
        return parse_count(text, where=where, least=0, most=2**50)
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ScenarioError("not a number", where=where, got=text, allowed="such as 0.85")
    return number
