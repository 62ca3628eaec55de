"""Models: what a layer holds, remembers and does."""

from planner.model.execution import Execution
from planner.model.layer import Layer
from planner.model.layout import Layout
from planner.model.model import Checkpoint, Model
from planner.model.operation import Operation
from planner.model.step import Step
from planner.model.tensor import Tensor

__all__ = ["Checkpoint", "Execution", "Layer", "Layout", "Model", "Operation", "Step", "Tensor"]
