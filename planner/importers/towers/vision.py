"""Plain vision transformers: CLIP, SigLIP, Pixtral, Intern ViT.

An image becomes patches, patches become tokens. Defaults of the configuration classes that are
taken: three colours, SigLIP's pooling head where a file does not switch it off
(Idefics 2 and 3, SmolVLM and PaddleOCR-VL have none).
"""

from __future__ import annotations

from dataclasses import replace

from planner.importers.class_defaults import class_defaults
from planner.importers.config import Config
from planner.importers.tower_registry import Stack, read_tower_heads, tower, tower_block
from planner.model import Layer
from planner.model.bounds import MOST_LAYERS
from planner.model.feed_forward import Dense
from planner.model.mixers.attention import Attention
from planner.model.norm import Norm
from planner.model.part import Part
from planner.model.projection import Projection, Table

_COLOURS = 3
_HEADLESS = (
    "idefics2_vision",
    "idefics3",
    "idefics3_vision",
    "paddleocr_vl_vision",
    "smolvlm_vision",
)

class_defaults(
    "clip_vision_model", hidden_size=768, intermediate_size=3072, num_hidden_layers=12,
    num_attention_heads=12, image_size=224, patch_size=32,
)  # fmt: skip
class_defaults(
    "pixtral", hidden_size=1024, intermediate_size=4096, num_hidden_layers=24,
    num_attention_heads=16, image_size=1024, patch_size=16,
)  # fmt: skip
class_defaults(
    "siglip_vision_model", hidden_size=768, intermediate_size=3072, num_hidden_layers=12,
    num_attention_heads=12, image_size=224, patch_size=16,
)  # fmt: skip
class_defaults(
    "idefics3", "idefics3_vision", "smolvlm_vision", hidden_size=1152, intermediate_size=3072,
    num_hidden_layers=12, num_attention_heads=16, image_size=224, patch_size=32,
)  # fmt: skip


def read_patches(config: Config, *, bias: bool) -> Projection:
    """Return the convolution that makes a token of each patch.

    Parameters
    ----------
    config : Config
        The tower's section.
    bias : bool
        Whether it has one.

    Returns
    -------
    Projection
        Patches do not overlap, so that it is one matrix.

    Raises
    ------
    SpecError
        A figure is missing or unusable.

    Examples
    --------
    >>> config = Config({"hidden_size": 1024, "patch_size": 14}, "config.json")
    >>> read_patches(config, bias=False).inputs
    588
    """
    size = config.size("patch_size", most=1024)
    return Projection(
        name="patch_embedding",
        inputs=config.size("num_channels", default=_COLOURS, most=64) * size * size,
        outputs=config.size("hidden_size"),
        bias=bias,
    )


