"""The vision tower of Inkling 2: scaled parts, learned positions along a grid, its own merger.

Defaults of ``Inkling2VisionConfig`` that are taken: three colours, merging of 2 × 2.
"""

from __future__ import annotations

from planner.importers.config import Config
from planner.importers.multimodal import Sense
from planner.importers.tower_registry import Stack, read_tower_heads, tower, tower_block
from planner.model import Layer
from planner.model.bounds import MOST_LAYERS
from planner.model.norm import Norm
from planner.model.part import Part
from planner.model.projection import Projection, Table

_COLOURS = 3
_MERGE = 2


@tower("inkling2_vision")
def read_vision(config: Config) -> Stack:
    """Read the tower of Inkling 2.

    Parameters
    ----------
    config : Config
        The tower's section.

    Returns
    -------
    Stack
        Its merger reaches the language model's width.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden = config.size("hidden_size")
    norm = Norm(kind="layer_norm", width=hidden)
    size = config.size("patch_size", most=1024)
    side = config.size("posemb_grid_size", most=4096)
    colours = config.size("num_channels", default=_COLOURS, most=64)
    merged = config.size("spatial_merge_size", default=_MERGE, most=64) ** 2
    wide, out = config.size("projection_hidden_dim"), config.size("text_hidden_size")
    bias = config.flag("projector_bias", False)
    config.ignore("layer_scale_init_value", "mlp_ratio", "rope_parameters")
    block = tower_block(
        hidden=hidden,
        heads=read_tower_heads(config, hidden, "num_attention_heads"),
        intermediate=config.size("intermediate_size"),
        norm=norm,
        attention={"rotary": True},
    )
    scales = Table(name="layer_scales", shape=(2, hidden), role="norm")
    first = (
        Projection(name="patch_embedding", inputs=colours * size * size, outputs=hidden),
        Table(name="class_embedding", shape=(hidden,)),
        Table(name="cls_position_embedding", shape=(hidden,)),
        Table(name="position_embedding", shape=(side * side, hidden)),
        norm,
    )
    merger = (
        Projection(name="linear_1", inputs=merged * hidden, outputs=wide, bias=bias, merged=merged),
        Projection(name="linear_2", inputs=wide, outputs=out, bias=bias, merged=merged),
    )
    layers = config.size("num_hidden_layers", most=MOST_LAYERS)
    return Stack(
        layers=(
            Layer("patches", first),
            *[Layer("block", (*block, scales))] * layers,
            Layer("merger", merger),
        ),
        width=out,
    )


def _none(config: Config, stack: Stack, hidden: int) -> tuple[Part, ...]:
    del config, stack, hidden
    return ()


INKLING_VISION = Sense(
    name="vision", section="vision_config", default="inkling2_vision", projector=_none
)
"""The tower of Inkling 2, its merger included."""
