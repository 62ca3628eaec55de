"""The text of a calibration profile: JSON that reads in milliseconds and shows what changed."""

from __future__ import annotations

import json
from typing import Any

from planner.cost.calibration import Calibration

WIDTH = 100
_INDENT = " "


def text_of(profile: Calibration) -> str:
    """JSON in which whatever is longer than a line has a line for each of its members."""
    return _laid_out(profile.model_dump(mode="json", exclude_none=True), 0) + "\n"


def _laid_out(value: Any, depth: int) -> str:
    flat = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict | list) or len(flat) + depth <= WIDTH:
        return flat
    inner = depth + 1
    if isinstance(value, dict):
        members = [f"{json.dumps(key)}: {_laid_out(each, inner)}" for key, each in value.items()]
        opening, closing = "{}"
    else:
        members = [_laid_out(each, inner) for each in value]
        opening, closing = "[]"
    between = ",\n" + _INDENT * inner
    return f"{opening}\n{_INDENT * inner}{between.join(members)}\n{_INDENT * depth}{closing}"
