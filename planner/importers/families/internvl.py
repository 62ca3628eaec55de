"""InternVL, SmolVLM, Idefics 3, PaliGemma, Aya and Command A Vision: towers beside known decoders.

What joins a tower to its language model differs; the decoders are read by their own families.
"""

from __future__ import annotations

from planner.importers.config import Config
from planner.importers.multimodal import Sense, feature_layers, read_multimodal
from planner.importers.registry import Architecture, family
from planner.importers.tower_registry import Stack
from planner.model.norm import Norm
from planner.model.part import Part
from planner.model.projection import Projection

_DOWNSAMPLING = 0.5
_SCALE = 2


@family(
    "internvl",
    "qianfan_ocr",
    architectures=("InternVLForConditionalGeneration", "QianfanOCRForConditionalGeneration"),
)
def read_internvl(config: Config) -> Architecture:
    """Read an InternVL configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Four neighbouring patches become one token.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    config.ignore("image_seq_length", "vision_feature_select_strategy", "projector_hidden_act")
    sense = Sense(
        name="vision",
        section="vision_config",
        default="internvl_vision",
        projector=_internvl_projector,
    )
    return read_multimodal(config, sense, default="qwen2")


@family("internvl_chat", architectures=("InternVLChatModel",))
def read_internvl_chat(config: Config) -> Architecture:
    """Read an InternVL configuration as its authors write it.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        As InternVL; the language model stands in ``llm_config``.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    UnsupportedConfigError
        Adapters stand beside the weights.
    """
    for name in ("use_backbone_lora", "use_llm_lora"):
        config.require(name, 0)
    config.ignore(
        "force_image_size", "dynamic_image_size", "max_dynamic_patch", "min_dynamic_patch",
        "pad2square", "ps_version", "select_layer", "template", "use_thumbnail", "hidden_size",
        "system_message", "output_attentions", "image_fold", "vocab_size",
    )  # fmt: skip
    sense = Sense(
        name="vision",
        section="vision_config",
        default="intern_vit_6b",
        projector=_internvl_projector,
    )
    return read_multimodal(config, sense, default="internlm2", section="llm_config")


def _internvl_projector(config: Config, stack: Stack, hidden: int) -> tuple[Part, ...]:
    ratio = config.number("downsample_ratio", _DOWNSAMPLING)
    if not 0.01 <= ratio <= 1:
        config.refuse("downsample_ratio", "from 0.01 to 1")
    merged = int(1 / ratio) ** 2
    feature_layers(config)
    wide = stack.width * merged
    return (
        Norm(kind="layer_norm", width=wide, name="projector.norm"),
        Projection(name="linear_1", inputs=wide, outputs=hidden, bias=True, merged=merged),
        Projection(name="linear_2", inputs=hidden, outputs=hidden, bias=True, merged=merged),
    )


@family("paligemma", architectures=("PaliGemmaForConditionalGeneration",))
def read_paligemma(config: Config) -> Architecture:
    """Read a PaliGemma configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        One token for each patch. Attention within the prefix, which looks both ways, is counted as
        causal.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    config.ignore("projection_dim", "hidden_size", "vocab_size", "num_image_tokens")
    sense = Sense(
        name="vision",
        section="vision_config",
        default="siglip_vision_model",
        projector=_paligemma_projector,
    )
    ignored = ("use_bidirectional_attention", "num_image_tokens")
    return read_multimodal(config, sense, default="gemma", ignored=ignored)


def _paligemma_projector(config: Config, stack: Stack, hidden: int) -> tuple[Part, ...]:
    del config
    return (
        Projection(name="multi_modal_projector", inputs=stack.width, outputs=hidden, bias=True),
    )


@family(
    "idefics3",
    "smolvlm",
    architectures=("Idefics3ForConditionalGeneration", "SmolVLMForConditionalGeneration"),
)
def read_smolvlm(config: Config) -> Architecture:
    """Read an Idefics 3 or SmolVLM configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Squares of neighbouring patches become one token.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    config.ignore("vocab_size", "image_seq_len")
    kind = config.text("model_type") or "smolvlm"
    sense = Sense(
        name="vision",
        section="vision_config",
        default=f"{kind}_vision",
        projector=_smolvlm_projector,
    )
    unused = ("perceiver_config", "use_resampler", "pixel_shuffle_factor", "qk_layer_norms")
    return read_multimodal(config, sense, default="llama", ignored=unused)


def _smolvlm_projector(config: Config, stack: Stack, hidden: int) -> tuple[Part, ...]:
    merged = config.size("scale_factor", default=_SCALE, most=64) ** 2
    inputs = stack.width * merged
    return (Projection(name="connector", inputs=inputs, outputs=hidden, merged=merged),)


@family(
    "aya_vision",
    "cohere2_vision",
    architectures=("AyaVisionForConditionalGeneration", "Cohere2VisionForConditionalGeneration"),
)
def read_cohere(config: Config) -> Architecture:
    """Read an Aya Vision or Command A Vision configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Four neighbouring patches become one token; the projector is gated.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    config.ignore(
        "vision_feature_select_strategy", "adapter_layer_norm_eps", "vision_feature_layer"
    )
    sense = Sense(
        name="vision",
        section="vision_config",
        default="siglip_vision_model",
        projector=_gated_projector,
    )
    return read_multimodal(config, sense, default="cohere2")


def _gated_projector(config: Config, stack: Stack, hidden: int) -> tuple[Part, ...]:
    merged = config.size("downsample_factor", default=_SCALE, most=64) ** 2
    inputs = stack.width * merged
    wide = config.size("alignment_intermediate_size", default=hidden)
    if wide % 2:
        config.refuse("alignment_intermediate_size", "an even number: the width of both halves")
    normed = config.text("model_type") == "aya_vision"
    norm = Norm(kind="layer_norm", width=inputs, name="projector.norm")
    return (
        *((norm,) if normed else ()),
        Projection(name="linear_1", inputs=inputs, outputs=wide, bias=True, merged=merged),
        Projection(name="linear_2", inputs=wide // 2, outputs=hidden, bias=True, merged=merged),
    )
