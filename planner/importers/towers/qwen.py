"""The vision towers of Qwen2-VL, Qwen2.5-VL, Qwen3-VL and what follows them.

Patches of two frames become tokens; four neighbours are merged into one token of the language
model. Defaults of the configuration classes that are taken: three colours, merging of 2 × 2,
patches of two frames.
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
_FRAMES = 2
_WINDOW_PIXELS = 112


def _patches(config: Config, hidden: int, *, bias: bool) -> Projection:
    size = config.size("patch_size", most=1024)
    frames = config.size("temporal_patch_size", default=_FRAMES, most=64)
    colours = config.size("in_channels", "in_chans", default=_COLOURS, most=64)
    config.ignore("spatial_patch_size", "tokens_per_second", "rope_parameters")
    return Projection(
        name="patch_embed", inputs=colours * frames * size * size, outputs=hidden, bias=bias
    )


def _merger(
    name: str, norm: Norm, hidden: int, out: int, joined: int, *, after: bool = False
) -> tuple[Part, ...]:
    """Return the norm, before or after tokens are joined, and the two matrices of a merger."""
    wide = hidden * joined
    parts = (
        Projection(name=f"{name}.fc1", inputs=wide, outputs=wide, bias=True, merged=joined),
        Projection(name=f"{name}.fc2", inputs=wide, outputs=out, bias=True, merged=joined),
    )
    width = wide if after else hidden
    return (Norm(kind=norm.kind, width=width, name=f"{name}.norm"), *parts)


def _joined(config: Config) -> int:
    return config.size("spatial_merge_size", default=_MERGE, most=64) ** 2


def _depth(config: Config) -> int:
    return config.size("depth", "num_hidden_layers", most=MOST_LAYERS)


def qwen_vision(kind: str) -> Sense:
    """Return the tower of a Qwen model, its merger included.

    Parameters
    ----------
    kind : str
        ``model_type`` of the whole configuration, which some towers' sections name too.

    Returns
    -------
    Sense
        Nothing more joins it to the language model.

    Examples
    --------
    >>> qwen_vision("qwen3_vl").section
    'vision_config'
    """
    return Sense(name="vision", section="vision_config", default=kind, projector=_none)


def _none(config: Config, stack: Stack, hidden: int) -> tuple[Part, ...]:
    del config, stack, hidden
    return ()


@tower("qwen2_vl", "qwen2_vl_vision")
def read_qwen2(config: Config) -> Stack:
    """Read the tower of Qwen2-VL.

    Parameters
    ----------
    config : Config
        The tower's section.

    Returns
    -------
    Stack
        Its ``hidden_size`` is the width of the language model.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden, out = config.size("embed_dim"), config.size("hidden_size")
    norm = Norm(kind="layer_norm", width=hidden)
    block = tower_block(
        hidden=hidden,
        heads=read_tower_heads(config, hidden, "num_heads", "num_attention_heads"),
        intermediate=hidden * config.size("mlp_ratio", default=4, most=1024),
        norm=norm,
        attention={"rotary": True},
    )
    return Stack(
        layers=(
            Layer("patches", (_patches(config, hidden, bias=False),)),
            *[Layer("block", block)] * _depth(config),
            Layer("merger", _merger("merger", norm, hidden, out, _joined(config))),
        ),
        width=out,
    )


@tower("qwen2_5_vl", "qwen2_5_vl_vision", "qwen2_5_omni_vision_encoder", "exaone4_5_vision")
def read_qwen25(config: Config) -> Stack:
    """Read the tower of Qwen2.5-VL.

    Parameters
    ----------
    config : Config
        The tower's section.

    Returns
    -------
    Stack
        Most layers look within squares of 112 pixels, those that the file lists at everything.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden, out = config.size("hidden_size"), config.size("out_hidden_size")
    config.ignore("embed_dim", "spatial_patch_size", "tokens_per_second", "init_std")
    norm = Norm(kind="rms_norm", width=hidden)
    depth = _depth(config)
    full = config.entries("fullatt_block_indexes") or ()
    if any(isinstance(item, bool) or item not in range(depth) for item in full):
        config.refuse("fullatt_block_indexes", f"layers from 0 to {depth - 1:,}")
    patch = config.size("patch_size", most=1024)
    window = (config.size("window_size", default=_WINDOW_PIXELS) // patch) ** 2
    heads = read_tower_heads(config, hidden, "num_heads", "num_attention_heads")
    kv_heads = config.optional_size("num_key_value_heads") or heads
    if heads % kv_heads:
        config.refuse("num_key_value_heads", f"a divisor of {heads:,}")
    inner = config.size("intermediate_size")
    everything, square = (
        tower_block(
            hidden=hidden,
            heads=heads,
            intermediate=inner,
            norm=norm,
            gated=True,
            attention={"rotary": True, "chunk": chunk, "kv_heads": kv_heads},
        )
        for chunk in (None, max(window, 1))
    )
    return Stack(
        layers=(
            Layer("patches", (_patches(config, hidden, bias=False),)),
            *[
                Layer("full", everything) if layer in full else Layer("square", square)
                for layer in range(depth)
            ],
            Layer("merger", _merger("merger", norm, hidden, out, _joined(config))),
        ),
        width=out,
    )


@tower(
    "qwen3_vl",
    "qwen3_vl_moe",
    "qwen3_vl_vision",
    "qwen3_vl_moe_vision",
    "qwen3_omni_moe_vision_encoder",
    "qwen3_5",
    "qwen3_5_moe",
    "qwen3_5_vision",
    "qwen3_5_moe_vision",
)
def read_qwen3(config: Config) -> Stack:
    """Read the tower of Qwen3-VL or Qwen3.5.

    Parameters
    ----------
    config : Config
        The tower's section.

    Returns
    -------
    Stack
        Mergers of their own for the layers whose output the language model also gets.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden, out = config.size("hidden_size"), config.size("out_hidden_size")
    norm = Norm(kind="layer_norm", width=hidden)
    joined = _joined(config)
    deep = config.entries("deepstack_visual_indexes") or ()
    rows = config.size("num_position_embeddings")
    block = tower_block(
        hidden=hidden,
        heads=read_tower_heads(config, hidden, "num_heads", "num_attention_heads"),
        intermediate=config.size("intermediate_size"),
        norm=norm,
        attention={"rotary": True},
    )
    first = (
        _patches(config, hidden, bias=True),
        Table(name="pos_embed", shape=(rows, hidden)),
    )
    further = _merger("deepstack", norm, hidden, out, joined, after=True)
    return Stack(
        layers=(
            Layer("patches", first),
            *[Layer("block", block)] * _depth(config),
            *[Layer("deepstack", further)] * len(deep),
            Layer("merger", _merger("merger", norm, hidden, out, joined)),
        ),
        width=out,
    )
