"""The vision tower of GLM-4.1V and GLM-4.5V: patches of two frames, thinned out by a convolution.

Defaults of ``Glm4vVisionConfig`` that are taken: three colours, patches of two frames, merging of
2 × 2, no biases.
"""

from __future__ import annotations

from planner.importers.config import Config
from planner.importers.multimodal import Sense
from planner.importers.tower_registry import Stack, read_tower_heads, tower, tower_block
from planner.importers.towers.vision import read_patch_count
from planner.model import Layer
from planner.model.bounds import MOST_LAYERS
from planner.model.feed_forward import Dense
from planner.model.norm import Norm
from planner.model.part import Part
from planner.model.projection import Projection, Table

_COLOURS = 3
_FRAMES = 2
_MERGE = 2


@tower("glm4v", "glm4v_moe", "glm4v_vision", "glm4v_moe_vision")
def read_vision(config: Config) -> Stack:
    """Read the tower of GLM-4.1V or GLM-4.5V.

    Parameters
    ----------
    config : Config
        The tower's section.

    Returns
    -------
    Stack
        ``intermediate_size`` is the width of the merger; that of the blocks is the width of what
        comes out.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden, out = config.size("hidden_size"), config.size("out_hidden_size")
    norm = Norm(kind="rms_norm", width=hidden)
    size = config.size("patch_size", most=1024)
    colours = config.size("in_channels", default=_COLOURS, most=64)
    frames = config.size("temporal_patch_size", default=_FRAMES, most=64)
    merged = config.size("spatial_merge_size", default=_MERGE, most=64) ** 2
    bias = config.flag("attention_bias", False)
    config.ignore("rope_parameters")
    first = (
        Projection(
            name="patch_embed", inputs=colours * frames * size * size, outputs=hidden, bias=True
        ),
        norm,
        Table(name="position_embedding", shape=(read_patch_count(config), hidden)),
    )
    block = tower_block(
        hidden=hidden,
        heads=read_tower_heads(config, hidden, "num_heads", "num_attention_heads"),
        intermediate=out,
        norm=norm,
        bias=False,
        gated=True,
        attention={"rotary": True, "qkv_bias": bias},
    )
    layers = config.size("depth", "num_hidden_layers", most=MOST_LAYERS)
    return Stack(
        layers=(
            Layer("patches", first),
            *[Layer("block", block)] * layers,
            Layer("merger", _merger(config, hidden, out, merged)),
        ),
        width=out,
    )


def _merger(config: Config, hidden: int, out: int, merged: int) -> tuple[Part, ...]:
    """Return the convolution that joins patches and the gated part behind it."""
    return (
        Norm(kind="rms_norm", width=hidden, name="post_layernorm"),
        Projection(
            name="downsample", inputs=hidden * merged, outputs=out, bias=True, merged=merged
        ),
        Projection(name="merger.proj", inputs=out, outputs=out, merged=merged),
        Norm(kind="layer_norm", width=out, name="merger.norm"),
        Dense(hidden=out, intermediate=config.size("intermediate_size"), name="merger.mlp"),
    )


def _none(config: Config, stack: Stack, hidden: int) -> tuple[Part, ...]:
    del config, stack, hidden
    return ()


GLM_VISION = Sense(name="vision", section="vision_config", default="glm4v", projector=_none)
"""The tower of GLM-4.1V and GLM-4.5V, its merger included."""
