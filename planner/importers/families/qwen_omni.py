"""Qwen2.5-Omni and Qwen3-Omni: the thinker, which hears and sees; the talker is left out.

Whole configurations hold the thinker in a section beside what speaks, which a warning names.
"""

from __future__ import annotations

from planner.errors import SpecError
from planner.importers.config import Config
from planner.importers.multimodal import Sense, read_multimodal
from planner.importers.registry import Architecture, family
from planner.importers.tower_registry import Stack
from planner.importers.towers.qwen import qwen_vision
from planner.model.part import Part

_THINKERS = {
    "qwen2_5_omni": "qwen2_5_omni_thinker",
    "qwen3_omni_moe": "qwen3_omni_moe_thinker",
}
_TEXT = {
    "qwen2_5_omni_thinker": "qwen2_5_omni_text",
    "qwen3_omni_moe_thinker": "qwen3_omni_moe_text",
}
_SPEECH = ("talker_config", "token2wav_config", "code2wav_config")


def _none(config: Config, stack: Stack, hidden: int) -> tuple[Part, ...]:
    del config, stack, hidden
    return ()


@family(
    *_TEXT,
    architectures=(
        "Qwen2_5OmniThinkerForConditionalGeneration",
        "Qwen3OmniMoeThinkerForConditionalGeneration",
    ),
)
def read_thinker(config: Config) -> Architecture:
    """Read the thinker's section of a Qwen-Omni configuration.

    Parameters
    ----------
    config : Config
        The section, or a configuration of the thinker alone.

    Returns
    -------
    Architecture
        The language model with a tower for images and one for sound.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    kind = config.text("model_type") or "qwen2_5_omni_thinker"
    stem = kind.removesuffix("_thinker")
    config.ignore("position_id_per_seconds", "seconds_per_chunk")
    senses = (
        qwen_vision(f"{stem}_vision_encoder"),
        Sense(
            name="audio",
            section="audio_config",
            default=f"{stem}_audio_encoder",
            projector=_none,
        ),
    )
    return read_multimodal(config, *senses, default=_TEXT[kind])


@family(
    *_THINKERS,
    architectures=("Qwen2_5OmniModel", "Qwen3OmniMoeForConditionalGeneration"),
)
def read(config: Config) -> Architecture:
    """Read a Qwen-Omni configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        The thinker.

    Raises
    ------
    SpecError
        The thinker's section is missing, or a figure is unusable.
    """
    kind = _THINKERS[config.text("model_type") or "qwen2_5_omni"]
    thinker = config.section("thinker_config", defaults={"model_type": kind})
    if thinker is None:
        raise SpecError("a required section is missing", where=config.place("thinker_config"))
    left_out = [name for name in _SPEECH if config.given(name)]
    config.ignore("enable_audio_output")
    if left_out:
        config.warn(f"Only the thinker is planned: {', '.join(left_out)} are not counted.")
    return read_thinker(thinker)
