"""Verdict: the answer in a sentence, the key figures, what would help."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from planner.report.blocks import Block, Figures, Paragraph, Section, Table
from planner.report.columns import amounts, table, words
from planner.report.material import Material
from planner.units import format_bytes


def verdict(material: Material) -> Section:
    """Return the verdict.

    Parameters
    ----------
    material : Material
        The plan.

    Returns
    -------
    Section
        Sentence, four figures, and suggestions where the load does not fit.
    """
    answer = material.data["verdict"]
    blocks: list[Block] = [
        Paragraph(text=answer["sentence"], tone="good" if answer["fits"] else "bad"),
        _key_figures(material),
    ]
    if answer["suggestions"]:
        blocks.append(_suggestions(answer["suggestions"]))
    return Section(title="Verdict", sheet="Summary", blocks=tuple(blocks))


def _key_figures(material: Material) -> Figures:
    data = material.data
    capacity = format_bytes(data["memory"]["per_device"]["capacity_bytes"])
    return Figures(
        key=True,
        figures=(
            material.figure(
                "memory.per_device.total_bytes",
                label="Fullest device",
                note=f"of {capacity}; limiting: {data['verdict']['limiting']}",
            ),
            material.figure(
                "decode.time_s",
                label="Decode step",
                note=f"bound by {data['decode']['bound']}",
            ),
            material.figure(
                "prefill.time_s",
                label="Prefill",
                note=f"bound by {data['prefill']['bound']}",
            ),
            material.figure(
                "capacity.fewest_devices",
                label="Fewest devices",
                note="that hold this load",
                none="none",
            ),
        ),
    )


def _suggestions(suggestions: Sequence[Mapping[str, Any]]) -> Table:
    flags = [
        " ".join(f"{flag} {shlex.quote(str(value))}" for flag, value in each["change"].items())
        for each in suggestions
    ]
    return table(
        "What would help",
        words("change", [each["text"] for each in suggestions]),
        words("flags", flags),
        amounts("per device", [each["total_bytes"] for each in suggestions], "bytes"),
        words("fits", ["yes" if each["fits"] else "no" for each in suggestions]),
    )
