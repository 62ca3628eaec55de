"""SmolLM 3: Llama's blocks, every fourth layer without positions, tied embeddings."""

from __future__ import annotations

from planner.importers.config import Config
from planner.importers.decoder import read_layer_types, read_layers
from planner.importers.dense_decoder import read_dense_decoder
from planner.importers.registry import Architecture, family
from planner.model.bounds import MOST_LAYERS

_NOPE_INTERVAL = 4


@family("smollm3", architectures=("SmolLM3ForCausalLM",))
def read_smollm3(config: Config) -> Architecture:
    """Read a SmolLM 3 configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Llama's, every fourth layer without positions.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    layers = read_layers(config)
    bias = config.flag("attention_bias", False)
    window = config.optional_size("sliding_window")
    sliding = read_layer_types(config, layers) or [False] * layers
    used = config.flag("use_sliding_window", False)
    rotary = read_rotary_layers(config, layers)
    return read_dense_decoder(
        config,
        qkv_bias=bias,
        output_bias=bias,
        mlp_bias=config.flag("mlp_bias", False),
        tied=True,
        windows=[window if used and slides else None for slides in sliding],
        rotary=rotary,
    )


def read_rotary_layers(config: Config, layers: int) -> list[bool]:
    """Return which layers rotate queries and keys, where some have no positions.

    Parameters
    ----------
    config : Config
        The configuration.
    layers : int
        Number of layers. [1]

    Returns
    -------
    list of bool
        From the list ``no_rope_layers``, whose 0 marks a layer without; else all but every fourth.

    Raises
    ------
    SpecError
        The list has another length, or other entries than 0 and 1.

    Examples
    --------
    >>> read_rotary_layers(Config({"no_rope_layers": [1, 0]}, "config.json"), 2)
    [True, False]
    """
    interval = config.size("no_rope_layer_interval", default=_NOPE_INTERVAL, most=MOST_LAYERS)
    listed = config.entries("no_rope_layers")
    if not listed:
        return [(layer + 1) % interval != 0 for layer in range(layers)]
    if len(listed) != layers or any(item not in (0, 1) for item in listed):
        config.refuse("no_rope_layers", f"0 or 1 for each of the {layers:,} layers")
    return [bool(item) for item in listed]
