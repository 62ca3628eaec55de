"""Allocation: from the label capacity to what is left for requests, as the engine goes."""

from __future__ import annotations

from planner.engines import Step, steps
from planner.report.blocks import Paragraph, Section, Table
from planner.report.columns import counts, scaled, table, words
from planner.report.material import Material


def allocation(material: Material) -> Section | None:
    """Return each step with its rule, and what the model needs beside what the engine allocates.

    Parameters
    ----------
    material : Material
        The plan.

    Returns
    -------
    Section or None
        None where no engine was named.
    """
    found = material.plan.deployment.allocation
    if found is None:
        return None
    way = steps(found, int(material.plan.memory.cache_bytes))
    return Section(
        title="Allocation",
        blocks=(
            Paragraph(
                text=f"What {found.engine} {found.version} takes of the fullest device, from its "
                "label capacity to what is left for further requests."
            ),
            _way(way),
            _rules(way),
            _beside(material),
        ),
    )


def _way(way: tuple[Step, ...]) -> Table:
    sizes = [step.item.bytes for step in way]
    return table(
        "From the label capacity to what is left",
        words("step", [step.item.name for step in way]),
        scaled("size", sizes, "bytes"),
        scaled("left after it", [step.left_bytes for step in way], "bytes"),
        counts("exact size", sizes, "bytes"),
    )


def _rules(way: tuple[Step, ...]) -> Table:
    return table(
        "Why each step is as large as it is",
        words("step", [step.item.name for step in way]),
        words("rule", [step.item.rule for step in way]),
        words("versions", [step.item.versions for step in way]),
        words("source", [step.item.source for step in way]),
    )


def _beside(material: Material) -> Table:
    """The least that the model needs beside what all devices of a replica set aside for it."""
    data = material.data["memory"]
    layout = material.plan.deployment.layout
    keys = ("weights_bytes", "cache_bytes")
    devices = layout.devices
    return table(
        f"The least that the model needs, and what {devices:,} devices as full as this one hold",
        words("part", ["Weights", "KV cache and state of the load"]),
        scaled("architectural", [data["architectural"][key] for key in keys], "bytes"),
        scaled("allocated", [devices * data["per_device"][key] for key in keys], "bytes"),
    )
