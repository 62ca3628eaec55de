"""DBRX and Grok-1: few wide experts, in dialects of their own.

DBRX has LayerNorm without shifts and keeps the figures of attention and experts in sections.
Grok-1 has four norms per layer and a tied head.
"""

from __future__ import annotations

from dataclasses import replace

from planner.importers.config import Config
from planner.importers.decoder import assemble, read_hidden, read_layers
from planner.importers.experts import read_mixture
from planner.importers.grouped import expert_decoder, read_grouped_attention
from planner.importers.position import usable_context
from planner.importers.registry import Architecture, family
from planner.importers.stacks import pre_norm_layers
from planner.model import Layer
from planner.model.feed_forward import MixtureOfExperts
from planner.model.mixers.attention import Attention
from planner.model.norm import Norm
from planner.model.part import Part

_TRAINING = (
    "moe_jitter_eps",
    "moe_loss_weight",
    "moe_normalize_expert_weights",
    "uniform_expert_assignment",
)


@family("dbrx", architectures=("DbrxForCausalLM",))
def read(config: Config) -> Architecture:
    """Read a DBRX configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Experts in every layer.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden, layers = read_hidden(config), read_layers(config)
    query_heads = config.size("n_heads", "num_attention_heads")
    if hidden % query_heads:
        config.refuse("n_heads", f"a divisor of the hidden width, {hidden:,}")
    heads = config.section("attn_config") or Config({}, config.where, prefix="attn_config.")
    kv_heads = heads.size("kv_n_heads", default=1)
    heads.ignore("clip_qkv", "rope_theta", "attn_pdrop", "model_type")
    if query_heads % kv_heads:
        heads.refuse("kv_n_heads", f"a divisor of the {query_heads:,} query heads")
    config.ignore("emb_pdrop", "num_key_value_heads")
    attention = Attention(
        hidden=hidden,
        query_heads=query_heads,
        kv_heads=kv_heads,
        head_dim=hidden // query_heads,
    )
    stack = pre_norm_layers(
        [(attention,)] * layers, [_read_experts(config, hidden)] * layers, hidden, "layer_norm"
    )
    network = assemble(
        config,
        [Layer(layer.name, tuple(map(_without_shift, layer.parts))) for layer in stack],
        hidden=hidden,
        tied=False,
        usable_context=usable_context(config, "max_seq_len", "max_position_embeddings"),
        norm="layer_norm",
    )
    return replace(network, final=tuple(map(_without_shift, network.final)))


def _read_experts(config: Config, hidden: int) -> MixtureOfExperts:
    section = config.section("ffn_config")
    if section is None:
        config.refuse("ffn_config", "an object with the figures of the experts", "missing")
    section.ignore(*_TRAINING, "ffn_act_fn", "model_type")
    section.require("hidden_size", hidden)
    return read_mixture(section, hidden, intermediate=section.size("ffn_hidden_size"))


def _without_shift(part: Part) -> Part:
    return replace(part, bias=False) if isinstance(part, Norm) else part


@family("grok-1", "grok1", "grok", architectures=("Grok1ForCausalLM", "Grok1ModelForCausalLM"))
def read_grok(config: Config) -> Architecture:
    """Read a Grok-1 configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Norms on both sides of attention and experts.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden, layers = read_hidden(config), read_layers(config)
    config.ignore(
        "attn_output_multiplier", "embedding_multiplier_scale", "output_multiplier_scale",
        "max_attn_value", "attn_logit_softcapping", "router_logit_softcapping",
    )  # fmt: skip
    attention = read_grouped_attention(config, hidden)
    experts = read_mixture(config, hidden, intermediate=config.size("intermediate_size"))
    return expert_decoder(
        config, [(attention,)] * layers, [experts] * layers, hidden, norms="around", tied=True
    )
