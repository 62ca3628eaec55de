"""The vision tower of Step-3.7: a plain vision transformer, thinned out by two convolutions.

Defaults of ``Step3p5VisionConfig`` that are taken: three colours.
"""

from __future__ import annotations

from planner.importers.config import Config
from planner.importers.multimodal import Sense
from planner.importers.tower_registry import Stack, read_tower_heads, tower, tower_block
from planner.importers.towers.vision import read_patch_count, read_patches
from planner.model import Layer
from planner.model.bounds import MOST_LAYERS
from planner.model.norm import Norm
from planner.model.part import Part
from planner.model.projection import Projection, Table

_TAPS = 9
_HALVINGS = 2


@tower("step3p5_vision")
def read_vision(config: Config) -> Stack:
    """Read the tower of Step-3.7.

    Parameters
    ----------
    config : Config
        The tower's section.

    Returns
    -------
    Stack
        Two convolutions of stride two, each of which doubles the width.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden = config.size("hidden_size")
    norm = Norm(kind="layer_norm", width=hidden)
    config.ignore("layer_scale_init_value", "mlp_ratio", "rope_parameters")
    patches = read_patch_count(config)
    config.require("max_position_embeddings", patches)
    block = tower_block(
        hidden=hidden,
        heads=read_tower_heads(config, hidden, "num_attention_heads"),
        intermediate=config.size("intermediate_size"),
        norm=norm,
        attention={"rotary": True},
    )
    scales = Table(name="layer_scales", shape=(2, hidden), role="norm")
    first = (
        read_patches(config, bias=False),
        Table(name="position_embedding", shape=(patches, hidden)),
        norm,
    )
    thinned = tuple(
        Projection(
            name=f"downsampler{step}",
            inputs=_TAPS * hidden * 2 ** (step - 1),
            outputs=hidden * 2**step,
            bias=True,
            merged=4**step,
        )
        for step in range(1, _HALVINGS + 1)
    )
    layers = config.size("num_hidden_layers", most=MOST_LAYERS)
    return Stack(
        layers=(
            Layer("patches", first),
            *[Layer("block", (*block, scales))] * layers,
            Layer("thinned", thinned),
        ),
        width=hidden * 2**_HALVINGS,
    )


def _projector(config: Config, stack: Stack, hidden: int) -> tuple[Part, ...]:
    bias = config.flag("projector_bias", False)
    merged = 4**_HALVINGS
    return (
        Projection(name="projector", inputs=stack.width, outputs=hidden, bias=bias, merged=merged),
    )


STEP_VISION = Sense(
    name="vision", section="vision_config", default="step3p5_vision", projector=_projector
)
"""The tower of Step-3.7 and the matrix behind it."""
