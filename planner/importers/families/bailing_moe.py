"""Ling and Ring: inclusionAI's mixtures of experts, first and second generation.

The first has experts in every layer and neither norms of queries and keys nor corrections of the
router's choice. The second has both, rotates half of each head, has a few dense layers first and
one layer for multi-token prediction built as in DeepSeek-V3.
"""

from __future__ import annotations

from planner.importers.config import Config
from planner.importers.decoder import read_hidden, read_layers
from planner.importers.experts import read_feed_forward, read_mixture, read_sparse
from planner.importers.grouped import expert_decoder, read_grouped_attention
from planner.importers.registry import Architecture, family

_NO_EFFECT = (
    "norm_head",
    "norm_softmax",
    "output_dropout",
    "embedding_dropout",
    "max_window_layers",
    "mtp_loss_scaling_factor",
    "router_dtype",
    "using_split_qkv_in_self_attention",
)


@family("bailing_moe", architectures=("BailingMoeForCausalLM",))
def read(config: Config) -> Architecture:
    """Read a Ling configuration of the first generation.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Grouped heads, routed and shared experts.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    return _read(config, corrected=False, rotary_share=1.0)


@family("bailing_moe_v2", architectures=("BailingMoeV2ForCausalLM",))
def read_v2(config: Config) -> Architecture:
    """Read a Ling 2.0 configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        As the first generation with norms of queries and keys and a correction of the router.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    corrected = config.flag("moe_router_enable_expert_bias", True)
    return _read(config, corrected=corrected, rotary_share=0.5)


def _read(config: Config, *, corrected: bool, rotary_share: float) -> Architecture:
    hidden, layers = read_hidden(config), read_layers(config)
    config.require("use_bias", False)
    config.require("use_sliding_window", False)
    config.require("use_rmsnorm", True)
    config.require("attention_bias", False)
    config.ignore(*_NO_EFFECT)
    bias = config.flag("use_qkv_bias", False)
    normed = config.flag("use_qk_norm", False)
    attention = read_grouped_attention(
        config,
        hidden,
        bias=bias,
        output_bias=False,
        qk_norm="head" if normed else "none",
        rotary_share=rotary_share,
    )
    experts = read_mixture(config, hidden, correction_bias=corrected)
    shared = config.optional_size("moe_shared_expert_intermediate_size")
    if shared is not None and shared != experts.intermediate:
        config.refuse("moe_shared_expert_intermediate_size", f"{experts.intermediate:,}")
    feed_forward = read_feed_forward(config, experts, read_sparse(config, layers))
    return expert_decoder(config, [(attention,)] * layers, feed_forward, hidden, mtp=True)
