"""The vision towers of Llama 3.2 and Llama 4.

Defaults of ``Llama4VisionConfig`` and ``MllamaVisionConfig`` that are taken: three colours.
"""

from __future__ import annotations

from planner.importers.config import Config
from planner.importers.tower_registry import Stack, read_tower_heads, tower, tower_block
from planner.importers.towers.vision import read_patch_count, read_patches
from planner.model import Layer
from planner.model.bounds import MOST_LAYERS
from planner.model.norm import Norm
from planner.model.projection import Projection, Table

_PIXEL_SHUFFLE = 0.5


@tower("llama4_vision_model")
def read_llama4(config: Config) -> Stack:
    """Read the tower of Llama 4, its adapter included.

    Parameters
    ----------
    config : Config
        The tower's section.

    Returns
    -------
    Stack
        Four neighbouring patches become one token.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden = config.size("hidden_size")
    norm = Norm(kind="layer_norm", width=hidden)
    inner = config.size("intermediate_size")
    ratio = config.number("pixel_shuffle_ratio", _PIXEL_SHUFFLE)
    if not 0.01 <= ratio <= 1:
        config.refuse("pixel_shuffle_ratio", "from 0.01 to 1")
    merged = round(1 / ratio**2)
    narrow = config.size("projector_input_dim")
    wide = config.size("projector_output_dim")
    config.ignore("multi_modal_projector_bias", "vision_feature_layer", "rope_parameters")
    config.ignore("vision_feature_select_strategy", "projector_dropout", "vision_output_dim")
    block = tower_block(
        hidden=hidden,
        heads=read_tower_heads(config, hidden, "num_attention_heads"),
        intermediate=inner,
        norm=norm,
        attention={"rotary": True},
    )
    first = (
        read_patches(config, bias=False),
        Table(name="class_embedding", shape=(hidden,)),
        Table(name="positional_embedding", shape=(read_patch_count(config) + 1, hidden)),
        norm,
    )
    adapter = (
        norm,
        Projection(name="adapter.fc1", inputs=inner, outputs=narrow, merged=merged),
        Projection(name="adapter.fc2", inputs=wide, outputs=wide, merged=merged),
    )
    layers = config.size("num_hidden_layers", most=MOST_LAYERS)
    return Stack(
        layers=(
            Layer("patches", first),
            *[Layer("block", block)] * layers,
            Layer("adapter", adapter),
        ),
        width=config.size("vision_output_dim"),
    )


@tower("mllama_vision_model")
def read_mllama(config: Config) -> Stack:
    """Read the tower of Llama 3.2 Vision.

    Parameters
    ----------
    config : Config
        The tower's section.

    Returns
    -------
    Stack
        Layers within a tile's tokens, then layers with gates; tables for each shape of the image.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden = config.size("hidden_size")
    norm = Norm(kind="layer_norm", width=hidden)
    tokens = read_patch_count(config) + 1
    tiles = config.size("max_num_tiles", default=4, most=1024)
    shapes = len(config.entries("supported_aspect_ratios") or [None] * 8) + 1
    config.ignore("intermediate_layers_indices", "max_aspect_ratio_id")
    block = tower_block(
        hidden=hidden,
        heads=read_tower_heads(config, hidden, "attention_heads", "num_attention_heads"),
        intermediate=config.size("intermediate_size"),
        norm=norm,
        bias=False,
        mlp_bias=True,
    )
    gates = Table(name="gates", shape=(2,), role="bias")
    first = (
        read_patches(config, bias=False),
        Table(name="class_embedding", shape=(hidden,)),
        Table(name="pre_tile_positions", shape=(shapes, tiles * hidden)),
        Table(name="positions", shape=(tokens, hidden)),
        Table(name="tile_positions", shape=(shapes, tiles * tokens * hidden)),
        Table(name="position_gates", shape=(3,), role="bias"),
        norm,
    )
    last = (norm, Table(name="post_tile_positions", shape=(shapes, tiles * hidden)))
    layers = config.size("num_hidden_layers", most=MOST_LAYERS)
    further = config.size("num_global_layers", most=MOST_LAYERS)
    return Stack(
        layers=(
            Layer("patches", first),
            *[Layer("block", block)] * layers,
            Layer("last", last),
            *[Layer("gated", (*block, gates))] * further,
        ),
        width=config.size("vision_output_dim"),
    )
