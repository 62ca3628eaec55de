"""llama.cpp: buffers for weights, caches, states and computation, allocated at the start."""

from planner.engines.llama_cpp.engine import LLAMA_CPP

__all__ = ["LLAMA_CPP"]
