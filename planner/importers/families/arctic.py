"""Snowflake Arctic: experts beside a dense residual part as wide as the stream.

The residual part takes what attention gives, the experts what goes into the layer; both are added.
Defaults of ``ArcticConfig`` that are taken: experts in every layer.
"""

from __future__ import annotations

from planner.importers.config import Config
from planner.importers.decoder import assemble, read_experts, read_hidden, read_layers
from planner.importers.grouped import read_grouped_attention
from planner.importers.position import usable_context
from planner.importers.registry import Architecture, family
from planner.importers.stacks import named
from planner.model.bounds import MOST_LAYERS
from planner.model.feed_forward import Dense
from planner.model.norm import Norm
from planner.model.part import Part


@family("arctic", architectures=("ArcticForCausalLM",))
def read(config: Config) -> Architecture:
    """Read an Arctic configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Three norms in layers with experts, two in others.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden, layers = read_hidden(config), read_layers(config)
    config.ignore(
        "enable_expert_tensor_parallelism", "moe_eval_capacity_factor", "moe_min_capacity",
        "moe_token_dropping", "moe_train_capacity_factor", "enc_index", "max_sequence_length",
    )  # fmt: skip
    config.require("quantization", None)
    config.require("sliding_window", None)
    residual = config.flag("use_residual", True) and config.flag("parallel_attn_mlp_res", True)
    width = config.size("intermediate_size")
    every = config.size("moe_layer_frequency", default=1, most=MOST_LAYERS)
    attention = read_grouped_attention(config, hidden, output_bias=False)
    experts = read_experts(config, hidden, intermediate=width)
    first, second, third = (
        Norm(kind="rms_norm", width=hidden, name=f"{place}_layernorm")
        for place in ("input", "residual", "post_attention")
    )
    beside: tuple[Part, ...] = ()
    if residual:
        beside = (second, Dense(hidden=hidden, intermediate=hidden, name="residual_mlp"))
    dense = Dense(hidden=hidden, intermediate=width)
    rows: list[tuple[Part, ...]] = [
        (first, attention, *beside, third, experts)
        if (layer + 1) % every == 0
        else (first, attention, third, dense)
        for layer in range(layers)
    ]
    return assemble(
        config, named(rows), hidden=hidden, tied=False, usable_context=usable_context(config)
    )
