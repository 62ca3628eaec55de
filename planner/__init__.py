"""Memory and capacity planner for LLM inference.

Name a model, a device and a load; get what it takes, how fast it can be and what would have to
change. Nothing here needs a network, a GPU or a framework.
"""

from planner.engines import EngineSettings
from planner.errors import PlannerError
from planner.hardware import load_device, load_hardware
from planner.importers import load_model
from planner.plan import Plan, plan
from planner.scenario import Scenario
from planner.sweep import Sweep, sweep
from planner.version import __version__

__all__ = [
    "EngineSettings",
    "Plan",
    "PlannerError",
    "Scenario",
    "Sweep",
    "__version__",
    "load_device",
    "load_hardware",
    "load_model",
    "plan",
    "sweep",
]
