"""Step times that a hand can check."""

from __future__ import annotations

from planner.serving.step_table import StepTable, tabulate


def constant_times(step_s: float, *, max_batch: int = 64, max_step_tokens: int = 256) -> StepTable:
    """Every step takes the same time."""
    return tabulate(
        lambda step: step_s + 0 * step.tokens,
        max_batch=max_batch,
        max_step_tokens=max_step_tokens,
        max_context=4096,
    )


def linear_times(max_batch: int = 64, max_step_tokens: int = 512) -> StepTable:
    """A fixed time, and times per token, per cached token read, and per pair of tokens."""
    return tabulate(
        lambda step: (
            4e-3
            + 2e-6 * step.tokens
            + 1e-8 * step.batch * step.new_tokens * (step.cached_tokens + step.new_tokens)
        ),
        max_batch=max_batch,
        max_step_tokens=max_step_tokens,
        max_context=4096,
        per_doubling=4,
    )
