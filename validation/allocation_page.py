"""The page's part on what engines allocate, made from printed figures."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Sequence

from validation.start_up import Compared, Row, compare, load_rows
from validation.writers import markdown_table

_WITHIN = 0.01
_OPTIMISTIC = 0.03

_HEAD = """## What engines allocate

Figures that vLLM printed at start-up in public logs (`validation/records/engines`), predicted from
model, device, flags and version alone. Fitted are three things, on the half of the rows that the
hash of their ids chooses: memory outside PyTorch and CUDA graphs by version, and the bytes that old
samplers took of a logit. Weights, rotary tables, the allocator's blocks and the profile run are
computed; their rules were written with all rows in view, so that only other logs test those.
Errors of weights are of the weights; all others are of the device's memory, positive
where the planner is too optimistic."""


def allocation_section() -> str:
    """Return the part of the page.

    Returns
    -------
    str
        Markdown.
    """
    rows = [row for row in load_rows() if row.engine == "vllm"]
    found, without = compare(rows)
    blocks = [
        _HEAD,
        markdown_table(_halves(found)),
        "Beyond 1 % of the weights or 3 % of the device:",
    ]
    blocks.append("\n".join(_outliers(found)))
    reasons = Counter(without.values())
    blocks.append("Not predicted:")
    blocks.append("\n".join(f"- {count}: {reason}" for reason, count in sorted(reasons.items())))
    return "\n\n".join(blocks) + "\n"


def _halves(found: Sequence[Compared]) -> list[list[str]]:
    table = [["", "rows to fit on", "rows to test on"]]
    lines: tuple[tuple[str, Callable[[Sequence[Compared]], str]], ...] = (
        ("weights: rows", lambda half: str(len(_weights(half)))),
        ("weights within 1 %", lambda half: _share(_weights(half), _WITHIN)),
        ("weights: largest error", lambda half: f"{max(map(abs, _weights(half))):.1%}"),
        ("pool: rows", lambda half: str(len(_pools(half)))),
        ("pool: median error", lambda half: f"{statistics.median(map(abs, _pools(half))):.2%}"),
        ("pool: 90th percentile", lambda half: f"{_p90(_pools(half)):.2%}"),
        (
            "pool: most optimistic, 0.19 and newer",
            lambda half: f"{max(_pools(half, new=True)):.2%}",
        ),
        ("activations: median error", lambda half: f"{_part(half, 'activations'):.2%}"),
        ("outside PyTorch: median error", lambda half: f"{_part(half, 'outside'):.2%}"),
    )
    halves = ([each for each in found if each.row.fitted],
              [each for each in found if not each.row.fitted])  # fmt: skip
    return [*table, *([name, *(figure(half) for half in halves)] for name, figure in lines)]


def _weights(half: Sequence[Compared]) -> list[float]:
    return [each.weights_error for each in half if each.weights_error is not None]


def _pools(half: Sequence[Compared], *, new: bool = False) -> list[float]:
    return [
        each.pool_error
        for each in half
        if each.pool_error is not None and (not new or is_new(each.row))
    ]


def is_new(row: Row) -> bool:
    """Return whether a row is of version 0.19 or newer.

    Parameters
    ----------
    row : Row
        A row whose version is known.

    Returns
    -------
    bool
        True from 0.19 on.
    """
    major, minor, *_ = (*map(int, (row.version or "0.0").split(".")[:2]), 0)
    return (major, minor) >= (0, 19)


def _share(errors: Sequence[float], within: float) -> str:
    return f"{sum(abs(error) <= within for error in errors) / len(errors):.0%}"


def _p90(errors: Sequence[float]) -> float:
    ordered = sorted(map(abs, errors))
    return ordered[int(0.9 * (len(ordered) - 1))]


def _part(half: Sequence[Compared], part: str) -> float:
    printed = {"activations": "activation_peak_gib", "outside": "non_torch_gib"}[part]
    return statistics.median(
        abs(getattr(each, f"{part}_gib") - each.row.printed[printed])
        / each.row.printed["total_gpu_memory_gib"]
        for each in half
        if printed in each.row.printed and "total_gpu_memory_gib" in each.row.printed
    )


def _outliers(found: Sequence[Compared]) -> list[str]:
    lines = []
    for each in found:
        weights, pool = each.weights_error or 0.0, each.pool_error or 0.0
        if abs(weights) > _WITHIN or abs(pool) > _OPTIMISTIC:
            row = each.row
            lines.append(
                f"- {row.model} on {row.device}, vLLM {row.version}, tp {row.tp}: weights "
                f"{weights:+.1%}, pool {pool:+.1%}"
            )
    return lines or ["- none"]
