"""MiniMax-Text-01 and -M1: seven layers of lightning attention before each softmax layer.

Defaults of ``MiniMaxConfig`` that are taken: layers in turn, the first full; 8 KV heads; experts as
wide as ``intermediate_size``. Published files list the kinds as 0 (lightning) and 1 (softmax), and
rotate ``rotary_dim`` of each head.
"""

from __future__ import annotations

from planner.importers.config import Config
from planner.importers.decoder import (
    assemble,
    read_experts,
    read_heads,
    read_hidden,
    read_layers,
)
from planner.importers.position import usable_context
from planner.importers.recurrent import read_kinds
from planner.importers.registry import Architecture, family
from planner.importers.stacks import pre_norm_layers
from planner.model.mixers.attention import Attention
from planner.model.mixers.linear_attention import LightningAttention

_KV_HEADS = 8
_CONTEXT_TOKENS = 131_072
_RESIDUAL = (
    "full_attn_alpha_factor", "full_attn_beta_factor", "linear_attn_alpha_factor",
    "linear_attn_beta_factor", "mlp_alpha_factor", "mlp_beta_factor", "postnorm",
    "layernorm_full_attention_alpha", "layernorm_full_attention_beta",
    "layernorm_linear_attention_alpha", "layernorm_linear_attention_beta", "layernorm_mlp_alpha",
    "layernorm_mlp_beta", "shared_moe_mode",
)  # fmt: skip
"""How branches are weighted when they are added: the same bytes and FLOP in every variant."""


@family(
    "minimax",
    "minimax_text_01",
    "minimax_m1",
    "MiniMaxText01",
    "MiniMaxM1",
    architectures=("MiniMaxForCausalLM", "MiniMaxText01ForCausalLM", "MiniMaxM1ForCausalLM"),
)
def read(config: Config) -> Architecture:
    """Read a MiniMax-Text-01 or -M1 configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Lightning and softmax layers, each with experts.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden, layers = read_hidden(config), read_layers(config)
    heads = read_heads(config, hidden, kv_heads=_KV_HEADS)
    config.ignore(*_RESIDUAL)
    config.require("shared_intermediate_size", 0, None)
    rotary = config.optional_size("rotary_dim", most=heads.dim)
    attention = Attention(
        hidden=hidden,
        query_heads=heads.query,
        kv_heads=heads.kv,
        head_dim=heads.dim,
        window=config.optional_size("sliding_window"),
        rotary_dim=rotary if rotary != heads.dim else None,
    )
    lightning = LightningAttention(
        hidden=hidden,
        heads=heads.query,
        head_dim=heads.dim,
        chunk=config.size("block_size", default=256),
    )
    experts = read_experts(config, hidden, intermediate=config.size("intermediate_size"))
    return assemble(
        config,
        pre_norm_layers(
            [(attention if full else lightning,) for full in _softmax(config, layers)],
            [experts] * layers,
            hidden,
        ),
        hidden=hidden,
        tied=False,
        usable_context=usable_context(config, default=_CONTEXT_TOKENS),
    )


def _softmax(config: Config, layers: int) -> list[bool]:
    flags = config.entries("attn_type_list")
    kinds = read_kinds(config, layers)
    if kinds is not None:
        return [kind == "full" for kind in kinds]
    if flags is None:
        return [layer % 2 == 0 for layer in range(layers)]
    if len(flags) != layers or any(isinstance(f, bool) or f not in (0, 1) for f in flags):
        config.refuse("attn_type_list", f"0 or 1 for each of the {layers:,} layers")
    return [flag == 1 for flag in flags]
