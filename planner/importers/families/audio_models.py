"""Qwen2-Audio and Voxtral: an encoder of sound beside a known decoder.

Voxtral joins four tokens of sound to one of the language model.
"""

from __future__ import annotations

from planner.importers.config import Config
from planner.importers.multimodal import Sense, read_multimodal
from planner.importers.registry import Architecture, family
from planner.importers.tower_registry import Stack
from planner.model.part import Part
from planner.model.projection import Projection


@family("qwen2_audio", architectures=("Qwen2AudioForConditionalGeneration",))
def read_qwen2_audio(config: Config) -> Architecture:
    """Read a Qwen2-Audio configuration.

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
    sense = Sense(
        name="audio",
        section="audio_config",
        default="qwen2_audio_encoder",
        projector=_one_matrix,
    )
    return read_multimodal(config, sense, default="qwen2")


def _one_matrix(config: Config, stack: Stack, hidden: int) -> tuple[Part, ...]:
    del config
    return (
        Projection(name="multi_modal_projector", inputs=stack.width, outputs=hidden, bias=True),
    )


@family("voxtral", architectures=("VoxtralForConditionalGeneration",))
def read_voxtral(config: Config) -> Architecture:
    """Read a Voxtral configuration.

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
    config.ignore("projector_hidden_act", "hidden_size", "vocab_size")
    sense = Sense(
        name="audio", section="audio_config", default="voxtral_encoder", projector=_two_matrices
    )
    return read_multimodal(config, sense, default="llama")


def _two_matrices(config: Config, stack: Stack, hidden: int) -> tuple[Part, ...]:
    section = config.section("audio_config")
    inputs = section.size("intermediate_size") if section else 4 * stack.width
    merged = max(inputs // stack.width, 1)
    return (
        Projection(name="linear_1", inputs=inputs, outputs=hidden, merged=merged),
        Projection(name="linear_2", inputs=hidden, outputs=hidden, merged=merged),
    )
