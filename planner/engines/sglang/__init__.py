"""SGLang 0.5: a share of the memory for weights and caches together, cut into pools of tokens."""

from planner.engines.sglang.engine import SGLANG

__all__ = ["SGLANG"]
