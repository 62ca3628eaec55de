"""ERNIE 4.5, dense: Llama's blocks with heads of 128, tied by default."""

from __future__ import annotations

from planner.importers.config import Config
from planner.importers.dense_decoder import read_dense_decoder
from planner.importers.registry import Architecture, family

_HEAD_DIM = 128


@family("ernie4_5", "paddleocr_vl_text", architectures=("Ernie4_5ForCausalLM",))
def read_ernie(config: Config) -> Architecture:
    """Read a dense ERNIE 4.5 configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Llama's, tied by default, one flag for all biases.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    bias = config.flag("use_bias", False)
    return read_dense_decoder(
        config, qkv_bias=bias, output_bias=bias, mlp_bias=bias, tied=True, head_dim=_HEAD_DIM
    )
