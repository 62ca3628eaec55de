"""LLaVA and Pixtral: a vision tower joined to a language model by two matrices.

LLaVA-NeXT and LLaVA-OneVision add one learned vector for line breaks. Defaults of ``LlavaConfig``
that are taken: biases in the projector.
"""

from __future__ import annotations

from planner.importers.config import Config
from planner.importers.multimodal import Sense, feature_layers, read_multimodal
from planner.importers.registry import Architecture, family
from planner.importers.tower_registry import Stack
from planner.model.part import Part
from planner.model.projection import Projection, Table


@family(
    "llava",
    "llava_next",
    "llava_next_video",
    "llava_onevision",
    architectures=(
        "LlavaForConditionalGeneration",
        "LlavaNextForConditionalGeneration",
        "LlavaNextVideoForConditionalGeneration",
        "LlavaOnevisionForConditionalGeneration",
    ),
)
def read(config: Config) -> Architecture:
    """Read a LLaVA, LLaVA-NeXT, LLaVA-OneVision or Pixtral configuration.

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
    default = "qwen2" if config.text("model_type") == "llava_onevision" else "llama"
    config.ignore("vision_feature_select_strategy", "vocab_size", "image_seq_length")
    config.ignore("image_grid_pinpoints", "use_image_newline_parameter", "vision_aspect_ratio")
    config.ignore("spatial_pool_mode", "spatial_pool_stride", "video_seq_length")
    sense = Sense(
        name="vision",
        section="vision_config",
        default="clip_vision_model",
        projector=_projector,
    )
    return read_multimodal(config, sense, default=default)


def _projector(config: Config, stack: Stack, hidden: int) -> tuple[Part, ...]:
    bias = config.flag("multimodal_projector_bias", True)
    config.ignore("projector_hidden_act")
    inputs = feature_layers(config) * stack.width
    parts: tuple[Part, ...] = (
        Projection(name="linear_1", inputs=inputs, outputs=hidden, bias=bias),
        Projection(name="linear_2", inputs=hidden, outputs=hidden, bias=bias),
    )
    if config.text("model_type") != "llava":
        return (*parts, Table(name="image_newline", shape=(hidden,)))
    return parts
