"""What every engine answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from planner.engines.allocation import Allocation
from planner.engines.settings import EngineSettings, Options
from planner.engines.version import Version
from planner.hardware import Hardware, Runtime
from planner.model import Execution, Model


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where an engine is to run a model, and what it was told.

    Parameters
    ----------
    model : Model
        The model.
    execution : Execution
        Formats and layout.
    hardware : Hardware
        The devices.
    runtime : Runtime
        What a process takes outside the model.
    settings : EngineSettings
        Flags as given.
    options : Options
        Further flags, read.
    version : Version
        Version asked for; the newest known without one.
    cache_given : bool
        Whether a person chose the cache format; an engine's ``auto`` without it.
    """

    model: Model
    execution: Execution
    hardware: Hardware
    runtime: Runtime
    settings: EngineSettings
    options: Options
    version: Version
    cache_given: bool


class Engine(Protocol):
    """An engine; a new one is one class that answers these."""

    @property
    def name(self) -> str:
        """As written after ``--engine``."""
        ...

    @property
    def versions(self) -> tuple[Version, Version]:
        """Oldest and newest version whose rules are known."""
        ...

    @property
    def casts_fp32(self) -> bool:
        """Whether it loads weights in 16 bits that are published in fp32."""
        ...

    @property
    def options(self) -> Mapping[str, type]:
        """Kind of value of every further flag that changes memory, by its own name."""
        ...

    def allocate(self, site: Site) -> Allocation:
        """Return what the engine takes and what it leaves for requests."""
        ...
