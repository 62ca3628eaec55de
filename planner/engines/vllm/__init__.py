"""vLLM: what it takes of a device, and how it lays caches out in pages."""

from planner.engines.vllm.engine import VLLM

__all__ = ["VLLM"]
