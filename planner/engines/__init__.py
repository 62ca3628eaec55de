"""What a named engine at a named version takes of a device, and what it leaves for requests."""

from planner.engines.allocation import Allocation, LineItem, Pool
from planner.engines.engine import Engine, Site
from planner.engines.memory import EngineMemory
from planner.engines.registry import ENGINES, allocate, casts_fp32, find_engine
from planner.engines.settings import LONGEST, EngineSettings
from planner.engines.steps import Step, steps
from planner.engines.version import Version, parse_engine

__all__ = [
    "ENGINES",
    "LONGEST",
    "Allocation",
    "Engine",
    "EngineMemory",
    "EngineSettings",
    "LineItem",
    "Pool",
    "Site",
    "Step",
    "Version",
    "allocate",
    "casts_fp32",
    "find_engine",
    "parse_engine",
    "steps",
]
