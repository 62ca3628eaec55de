"""Seed-OSS: Llama's blocks with biases on the way in and 80 heads of 128.

Defaults of ``SeedOssConfig`` that are taken: biases on queries, keys and values, heads of 128.
"""

from __future__ import annotations

from planner.importers.config import Config
from planner.importers.dense_decoder import read_dense_decoder
from planner.importers.registry import Architecture, family

_HEAD_DIM = 128


@family("seed_oss", architectures=("SeedOssForCausalLM",))
def read_seed_oss(config: Config) -> Architecture:
    """Read a Seed-OSS configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Biases on queries, keys and values, heads wider than the residual stream.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    return read_dense_decoder(
        config,
        qkv_bias=config.flag("attention_bias", True),
        output_bias=config.flag("attention_out_bias", False),
        mlp_bias=config.flag("mlp_bias", False),
        head_dim=_HEAD_DIM,
    )
