"""Of several pipeline stages, the one whose ranks leave the least room."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from planner.engines.allocation import Allocation
from planner.engines.engine import Site
from planner.model.stages import pipeline_stages


def tightest_stage(site: Site, allocate: Callable[[Site], Allocation]) -> Allocation:
    """Return what the ranks of the stage take that holds the fewest requests.

    Parameters
    ----------
    site : Site
        The whole model.
    allocate : callable
        What one rank of a stage takes.

    Returns
    -------
    Allocation
        Of that stage.

    Raises
    ------
    LayoutError
        There are more stages than layers.
    """
    stages = pipeline_stages(site.model, site.execution.layout.pp)
    found = [
        replace(allocate(replace(site, model=stage)), stage=index)
        for index, stage in enumerate(stages)
    ]
    if len(found) == 1:
        return found[0]
    return min(
        found,
        key=lambda each: (each.pool.max_concurrency or 0.0, each.pool.max_context_tokens or 0),
    )
