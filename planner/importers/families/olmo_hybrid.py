"""OLMo Hybrid: gated DeltaNet with a norm before it, and attention with norms behind each part.

Defaults of ``OlmoHybridConfig`` that are taken: as many linear heads as query heads, keys three
quarters as wide as the residual stream's share, values twice that, every fourth layer full, no
rotation where the file names no positions.
"""

from __future__ import annotations

from planner.importers.config import Config
from planner.importers.decoder import assemble, read_heads, read_hidden, read_layers
from planner.importers.position import usable_context
from planner.importers.recurrent import read_kinds, read_state_format
from planner.importers.registry import Architecture, family
from planner.importers.stacks import named
from planner.model.feed_forward import Dense
from planner.model.mixers.attention import Attention
from planner.model.mixers.linear_delta import GatedDeltaNet
from planner.model.norm import Norm

_INTERVAL = 4
_CONTEXT_TOKENS = 65_536
_STARTS = (
    "linear_a_log_min", "linear_a_log_max", "linear_dt_min", "linear_dt_max",
    "linear_dt_init_floor", "linear_allow_neg_eigval", "linear_use_gate",
)  # fmt: skip


@family("olmo_hybrid", architectures=("OlmoHybridForCausalLM",))
def read(config: Config) -> Architecture:
    """Read an OLMo Hybrid configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Linear layers with pre-norm, full layers with post-norm and a norm over all query heads.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden, layers = read_hidden(config), read_layers(config)
    heads = read_heads(config, hidden)
    config.ignore(*_STARTS)
    bias = config.flag("attention_bias", False)
    attention = Attention(
        hidden=hidden,
        query_heads=heads.query,
        kv_heads=heads.kv,
        head_dim=heads.dim,
        qkv_bias=bias,
        output_bias=bias,
        qk_norm="full",
        rotary=config.given("rope_parameters") or config.given("rope_theta"),
    )
    before, between, last = (
        Norm(kind="rms_norm", width=hidden, name=f"{place}_layernorm")
        for place in ("input", "post_attention", "post_feedforward")
    )
    feed_forward = Dense(hidden=hidden, intermediate=config.size("intermediate_size"))
    full = (attention, between, feed_forward, last)
    linear = (before, _linear(config, hidden, heads.query), between, feed_forward)
    by_rule = ["full" if i % _INTERVAL == _INTERVAL - 1 else "linear" for i in range(layers)]
    kinds = read_kinds(config, layers) or by_rule
    return assemble(
        config,
        named([full if kind == "full" else linear for kind in kinds]),
        hidden=hidden,
        tied=False,
        usable_context=usable_context(config, default=_CONTEXT_TOKENS),
    )


def _linear(config: Config, hidden: int, heads: int) -> GatedDeltaNet:
    keys = config.optional_size("linear_num_key_heads") or heads
    values = config.optional_size("linear_num_value_heads") or heads
    if values % keys:
        config.refuse("linear_num_key_heads", f"a divisor of the {values:,} value heads")
    key_dim = config.optional_size("linear_key_head_dim") or int(0.75 * hidden / keys)
    return GatedDeltaNet(
        hidden=hidden,
        key_heads=keys,
        value_heads=values,
        key_dim=key_dim,
        value_dim=config.optional_size("linear_value_head_dim") or 2 * key_dim,
        conv_kernel=config.size("linear_conv_kernel_dim", default=4),
        state_format=read_state_format(config, "stream"),
    )
