"""The towers of Muse: a vision transformer whose patches are joined, convolutions for sound.

Most layers look within a window of the image; their products are counted as if they saw all of it.
Defaults of ``MuseGlimmerVisionConfig`` that are taken: three colours, patches of two frames,
joining of 2 × 2.
"""

from __future__ import annotations

import math

from planner.importers.config import Config
from planner.importers.multimodal import Sense
from planner.importers.tower_registry import Stack, read_tower_heads, tower, tower_block
from planner.model import Layer
from planner.model.bounds import MOST_LAYERS
from planner.model.norm import Norm
from planner.model.part import Part
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


@tower("muse_spark_audio")
def read_audio(config: Config) -> Stack:
    """Read the audio tower of Muse Spark.

    Parameters
    ----------
    config : Config
        The tower's section.

    Returns
    -------
    Stack
        Stages of convolutions, each on fewer and wider tokens than the one before. Their work is
        counted per token that comes out.

    Raises
    ------
    SpecError
        A figure is missing or unusable, or the lists differ in length.
    """
    widths, patches, depths = (
        _sizes(config, name) for name in ("hidden_sizes", "patch_sizes", "depths")
    )
    stages = len(widths)
    if {len(patches), len(depths)} != {stages}:
        config.refuse("hidden_sizes", "as many entries as patch_sizes and depths")
    config.ignore("num_hidden_layers")
    out = config.size("out_hidden_size")
    ratio = config.number("mlp_ratio", 4.0)
    if not 0 < ratio < 1000:
        config.refuse("mlp_ratio", "above 0")
    kernel = config.size("conv_kernel_size", most=1024)
    layers: list[Layer] = []
    for stage, width in enumerate(widths):
        rows = math.prod(patches[stage + 1 :])
        inputs = (widths[stage - 1] if stage else 1) * patches[stage]
        norm = Norm(kind="rms_norm", width=width, vectors=rows)
        entry = Projection(
            name="patch_embedder", inputs=inputs, outputs=width, bias=True, rows=rows
        )
        layers.append(Layer(f"stage{stage}", (entry, norm)))
        block = _convolution(width, int(width * ratio), kernel, rows)
        layers += [Layer(f"stage{stage}-block", (norm, *block))] * depths[stage]
    last = (
        Norm(kind="rms_norm", width=widths[-1]),
        Projection(name="proj", inputs=widths[-1], outputs=out, bias=True),
        Norm(kind="rms_norm", width=out, name="post_proj_norm"),
    )
    return Stack(layers=(*layers, Layer("output", last)), width=out)


def _sizes(config: Config, name: str) -> list[int]:
    entries = config.entries(name) or ()
    sizes = [e for e in entries if isinstance(e, int) and not isinstance(e, bool) and 0 < e < 2**16]
    if len(sizes) != len(entries) or not 0 < len(sizes) <= 16:
        config.refuse(name, "a list of up to 16 whole numbers from 1 on")
    return sizes


def _convolution(width: int, inner: int, kernel: int, rows: int) -> tuple[Part, ...]:
    return (
        Table(name="conv.weight", shape=(width, 1, kernel), role="convolution"),
        Table(name="conv.bias", shape=(width,), role="bias"),
        Projection(name="mlp.fc1", inputs=width, outputs=inner, bias=True, rows=rows),
        Projection(name="mlp.fc2", inputs=inner, outputs=width, bias=True, rows=rows),
    )


def _projector(config: Config, stack: Stack, hidden: int) -> tuple[Part, ...]:
    """Return the adapter of Muse and the matrix behind it."""
    inputs = config.size("out_hidden_size", default=stack.width)
    wide = config.size("projector_hidden_size")
    config.ignore("projector_hidden_act")
    return (
        Projection(name="vision_adapter.fc1", inputs=inputs, outputs=wide, merged=4),
        Projection(name="vision_adapter.fc2", inputs=wide, outputs=wide, merged=4),
        Projection(name="vision_projection", inputs=wide, outputs=hidden, merged=4),
    )


def _none(config: Config, stack: Stack, hidden: int) -> tuple[Part, ...]:
    del config, stack, hidden
    return ()


MUSE_VISION = Sense(
    name="vision", section="vision_config", default="muse_glimmer_vision", projector=_projector
)
"""The vision tower of Muse and what joins it to the language model."""

MUSE_AUDIO = Sense(
    name="audio", section="audio_config", default="muse_spark_audio", projector=_none
)
"""The audio tower of Muse Spark, which reaches the language model's width by itself."""
