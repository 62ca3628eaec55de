"""Which layouts a model admits, and what stands in the way of others."""

from __future__ import annotations

from planner.errors import LayoutError
from planner.model.layout import Layout
from planner.model.model import Model
from planner.model.stages import layers_per_stage


def check_layout(model: Model, layout: Layout) -> None:
    """Raise unless a model admits a layout.

    Parameters
    ----------
    model : Model
        The model.
    layout : Layout
        Parallel sizes.

    Raises
    ------
    LayoutError
        Names what does not divide, and the sizes that do.
    """
    layers_per_stage(len(model.layers), layout.pp)
    for section in model.sections:
        if not section.divides(layout.tp):
            sizes = ", ".join(map(str, model.tensor_parallel_sizes(64)))
            raise LayoutError(
                f"{layout.tp} tensor-parallel ranks do not divide the {section.units:,} "
                f"{section.what} of {model.name}",
                where="--tp",
                got=layout.tp,
                allowed=sizes,
                fix="Choose one of these sizes, or spread replicas with --dp.",
            )
