"""What-if: what one sequence remembers if the sequence mixer were another."""

from __future__ import annotations

from planner.charts import cache_chart
from planner.report.blocks import Paragraph, Section
from planner.report.columns import chart_block
from planner.report.material import Material


def what_if(material: Material) -> Section:
    """Return the cache curves of other mixers on the same backbone.

    Parameters
    ----------
    material : Material
        The plan.

    Returns
    -------
    Section
        A chart.
    """
    name = material.plan.model.name
    return Section(
        title="What if the mixer were another",
        sheet="What-if",
        blocks=(
            Paragraph(
                text=f"Cache and state of one sequence in the whole model, {name} as it is and "
                "with every sequence mixer exchanged: keys and values per query head (MHA), "
                "shared in groups (GQA) or by all heads (MQA), one latent for all heads (MLA), "
                "only a window of tokens (SWA), a state of fixed size (SSM, Mamba-2), or such "
                "states with the model's own attention in between (hybrid)."
            ),
            chart_block(cache_chart(material.plan)),
        ),
    )
