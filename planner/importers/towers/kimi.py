"""The vision tower of Kimi: a vision transformer for images of any size and for frames of video.

Defaults of ``KimiK25VisionConfig`` that are taken: three colours, merging of 2 × 2.
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


@tower("kimi_k25", "kimi_k25_vision", "moonvit")
def read_vision(config: Config) -> Stack:
    """Read the tower of Kimi.

    Parameters
    ----------
    config : Config
        The tower's section.

    Returns
    -------
    Stack
        Positions along both axes are learned and rotated.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden = config.size("hidden_size", "vt_hidden_size")
    norm = Norm(kind="layer_norm", width=hidden)
    size = config.size("patch_size", most=1024)
    height = config.size("init_pos_emb_height", "pos_emb_height", most=4096)
    width = config.size("init_pos_emb_width", "pos_emb_width", most=4096)
    config.ignore("init_pos_emb_time", "pos_emb_time", "pos_emb_type", "video_attn_type")
    config.ignore("merge_kernel_size", "merge_type", "mm_hidden_size", "mm_projector_type")
    config.ignore("projector_hidden_act", "projector_ln_eps", "text_hidden_size")
    config.ignore("rope_parameters", "max_position_embeddings")
    block = tower_block(
        hidden=hidden,
        heads=read_tower_heads(config, hidden, "num_attention_heads", "vt_num_attention_heads"),
        intermediate=config.size("intermediate_size", "vt_intermediate_size"),
        norm=norm,
        attention={"rotary": True},
    )
    first = (
        Projection(name="patch_embed", inputs=_COLOURS * size * size, outputs=hidden, bias=True),
        Table(name="pos_emb", shape=(height, width, hidden)),
    )
    layers = config.size("num_hidden_layers", "vt_num_hidden_layers", most=MOST_LAYERS)
    return Stack(
        layers=(Layer("patches", first), *[Layer("block", block)] * layers, Layer("last", (norm,))),
        width=hidden,
    )


def _projector(config: Config, stack: Stack, hidden: int) -> tuple[Part, ...]:
    section = config.section("vision_config")
    config.ignore("projection_hidden_size", "projection_layer_norm_eps")
    merged = _merged(section) if section else _MERGE**2
    wide = stack.width * merged
    return (
        Norm(kind="layer_norm", width=stack.width, name="pre_norm"),
        Projection(name="in_proj", inputs=wide, outputs=wide, bias=True, merged=merged),
        Projection(name="out_proj", inputs=wide, outputs=hidden, bias=True, merged=merged),
    )


def _merged(section: Config) -> int:
    match section.entries("merge_kernel_size") or (_MERGE, _MERGE):
        case [int(height), int(width)] if 0 < height <= 64 and 0 < width <= 64:
            return height * width
    section.refuse("merge_kernel_size", "two numbers of patches")


KIMI_VISION = Sense(
    name="vision", section="vision_config", default="kimi_k25", projector=_projector
)
"""The tower of Kimi K2.5 and what joins it to the language model."""
