"""From which version of vLLM each rule holds."""

from __future__ import annotations

from planner.engines.version import Version

V1 = Version((0, 8, 0))
"""The V1 engine is the default."""
V0_GONE = Version((0, 11, 0))
"""Older devices run V1 too."""
ROW_SAMPLER = Version((0, 17, 0))
"""The sampler cuts a row of logits without sorting it."""
KEPT_WORKSPACE = Version((0, 12, 0))
"""Workspaces of experts outlive the step."""
PADDED_EXPERTS = Version((0, 12, 0))
"""Kernels for mxfp4 experts pad rows as well as columns."""
HYBRID_MANAGER = Version((0, 9, 2))
"""Layers may keep different numbers of tokens."""
UTILIZATION_92 = Version((0, 21, 0))
"""The default share of memory is 0.92, and graphs count within it."""
IN_FLIGHT = Version((0, 21, 0))
"""Blocks of tokens that are scheduled but not yet computed are held for every batch."""
ALIGNED_STATES = Version((0, 21, 0))
"""Prefix caching is on for models with states, which are kept at ends of blocks."""
STATE_CHECKPOINTS = Version((0, 25, 0))
"""Prefill kernels export states from inside a prompt."""
REPORTED_BY_REQUEST = Version((0, 21, 0))
"""The size that is printed is concurrency times the longest request."""
