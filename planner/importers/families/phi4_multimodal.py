"""Phi-4-multimodal: Phi-4-mini beside SigLIP and a conformer, each joined by matrices of its own.

The published checkpoint also holds LoRA adapters for images and sound, which the configuration
describes outside the network; they are not counted.
"""

from __future__ import annotations

from dataclasses import replace

from planner.importers.config import Config
from planner.importers.families.phi3 import read as read_phi3
from planner.importers.multimodal import Sense, read_towers
from planner.importers.registry import Architecture, family
from planner.importers.tower_registry import Stack
from planner.model.part import Part
from planner.model.projection import Projection, Table


@family("phi4_multimodal", architectures=("Phi4MultimodalForCausalLM",))
def read(config: Config) -> Architecture:
    """Read a Phi-4-multimodal configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        The language model with its towers.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    language = read_phi3(config)
    senses = (
        Sense(
            name="vision",
            section="vision_config",
            default="phi4_multimodal_vision",
            projector=_vision,
        ),
        Sense(
            name="audio",
            section="audio_config",
            default="phi4_multimodal_audio",
            projector=_audio,
        ),
    )
    towers = read_towers(config, *senses, hidden=language.embedding.hidden)
    return replace(language, towers=towers)


def _vision(config: Config, stack: Stack, hidden: int) -> tuple[Part, ...]:
    del config
    return (
        Table(name="global_img_feature_extensor", shape=(1, 1, stack.width)),
        Table(name="sub_img_feature_extensor", shape=(1, 1, 1, stack.width)),
        *_two("img_projection", stack.width, hidden),
    )


def _audio(config: Config, stack: Stack, hidden: int) -> tuple[Part, ...]:
    section = config.section("audio_config")
    rate = section.size("downsample_rate", default=1, most=64) if section else 1
    return (
        *_two("proj_for_speech", stack.width * rate, hidden),
        *_two("proj_for_vision_speech", stack.width * rate, hidden),
    )


def _two(name: str, inputs: int, hidden: int) -> tuple[Part, ...]:
    return (
        Projection(name=f"{name}.up", inputs=inputs, outputs=hidden, bias=True),
        Projection(name=f"{name}.down", inputs=hidden, outputs=hidden, bias=True),
    )
