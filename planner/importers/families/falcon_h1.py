"""Falcon-H1: attention and a Mamba-2 mixer side by side in every layer.

Defaults of ``FalconH1Config`` that are taken: an inner width of 1,024, 8 KV heads, no norm behind
the gate. Multipliers scale activations and cost nothing.
"""

from __future__ import annotations

from planner.importers.config import Config
from planner.importers.decoder import assemble, read_heads, read_hidden, read_layers
from planner.importers.position import usable_context
from planner.importers.recurrent import read_mamba2
from planner.importers.registry import Architecture, family
from planner.importers.stacks import named
from planner.model.feed_forward import Dense
from planner.model.mixers.attention import Attention
from planner.model.norm import Norm

_KV_HEADS = 8
_INNER = 1024
_CONTEXT_TOKENS = 8192
_SCALES = (
    "lm_head_multiplier", "embedding_multiplier", "mlp_multipliers", "key_multiplier",
    "attention_out_multiplier", "attention_in_multiplier", "ssm_multipliers",
    "ssm_in_multiplier", "ssm_out_multiplier", "mamba_norm_before_gate", "mamba_use_mlp",
    "mlp_expansion_factor", "attn_layer_indices", "layers_block_type", "layer_types",
)  # fmt: skip


@family("falcon_h1", architectures=("FalconH1ForCausalLM",))
def read(config: Config) -> Architecture:
    """Read a Falcon-H1 configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Both mixers read the same normalised input.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden, layers = read_hidden(config), read_layers(config)
    heads = read_heads(config, hidden, kv_heads=_KV_HEADS)
    config.ignore(*_SCALES)
    bias = config.flag("attention_bias", False)
    attention = Attention(
        hidden=hidden,
        query_heads=heads.query,
        kv_heads=heads.kv,
        head_dim=heads.dim,
        qkv_bias=bias,
        output_bias=bias,
    )
    width = config.optional_size("mamba_d_ssm") if "mamba_d_ssm" in config else _INNER
    mixer = read_mamba2(config, hidden, inner=width, norm=config.flag("mamba_rms_norm", False))
    config.require("projectors_bias", mixer.bias)
    feed_forward = Dense(
        hidden=hidden,
        intermediate=config.size("intermediate_size"),
        bias=config.flag("mlp_bias", False),
    )
    before = Norm(kind="rms_norm", width=hidden, name="input_layernorm")
    between = Norm(kind="rms_norm", width=hidden, name="pre_ff_layernorm")
    return assemble(
        config,
        named([(before, mixer, attention, between, feed_forward)] * layers),
        hidden=hidden,
        tied=False,
        usable_context=usable_context(config, default=_CONTEXT_TOKENS),
    )
