"""DeepSeek-VL, LFM2-VL, PaddleOCR-VL, HyperCLOVA X Vision, ViP-LLaVA: a tower and a plain joint.

Their towers and decoders are those of other families; only what joins the two is their own.
Defaults of their configuration classes that are taken: squares of four patches joined to one token,
biases in the joints, ViP-LLaVA's five layers of the tower that are seen.
"""

from __future__ import annotations

from typing import NamedTuple

from planner.importers.config import Config
from planner.importers.multimodal import Projector, Sense, feature_layers, read_multimodal
from planner.importers.registry import Architecture, family
from planner.importers.tower_registry import Stack
from planner.model.norm import Norm
from planner.model.part import Part
from planner.model.projection import Projection

_SIDE = 2
_SEEN_LAYERS = 5


def _two_matrices(config: Config, stack: Stack, hidden: int) -> tuple[Part, ...]:
    config.ignore("projector_hidden_act")
    return (
        Projection(name="linear_1", inputs=stack.width, outputs=hidden, bias=True),
        Projection(name="linear_2", inputs=hidden, outputs=hidden, bias=True),
    )


def _one_matrix(config: Config, stack: Stack, hidden: int) -> tuple[Part, ...]:
    del config
    return (Projection(name="projector", inputs=stack.width, outputs=hidden, bias=True),)


def _lfm(config: Config, stack: Stack, hidden: int) -> tuple[Part, ...]:
    merged = config.size("downsample_factor", default=_SIDE, most=64) ** 2
    wide, inputs = config.size("projector_hidden_size"), stack.width * merged
    bias = config.flag("projector_bias", True)
    config.ignore("projector_hidden_act")
    norm = Norm(kind="layer_norm", width=inputs, name="projector.norm")
    return (
        *((norm,) if config.flag("projector_use_layernorm", True) else ()),
        Projection(name="linear_1", inputs=inputs, outputs=wide, bias=bias, merged=merged),
        Projection(name="linear_2", inputs=wide, outputs=hidden, bias=bias, merged=merged),
    )


def _paddle(config: Config, stack: Stack, hidden: int) -> tuple[Part, ...]:
    section = config.section("vision_config") or config
    merged = section.size("spatial_merge_size", default=_SIDE, most=64) ** 2
    wide = stack.width * merged
    return (
        Norm(kind="layer_norm", width=stack.width, name="projector.pre_norm"),
        Projection(name="linear_1", inputs=wide, outputs=wide, bias=True, merged=merged),
        Projection(name="linear_2", inputs=wide, outputs=hidden, bias=True, merged=merged),
    )


def _vip(config: Config, stack: Stack, hidden: int) -> tuple[Part, ...]:
    listed = config.entries("vision_feature_layers")
    config.ignore("projector_hidden_act", "projector_layernorm_eps")
    seen = len(listed) if listed else _SEEN_LAYERS
    if "vision_feature_layer" in config:
        seen = feature_layers(config)
    inputs = seen * stack.width
    return (
        Norm(kind="layer_norm", width=inputs, name="projector.norm"),
        Projection(name="linear_1", inputs=inputs, outputs=hidden, bias=True),
        Projection(name="linear_2", inputs=hidden, outputs=hidden, bias=True),
    )


class _Kind(NamedTuple):
    """What a family's sections are where they do not name their own kind, and what joins them."""

    text: str
    tower: str
    joint: Projector


_KINDS = {
    "deepseek_vl": _Kind("llama", "siglip_vision_model", _two_matrices),
    "hyperclovax_vision_v2": _Kind("hyperclovax", "qwen2_5_vl_vision", _one_matrix),
    "lfm2_vl": _Kind("lfm2", "siglip2_vision_model", _lfm),
    "paddleocr_vl": _Kind("paddleocr_vl_text", "paddleocr_vl_vision", _paddle),
    "vipllava": _Kind("llama", "clip_vision_model", _vip),
}


@family(
    *_KINDS,
    architectures=(
        "DeepseekVLForConditionalGeneration",
        "HyperCLOVAXVisionV2ForConditionalGeneration",
        "Lfm2VlForConditionalGeneration",
        "PaddleOCRVLForConditionalGeneration",
        "VipLlavaForConditionalGeneration",
    ),
)
def read(config: Config) -> Architecture:
    """Read a configuration of one of these models.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        The language model with its tower.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    kind = _KINDS[config.text("model_type") or "deepseek_vl"]
    config.ignore("image_seq_length", "vision_feature_select_strategy", "use_image_special_tokens")
    config.ignore("max_image_tokens", "min_image_tokens", "max_num_patches", "encoder_patch_size")
    config.ignore("tile_size", "min_tiles", "max_tiles", "use_thumbnail", "do_image_splitting")
    config.ignore("max_pixels_tolerance")
    sense = Sense(name="vision", section="vision_config", default=kind.tower, projector=kind.joint)
    return read_multimodal(config, sense, default=kind.text)
