"""GLA, as the flash-linear-attention library writes it: gated linear attention and SwiGLU.

Defaults of ``GLAConfig`` that are taken: 4 heads, keys of half the hidden width, values of all of
it, an output gate, no convolution, a feed-forward part of two thirds of ``hidden_ratio`` times the
hidden width rounded up to a multiple of 256.
"""

from __future__ import annotations

from planner.importers.config import Config
from planner.importers.decoder import assemble, read_hidden, read_layers
from planner.importers.registry import Architecture, family
from planner.importers.stacks import pre_norm_layers
from planner.model.feed_forward import Dense
from planner.model.mixers.linear_attention import GatedLinearAttention

_VOCABULARY = 32_000
_NO_EFFECT = (
    "attn_mode", "clamp_min", "feature_map", "fuse_cross_entropy", "fuse_linear_cross_entropy",
    "fuse_norm", "fuse_swiglu", "use_l2warp", "use_gk", "norm_eps", "max_position_embeddings",
)  # fmt: skip


@family("gla", architectures=("GLAForCausalLM",))
def read(config: Config) -> Architecture:
    """Read a GLA configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        RMSNorm before each part; nothing limits its context.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    UnsupportedConfigError
        Softmax layers among the linear ones, or decays of values.
    """
    hidden, layers = read_hidden(config), read_layers(config)
    config.ignore(*_NO_EFFECT)
    config.require("attn", None)
    config.require("attnres_block_size", None)
    config.require("use_gv", False)
    config.require("elementwise_affine", True)
    ratio = config.number("hidden_ratio", 4.0)
    rounded = max(1, -(-int(hidden * ratio * 2 / 3) // 256)) * 256
    feed_forward = Dense(
        hidden=hidden, intermediate=config.optional_size("intermediate_size") or rounded
    )
    mixer = _mixer(config, hidden)
    return assemble(
        config,
        pre_norm_layers([(mixer,)] * layers, [feed_forward] * layers, hidden),
        hidden=hidden,
        tied=False,
        usable_context=None,
        vocabulary=_VOCABULARY,
    )


def _mixer(config: Config, hidden: int) -> GatedLinearAttention:
    heads = config.size("num_heads", default=4)
    kv_heads = config.optional_size("num_kv_heads") or heads
    keys = round(hidden * config.number("expand_k", 0.5))
    values = round(hidden * config.number("expand_v", 1.0))
    if heads % kv_heads or keys % heads or values % heads or not keys or not values:
        config.refuse("num_heads", f"a divisor of {keys:,} and {values:,}, in whole groups")
    convolved = config.flag("use_short_conv", False)
    taps = config.size("conv_size", default=4)
    return GatedLinearAttention(
        hidden=hidden,
        heads=heads,
        kv_heads=kv_heads,
        key_dim=keys // heads,
        value_dim=values // heads,
        output_gate=config.flag("use_output_gate", True),
        conv_kernel=taps if convolved else 0,
    )
