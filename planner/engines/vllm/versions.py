"""From which release of vLLM each rule holds, as read in the releases' own planning code."""

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
HYBRID_MANAGER = Version((0, 9, 1))
"""Layers may keep different numbers of tokens."""
ALIGNED_STATES = Version((0, 15, 0))
"""States may be kept at the ends of the last blocks only."""
EVEN_GROUPS = Version((0, 18, 0))
"""Kinds of layers that are nearly as many make groups of the larger number."""
UTILIZATION_92 = Version((0, 21, 0))
"""The default share of memory is 0.92, and graphs count within it."""
REPORTED_BY_REQUEST = Version((0, 21, 0))
"""The size that is printed is concurrency times the longest request."""
IN_FLIGHT = Version((0, 26, 0))
"""Blocks of tokens that are scheduled but not yet computed are held for every batch."""
STATES_CACHED = Version((0, 26, 0))
"""Prefix caching is on by default for models with states beside attention."""
LATENT_128 = Version((0, 27, 0))
"""Blocks of latents beside states are multiples of 128 tokens, not of 64."""
ALWAYS_ALIGNED = Version((0, 28, 0))
"""Prefix caching keeps states at the ends of the last blocks whatever the kernel."""
NULL_BLOCK = Version((0, 29, 0))
"""A request must fit beside the null block."""
V2_RUNNER = Version((0, 29, 0))
"""The second model runner is the default for every model."""
KDA_EXPORTS = Version((0, 30, 0))
MAMBA2_EXPORTS = Version((0, 32, 0))
DELTA_EXPORTS = Version((0, 33, 0))
"""Prefill kernels give the state inside a prompt, which takes a block of its own."""
