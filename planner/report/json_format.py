"""The plan's JSON with an explanation of every figure."""

from __future__ import annotations

import json
import math
from typing import Any

from planner.fleet import Fleet
from planner.plan import Plan
from planner.report.material import Material


def write_json(plan: Plan, *, share_link: str | None = None, fleet: Fleet | None = None) -> bytes:
    """Return the plan as one JSON object, as ``Plan.to_dict`` has it, with two keys more.

    Parameters
    ----------
    plan : Plan
        The answer.
    share_link : str, optional
        Where the page shows the same scenario.
    fleet : Fleet, optional
        What bears a load on the same devices; its answer is a key of its own.

    Returns
    -------
    bytes
        UTF-8; ``explanations`` by path and ``share_link`` follow the keys of the plan. Its
        ``inputs`` hold everything needed to ask again.
    """
    material = Material(plan=plan, share_link=share_link)
    data = {
        **material.data,
        "explanations": {
            path: explanation.to_dict() for path, explanation in material.explanations.items()
        },
        "share_link": share_link,
    }
    if fleet is not None:
        data["fleet"] = fleet.to_dict()
    text = json.dumps(_finite(data), indent=2, ensure_ascii=False, allow_nan=False)
    return (text + "\n").encode("utf-8", "backslashreplace")


def _finite(value: Any) -> Any:
    """Numbers that JSON has no word for become null."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
