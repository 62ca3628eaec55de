"""CWM: Llama's blocks, three layers of four with a window of 8,192 tokens.

The file may leave the pattern out: every fourth layer, the first among them, sees everything.
"""

from __future__ import annotations

from planner.importers.config import Config
from planner.importers.decoder import read_layer_types, read_layers
from planner.importers.dense_decoder import read_dense_decoder
from planner.importers.registry import Architecture, family

_HEAD_DIM = 128
_WINDOW_TOKENS = 8192
_PERIOD = 4


@family("cwm", architectures=("CwmForCausalLM",))
def read_cwm(config: Config) -> Architecture:
    """Read a CWM configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Llama's, three layers of four with a window.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    layers = read_layers(config)
    window = config.size("sliding_window", default=_WINDOW_TOKENS)
    sliding = read_layer_types(config, layers) or [i % _PERIOD != 0 for i in range(layers)]
    config.require("mlp_bias", False)
    return read_dense_decoder(
        config, head_dim=_HEAD_DIM, windows=[window if slides else None for slides in sliding]
    )