def read_patch_count(config: Config) -> int:
    """Return the patches of an image.

    Parameters
    ----------
    config : Config
        The tower's section.

    Returns
    -------
    int
        Patches. [1]

    Raises
    ------
    SpecError
        A figure is missing or unusable.

    Examples
    --------
    >>> read_patch_count(Config({"image_size": 336, "patch_size": 14}, "config.json"))
    576
    """
    image, patch = config.size("image_size"), config.size("patch_size", most=1024)
    if image < patch:
        config.refuse("image_size", f"at least one patch of {patch:,}")
    return (image // patch) ** 2


@tower("clip_vision_model")
def read_clip(config: Config) -> Stack:
    """Read a CLIP vision tower.

    Parameters
    ----------
    config : Config
        The tower's section.

    Returns
    -------
    Stack
        With a class token, and norms before and after the layers.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden = config.size("hidden_size")
    norm = Norm(kind="layer_norm", width=hidden)
    config.ignore("projection_dim", "vocab_size")
    block = tower_block(
        hidden=hidden,
        heads=read_tower_heads(config, hidden, "num_attention_heads"),
        intermediate=config.size("intermediate_size"),
        norm=norm,
    )
    first = (
        read_patches(config, bias=False),
        Table(name="class_embedding", shape=(hidden,)),
        Table(name="position_embedding", shape=(read_patch_count(config) + 1, hidden)),
        norm,
    )
    layers = config.size("num_hidden_layers", most=MOST_LAYERS)
    return Stack(
        layers=(Layer("patches", first), *[Layer("block", block)] * layers, Layer("last", (norm,))),
        width=hidden,
    )


@tower("siglip_vision_model", "siglip2_vision_model", "phi4_multimodal_vision", *_HEADLESS)
def read_siglip(config: Config) -> Stack:
    """Read a SigLIP vision tower.

    Parameters
    ----------
    config : Config
        The tower's section.

    Returns
    -------
    Stack
        With a head that pools all patches, unless the file switches it off.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden = config.size("hidden_size")
    heads = read_tower_heads(config, hidden, "num_attention_heads")
    inner = config.size("intermediate_size")
    norm = Norm(kind="layer_norm", width=hidden)
    config.ignore("crop_size", "feature_layer", "projection_dim", "vocab_size", "num_image_tokens")
    config.ignore("spatial_merge_size", "rope_parameters", "size", "max_image_size")
    config.ignore("use_base_siglip", "projector_hidden_act", "tie_word_embeddings")
    first = (
        read_patches(config, bias=True),
        Table(name="position_embedding", shape=(_positions(config), hidden)),
    )
    last: tuple[Part, ...] = (norm,)
    headless = config.text("model_type") in _HEADLESS
    if config.flag("vision_use_head", not headless):
        last = (norm, *_pooling_head(hidden, heads, inner, norm))
    block = tower_block(hidden=hidden, heads=heads, intermediate=inner, norm=norm)
    layers = config.size("num_hidden_layers", most=MOST_LAYERS)
    return Stack(
        layers=(Layer("patches", first), *[Layer("block", block)] * layers, Layer("last", last)),
        width=hidden,
    )


def _positions(config: Config) -> int:
    """Return the rows of the table of positions; SigLIP 2 says how many patches there are."""
    patches = config.optional_size("num_patches")
    return read_patch_count(config) if patches is None else patches


def _pooling_head(hidden: int, heads: int, inner: int, norm: Norm) -> tuple[Part, ...]:
    """Return attention of one learned query to all patches; counted as if each patch had one."""
    return (
        Table(name="head.probe", shape=(1, 1, hidden)),
        Attention(
            hidden=hidden,
            query_heads=heads,
            kv_heads=heads,
            head_dim=hidden // heads,
            causal=False,
            qkv_bias=True,
            output_bias=True,
            rotary=False,
        ),
        replace(norm, name="head.norm"),
        Dense(hidden=hidden, intermediate=inner, gated=False, bias=True, name="head.mlp"),
    )


@tower("pixtral")
def read_pixtral(config: Config) -> Stack:
    """Read a Pixtral vision tower.

    Parameters
    ----------
    config : Config
        The tower's section.

    Returns
    -------
    Stack
        Llama's blocks, both ways, with positions rotated along both axes.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden = config.size("hidden_size")
    norm = Norm(kind="rms_norm", width=hidden)
    heads = read_tower_heads(config, hidden, "num_attention_heads")
    config.ignore("image_size", "vocab_size", "rope_parameters", "head_dim", "layer_types")
    config.ignore("is_composition", "tie_word_embeddings")
    block = tower_block(
        hidden=hidden,
        heads=heads,
        intermediate=config.size("intermediate_size"),
        norm=norm,
        bias=False,
        gated=True,
        attention={"rotary": True},
    )
    layers = config.size("num_hidden_layers", most=MOST_LAYERS)
    first = (read_patches(config, bias=False), norm)
    return Stack(layers=(Layer("patches", first), *[Layer("block", block)] * layers), width=hidden)


@tower("internvl_vision", "intern_vit_6b", "qianfan_ocr_vision")
def read_internvit(config: Config) -> Stack:
    """Read the tower of InternVL.

    Parameters
    ----------
    config : Config
        The tower's section.

    Returns
    -------
    Stack
        Each part's output is scaled by a learned vector.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden = config.size("hidden_size")
    remote = "qkv_bias" in config
    bias = config.flag("qkv_bias" if remote else "attention_bias", remote)
    normed = config.flag("qk_normalization" if remote else "use_qk_norm", False)
    kind = config.text("norm_type", "layer_norm")
    norm = Norm(kind="rms_norm" if kind == "rms_norm" else "layer_norm", width=hidden)
    config.ignore("use_mean_pooling", "layer_scale_init_value", "initializer_factor")
    config.ignore("projection_dropout", "drop_path_rate", "use_flash_attn", "dropout")
    config.require("use_mask_token", False)
    config.require("use_absolute_position_embeddings", True)
    block = tower_block(
        hidden=hidden,
        heads=read_tower_heads(config, hidden, "num_attention_heads"),
        intermediate=config.size("intermediate_size"),
        norm=norm,
        mlp_bias=True,
        attention={"qkv_bias": bias, "qk_norm": "full" if normed else "none"},
    )
    scales = Table(name="layer_scales", shape=(2, hidden), role="norm")
    image, patch = (_side(config, name) for name in ("image_size", "patch_size"))
    colours = config.size("num_channels", default=_COLOURS, most=64)
    first = (
        Projection(
            name="patch_embedding", inputs=colours * patch * patch, outputs=hidden, bias=True
        ),
        Table(name="cls_token", shape=(1, 1, hidden)),
        Table(name="position_embeddings", shape=(1, (image // patch) ** 2 + 1, hidden)),
    )
    layers = config.size("num_hidden_layers", most=MOST_LAYERS)
    return Stack(
        layers=(Layer("patches", first), *[Layer("block", (*block, scales))] * layers),
        width=hidden,
    )


def _side(config: Config, name: str) -> int:
    """Return the side of a square that a file gives once or for both axes."""
    if not config.is_list(name):
        return config.size(name)
    match config.entries(name):
        case [int(height), int(width)] if height == width and 0 < height <= 2**16:
            return height
    config.refuse(name, "the side of a square, once or twice")
