"""Qwen2-VL, Qwen2.5-VL and Qwen3-VL: a vision tower whose last part merges patches to tokens.

Files of the first two hold the figures of their language model beside those of the tower; newer
ones hold both in sections.
"""

from __future__ import annotations

from dataclasses import replace

from planner.importers.config import Config
from planner.importers.families.qwen2 import read as read_qwen2
from planner.importers.multimodal import read_multimodal, read_towers
from planner.importers.registry import Architecture, family
from planner.importers.towers.qwen import qwen_vision

_TEXT = {
    "qwen2_vl": "qwen2_vl_text",
    "qwen2_5_vl": "qwen2_5_vl_text",
    "qwen3_vl": "qwen3_vl_text",
    "qwen3_vl_moe": "qwen3_vl_moe_text",
}


@family(
    *_TEXT,
    architectures=(
        "Qwen2VLForConditionalGeneration",
        "Qwen2_5_VLForConditionalGeneration",
        "Qwen3VLForConditionalGeneration",
        "Qwen3VLMoeForConditionalGeneration",
    ),
)
def read(config: Config) -> Architecture:
    """Read a Qwen-VL configuration.

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
    kind = config.text("model_type") or "qwen2_vl"
    sense = qwen_vision(kind)
    if "text_config" in config:
        config.ignore("vocab_size", "hidden_size", "rope_scaling")
        return read_multimodal(config, sense, default=_TEXT[kind])
    language = read_qwen2(config)
    towers = read_towers(config, sense, hidden=language.embedding.hidden)
    return replace(language, towers=towers)
