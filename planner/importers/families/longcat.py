"""LongCat-Flash: two latent attentions and two dense parts per layer, experts across both.

A third of the router's choices costs nothing. The class gives such choices tensors of their own,
which no checkpoint has; they are not counted here.
"""

from __future__ import annotations

from dataclasses import replace

from planner.importers.config import Config
from planner.importers.decoder import assemble, read_hidden
from planner.importers.experts import read_mixture
from planner.importers.latent import read_latent_attention
from planner.importers.position import usable_context
from planner.importers.registry import Architecture, family
from planner.importers.stacks import named, warn_of_mtp
from planner.model.bounds import MOST_LAYERS
from planner.model.feed_forward import Dense
from planner.model.norm import Norm
from planner.model.part import Part


@family("longcat_flash", architectures=("LongcatFlashForCausalLM",))
def read(config: Config) -> Architecture:
    """Read a LongCat-Flash configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        A layer is attention, experts beside a dense part, attention, a second dense part.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden = read_hidden(config)
    layers = config.size("num_layers", "num_hidden_layers", most=MOST_LAYERS)
    config.require("zero_expert_type", "identity", None)
    config.require("attention_method", "MLA")
    config.ignore("mla_scale_q_lora", "mla_scale_kv_lora", "norm_topk_prob")
    attention = read_latent_attention(config, hidden)
    width = config.size("expert_ffn_hidden_size", "moe_intermediate_size")
    experts = replace(
        read_mixture(config, hidden, intermediate=width, correction_bias=True),
        zero_experts=config.size("zero_expert_num", default=0, least=0),
        router_bias=config.flag("router_bias", False),
    )
    wide = config.size("ffn_hidden_size", "intermediate_size")
    dense = Dense(hidden=hidden, intermediate=wide)

    def norm(name: str) -> Norm:
        return Norm(kind="rms_norm", width=hidden, name=name)

    half: list[tuple[Part, ...]] = [
        (norm("input_layernorm"), attention, norm("post_attention_layernorm"), *between, dense)
        for between in ((experts,), ())
    ]
    warn_of_mtp(config, "num_nextn_predict_layers")
    return assemble(
        config,
        named([(*half[0], *half[1])] * layers),
        hidden=hidden,
        tied=False,
        usable_context=usable_context(config),
    )
