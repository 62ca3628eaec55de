"""ERNIE 4.5 mixtures of experts.

Defaults of the class that are taken: 2 shared experts, layers sparse from the second on, a tied
head. The bias that corrects the router's choice counts as a parameter here, as in its class.
"""

from __future__ import annotations

from dataclasses import replace

from planner.importers.config import Config
from planner.importers.decoder import read_hidden, read_layers
from planner.importers.experts import read_feed_forward, read_mixture
from planner.importers.grouped import expert_decoder, read_grouped_attention
from planner.importers.registry import Architecture, family
from planner.model.bounds import MOST_LAYERS


@family("ernie4_5_moe", architectures=("Ernie4_5_MoeForCausalLM", "Ernie4_5_MoEForCausalLM"))
def read(config: Config) -> Architecture:
    """Read an ERNIE 4.5 configuration with experts.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Grouped heads, dense layers first, then routed and shared experts.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden, layers = read_hidden(config), read_layers(config)
    config.require("use_bias", False)
    config.ignore(
        "moe_capacity", "moe_gate", "moe_norm_min", "moe_use_aux_free", "moe_aux_loss_lambda",
        "moe_orthogonal_loss_lambda", "moe_z_loss_lambda", "moe_reverse_token_drop",
        "moe_use_hard_gate", "moe_group", "compression_ratio", "fuse_rope", "use_flash_attention",
        "use_rmsnorm", "use_recompute", "use_recompute_moe", "use_sparse_flash_attn",
        "ignored_index", "hidden_dropout_prob", "use_var_len_flash_attn", "rope_3d",
    )  # fmt: skip
    attention = read_grouped_attention(config, hidden)
    experts = replace(read_mixture(config, hidden, shared=2), router_bias=True)
    feed_forward = read_feed_forward(config, experts, _read_sparse(config, layers))
    return expert_decoder(config, [(attention,)] * layers, feed_forward, hidden, tied=True)


def _read_sparse(config: Config, layers: int) -> list[bool]:
    start = config.size("moe_layer_start_index", default=1, least=0, most=MOST_LAYERS)
    end = config.size("moe_layer_end_index", default=-1, least=-1, most=MOST_LAYERS)
    step = config.size("moe_layer_interval", default=1, most=MOST_LAYERS)
    last = layers - 1 if end == -1 else end
    return [start <= layer <= last and (layer + 1) % step == 0 for layer in range(layers)]
