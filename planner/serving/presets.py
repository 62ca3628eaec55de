"""Named workloads with the sources of their numbers, from ``presets.yaml``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from planner.errors import UnknownNameError
from planner.serving.arrivals import Arrivals, ClosedLoop
from planner.serving.lengths import LONGEST_TOKENS, Fixed, Lengths, Lognormal
from planner.serving.workload import SharedPrefix, Workload
from planner.sources import Identifier, Source

_FILE = Path(__file__).with_name("presets.yaml")


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class FixedSpec(_File):
    """Always the same length."""

    kind: Literal["fixed"]
    tokens: Annotated[int, Field(ge=1)]
    source: Identifier

    def lengths(self) -> Lengths:
        """Return the distribution."""
        return Fixed(self.tokens)


class LognormalSpec(_File):
    """A mean, a median and the longest."""

    kind: Literal["lognormal"]
    mean: Annotated[int, Field(ge=1)]
    median: Annotated[int, Field(ge=1)]
    most: Annotated[int, Field(ge=1)] = LONGEST_TOKENS
    source: Identifier

    def lengths(self) -> Lengths:
        """Return the distribution."""
        return Lognormal.of(mean=self.mean, median=self.median, most=self.most)


class PrefixSpec(_File):
    """Beginnings in common."""

    fraction: Annotated[float, Field(ge=0, le=1)]
    tokens: Annotated[int, Field(ge=1)]
    groups: Annotated[int, Field(ge=1)]
    source: Identifier


LengthsSpec = Annotated[FixedSpec | LognormalSpec, Field(discriminator="kind")]


class PresetSpec(_File):
    """One preset."""

    title: str
    prompt: LengthsSpec
    output: LengthsSpec
    prefix: PrefixSpec | None = None
    note: str | None = None


class PresetsSpec(_File):
    """The file."""

    schema_version: Literal[1]
    presets: dict[Identifier, PresetSpec]
    sources: dict[Identifier, Source]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """A named workload without its arrivals.

    Parameters
    ----------
    id, title : str
        Its name, and what it is.
    prompt, output : Lengths
        Tokens of each request. [tokens]
    prefix : SharedPrefix or None
        What prompts have in common.
    note : str or None
        What else to know.
    sources : Mapping
        Source by id.
    """

    id: str
    title: str
    prompt: Lengths
    output: Lengths
    prefix: SharedPrefix | None
    note: str | None
    sources: Mapping[str, Source]

    def workload(self, arrivals: Arrivals | ClosedLoop) -> Workload:
        """Return the workload with given arrivals.

        Parameters
        ----------
        arrivals : Arrivals or ClosedLoop
            When requests come.

        Returns
        -------
        Workload
            Ready to be drawn from.
        """
        return Workload(
            prompt=self.prompt, output=self.output, arrivals=arrivals, prefix=self.prefix
        )


@cache
def presets() -> Mapping[str, Preset]:
    """Return all presets by id.

    Returns
    -------
    Mapping
        In the order of the file.

    Examples
    --------
    >>> ", ".join(presets())
    'chat, rag, code, summarise, agents, batch'
    """
    spec = PresetsSpec.model_validate(yaml.safe_load(_FILE.read_text(encoding="utf-8")))
    return {name: _preset(name, each, spec.sources) for name, each in spec.presets.items()}


def _preset(name: str, spec: PresetSpec, sources: Mapping[str, Source]) -> Preset:
    prefix = spec.prefix
    cited = {spec.prompt.source, spec.output.source, *([prefix.source] if prefix else [])}
    return Preset(
        id=name,
        title=spec.title,
        prompt=spec.prompt.lengths(),
        output=spec.output.lengths(),
        prefix=None
        if prefix is None
        else SharedPrefix(fraction=prefix.fraction, tokens=prefix.tokens, groups=prefix.groups),
        note=spec.note,
        sources={key: sources[key] for key in sorted(cited)},
    )


def load_preset(name: str) -> Preset:
    """Return a preset.

    Parameters
    ----------
    name : str
        Its id.

    Returns
    -------
    Preset
        Lengths, prefixes and sources.

    Raises
    ------
    UnknownNameError
        There is no such preset.
    """
    found = presets().get(name)
    if found is None:
        raise UnknownNameError("workload", name, presets())
    return found


__all__ = ["Preset", "load_preset", "presets"]
