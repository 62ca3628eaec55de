"""The vision tower of MiniMax-M3: CLIP's blocks on patches of two frames, without a class token.

Files name it like CLIP's, which it is not: it has neither learned positions nor a last norm.
Defaults of ``MiniMaxM3VLVisionConfig`` that are taken: three colours, patches of two frames,
merging of 2 × 2.
"""

from __future__ import annotations

from planner.importers.config import Config
from planner.importers.multimodal import Sense
from planner.importers.tower_registry import Stack, read_tower_heads, tower, tower_block
from planner.model import Layer
from planner.model.bounds import MOST_LAYERS
from planner.model.norm import Norm
from planner.model.part import Part
from planner.model.projection import Projection

_COLOURS = 3
_FRAMES = 2
_MERGE = 2


@tower("minimax_m3_vl_vision", "minimax_m3_vision")
def read_vision(config: Config) -> Stack:
    """Read the tower of MiniMax-M3.

    Parameters
    ----------
    config : Config
        The tower's section.

    Returns
    -------
    Stack
        A norm before the layers.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden = config.size("hidden_size")
    norm = Norm(kind="layer_norm", width=hidden)
    size = config.size("patch_size", most=1024)
    colours = config.size("num_channels", default=_COLOURS, most=64)
    frames = config.size("temporal_patch_size", default=_FRAMES, most=64)
    config.ignore("img_token_compression_config", "image_size", "projection_dim", "vocab_size")
    config.ignore("position_embedding_type", "rope_mode", "rope_parameters")
    config.ignore("spatial_merge_size", "vision_segment_max_frames")
    block = tower_block(
        hidden=hidden,
        heads=read_tower_heads(config, hidden, "num_attention_heads"),
        intermediate=config.size("intermediate_size"),
        norm=norm,
        attention={"rotary": True},
    )
    inputs = colours * frames * size * size
    first = (Projection(name="patch_embedding", inputs=inputs, outputs=hidden), norm)
    layers = config.size("num_hidden_layers", most=MOST_LAYERS)
    return Stack(layers=(Layer("patches", first), *[Layer("block", block)] * layers), width=hidden)


def _projector(config: Config, stack: Stack, hidden: int) -> tuple[Part, ...]:
    wide = config.size("projector_hidden_size", default=hidden)
    section = config.section("vision_config")
    merge = section.size("spatial_merge_size", default=_MERGE, most=64) if section else _MERGE
    merged = merge**2
    config.ignore("multimodal_projector_bias", "projector_hidden_act", "vision_feature_layer")
    config.ignore("merged_hidden_size")
    config.ignore("vision_feature_select_strategy", "image_grid_pinpoints", "image_seq_length")
    config.ignore("img_token_compression_config", "process_image_mode", "num_reward_heads")
    return (
        Projection(name="linear_1", inputs=stack.width, outputs=wide, bias=True),
        Projection(name="linear_2", inputs=wide, outputs=hidden, bias=True),
        Projection(
            name="merge_linear_1", inputs=hidden * merged, outputs=wide, bias=True, merged=merged
        ),
        Projection(name="merge_linear_2", inputs=wide, outputs=hidden, bias=True, merged=merged),
    )


MINIMAX_VISION = Sense(
    name="vision",
    section="vision_config",
    default="minimax_m3_vl_vision",
    kind="minimax_m3_vl_vision",
    projector=_projector,
)
"""The tower of MiniMax-M3 and what joins it to the language model."""
