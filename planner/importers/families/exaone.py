"""EXAONE 3, 3.5 and 4: Llama's blocks under other names, then norms after each part and windows.

Defaults of ``Exaone4Config`` that are taken: three windows of 4,096 tokens before each layer that
sees everything; such a layer has no positions where there are windows at all.
"""

from __future__ import annotations

from planner.importers.blocks import read_window_pattern
from planner.importers.config import Config
from planner.importers.decoder import read_layers
from planner.importers.dense_decoder import read_dense_decoder
from planner.importers.multimodal import read_multimodal
from planner.importers.registry import Architecture, family
from planner.importers.towers.qwen import qwen_vision

_WINDOW_TOKENS = 4096
_PERIOD = 4


@family("exaone", architectures=("ExaoneForCausalLM",))
def read_exaone(config: Config) -> Architecture:
    """Read an EXAONE 3 or 3.5 configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Llama's, under other names.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    return read_dense_decoder(config)


@family("exaone4", architectures=("Exaone4ForCausalLM",))
def read_exaone4(config: Config) -> Architecture:
    """Read an EXAONE 4 configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        RMSNorm after each part, and of each head's queries and keys.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    windows = read_window_pattern(
        config, read_layers(config), period=_PERIOD, window=_WINDOW_TOKENS
    )
    rotary = [window is not None for window in windows]
    return read_dense_decoder(
        config,
        form="after",
        windows=windows,
        rotary=rotary if any(rotary) else True,
        qk_norm="head",
    )


@family("exaone4_5", architectures=("Exaone4_5_ForConditionalGeneration",))
def read_exaone45(config: Config) -> Architecture:
    """Read an EXAONE 4.5 configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        EXAONE 4 beside Qwen2.5-VL's tower with grouped heads.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    return read_multimodal(config, qwen_vision("exaone4_5_vision"), default="exaone4")
