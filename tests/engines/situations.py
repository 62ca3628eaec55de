"""Deployments for tests of engines."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

from planner import load_hardware, load_model
from planner.engines import Allocation, EngineSettings, allocate
from planner.hardware import load_runtime
from planner.model import Execution, Layout, Model
from planner.model.execution import half
from planner.model.schemes import weight_scheme
from planner.model.storage import cache_format

model_of = cache(load_model)


def execution_of(
    model: Model, *, tp: int = 1, weights: str | None = None, cached: str | None = None
) -> Execution:
    """Return formats and layout as a plan would choose them."""
    scheme = weight_scheme(model, weights)
    own = scheme.base
    kept = own if cached is None else cache_format(cached)
    return replace(
        half(), weights=scheme, stream=own, activations=own, cache=kept, layout=Layout(tp=tp)
    )


def allocation(
    engine: str,
    model: str,
    device: str,
    *,
    tp: int = 1,
    weights: str | None = None,
    cached: str | None = None,
    **settings: Any,
) -> Allocation:
    """Return what an engine allocates."""
    found = model_of(model)
    return allocate(
        EngineSettings(engine=engine, **settings),
        found,
        execution_of(found, tp=tp, weights=weights, cached=cached),
        load_hardware(device, tp),
        load_runtime(),
        cache_given=cached is not None,
    )
