"""Granite 4.0-H: Mamba-2 or attention layers, each with a mixture of experts or none beside a dense
block that every token visits.

Defaults of ``GraniteMoeHybridConfig`` that are taken: layers of Mamba-2 only, a dense block of
1,024, 8 experts of which a token visits 2. Multipliers scale activations and cost nothing.
"""

from __future__ import annotations

from planner.importers.config import Config
from planner.importers.decoder import assemble, read_heads, read_hidden, read_layers
from planner.importers.position import usable_context
from planner.importers.recurrent import read_kinds, read_mamba2
from planner.importers.registry import Architecture, family
from planner.importers.stacks import pre_norm_layers
from planner.model.feed_forward import Dense, MixtureOfExperts
from planner.model.mixers.attention import Attention

_CONTEXT_TOKENS = 2048
_SCALES = (
    "embedding_multiplier", "logits_scaling", "residual_multiplier", "attention_multiplier",
    "normalization_function", "init_method", "shared_expert_gate",
)  # fmt: skip


@family("granitemoehybrid", architectures=("GraniteMoeHybridForCausalLM",))
def read(config: Config) -> Architecture:
    """Read a Granite 4.0 configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        With or without positions, with or without routed experts.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden, layers = read_hidden(config), read_layers(config)
    heads = read_heads(config, hidden)
    config.ignore(*_SCALES)
    bias = config.flag("attention_bias", False)
    positions = config.text("position_embedding_type")
    attention = Attention(
        hidden=hidden,
        query_heads=heads.query,
        kv_heads=heads.kv,
        head_dim=heads.dim,
        qkv_bias=bias,
        output_bias=bias,
        rotary=positions == "rope",
    )
    kinds = read_kinds(config, layers) or ["linear"] * layers
    mixer = read_mamba2(config, hidden)
    return assemble(
        config,
        pre_norm_layers(
            [(attention if kind == "full" else mixer,) for kind in kinds],
            [_feed_forward(config, hidden)] * layers,
            hidden,
        ),
        hidden=hidden,
        tied=False,
        usable_context=usable_context(config, default=_CONTEXT_TOKENS),
    )


def _feed_forward(config: Config, hidden: int) -> Dense | MixtureOfExperts:
    experts = config.size("num_local_experts", "num_experts", default=8, least=0)
    shared = config.size("shared_intermediate_size", default=1024)
    if not experts:
        config.ignore("intermediate_size", "num_experts_per_tok")
        return Dense(hidden=hidden, intermediate=shared)
    return MixtureOfExperts(
        hidden=hidden,
        intermediate=config.size("intermediate_size"),
        experts=experts,
        top_k=config.size("num_experts_per_tok", default=2, most=experts),
        shared_intermediate=shared,
    )
