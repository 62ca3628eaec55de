"""Kimi-K2.5, -K2.6 and Kimi-VL: a DeepSeek-V3 class language model beside a vision tower."""

from __future__ import annotations

from planner.importers.config import Config
from planner.importers.multimodal import read_multimodal
from planner.importers.registry import Architecture, family
from planner.importers.towers.kimi import KIMI_VISION


@family(
    "kimi_k25",
    "kimi_vl",
    architectures=("KimiK25ForConditionalGeneration", "KimiVLForConditionalGeneration"),
)
def read(config: Config) -> Architecture:
    """Read the language model of a Kimi configuration.

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
    config.ignore(
        "ignore_index", "image_placeholder", "video_placeholder",
        "use_unified_vision_chunk",
    )  # fmt: skip
    return read_multimodal(config, KIMI_VISION, default="deepseek_v3")
