"""Limits: how far the same devices reach, and how few would do."""

from __future__ import annotations

from planner.report.blocks import Figures, Section
from planner.report.material import Material


def limits(material: Material) -> Section:
    """Return the inverse answers.

    Parameters
    ----------
    material : Material
        The plan.

    Returns
    -------
    Section
        Largest context, most sequences, fewest devices, each with what limits it.
    """
    data = material.data["capacity"]
    figures = [
        material.figure(
            "capacity.largest_context_tokens",
            none="no limit",
            note=f"at the given sequences; limited by {data['largest_context_limited_by']}",
        ),
        material.figure(
            "capacity.most_sequences",
            none="no limit",
            note=f"of the given context; limited by {data['most_sequences_limited_by']}",
        ),
        material.figure(
            "capacity.fewest_devices",
            none="none",
            note="of this kind that hold the load"
            if data["fewest_devices"]
            else "no number of these devices holds one sequence",
        ),
    ]
    if data["fewest_devices"]:
        figures += [
            material.figure(f"capacity.fewest_devices_{size}") for size in ("tp", "pp", "dp", "ep")
        ]
    return Section(title="Limits", blocks=(Figures(figures=tuple(figures)),))
