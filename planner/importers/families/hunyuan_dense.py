"""Hunyuan dense: Llama's blocks with RMSNorm of queries and keys."""

from __future__ import annotations

from planner.importers.config import Config
from planner.importers.dense_decoder import read_dense_decoder
from planner.importers.families.hunyuan import OTHER_TASKS
from planner.importers.registry import Architecture, family


@family("hunyuan_v1_dense", architectures=("HunYuanDenseV1ForCausalLM",))
def read_hunyuan(config: Config) -> Architecture:
    """Read a dense Hunyuan configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Llama's, with RMSNorm of queries and keys.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    config.require("use_qk_norm", True)
    config.require("use_cla", False)
    config.ignore("cla_share_factor", "norm_type", "use_rotary_pos_emb", *OTHER_TASKS)
    bias = config.flag("attention_bias", False)
    return read_dense_decoder(
        config,
        head_dim=config.optional_size("attention_head_dim"),
        qkv_bias=bias,
        output_bias=bias,
        qk_norm="head",
    )
