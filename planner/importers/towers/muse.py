"""The vision tower of Muse: a vision transformer whose patches are joined four by four.

Most layers look within a window of the image; their products are counted as if they saw all of it.
Defaults of ``MuseGlimmerVisionConfig`` that are taken: three colours, patches of two frames,
joining of 2 × 2.
"""

from __future__ import annotations

from planner.importers.config import Config
from planner.importers.tower_registry import Stack, read_tower_heads, tower, tower_block
from planner.model import Layer
from planner.model.bounds import MOST_LAYERS
from planner.model.norm import Norm
from planner.model.projection import Projection, Table

_COLOURS = 3
_FRAMES = 2
_MERGE = 2


@tower("muse_glimmer_vision", "muse_spark_vision")
def read_vision(config: Config) -> Stack:
    """Read the tower of Muse.

    Parameters
    ----------
    config : Config
        The tower's section.

    Returns
    -------
    Stack
        LayerNorm with biases, also before and after the layers.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden = config.size("hidden_size")
    norm = Norm(kind="layer_norm", width=hidden)
    size = config.size("patch_size", most=1024)
    frames = config.size("patch_temporal", default=_FRAMES, most=64)
    rows = config.size("pos_emb_height", most=4096) * config.size("pos_emb_width", most=4096)
    merged = config.size("merge_size", default=_MERGE, most=64) ** 2
    config.ignore("layer_types", "max_position_embeddings", "rope_parameters")
    first = (
        Projection(name="patch_embedding", inputs=_COLOURS * frames * size * size, outputs=hidden),
        Table(name="position_embedding_table", shape=(rows, hidden)),
        norm,
    )
    block = tower_block(
        hidden=hidden,
        heads=read_tower_heads(config, hidden, "num_attention_heads"),
        intermediate=config.size("intermediate_size"),
        norm=norm,
        attention={"rotary": True},
    )
    layers = config.size("num_hidden_layers", most=MOST_LAYERS)
    return Stack(
        layers=(Layer("patches", first), *[Layer("block", block)] * layers, Layer("last", (norm,))),
        width=hidden * merged,
    )
