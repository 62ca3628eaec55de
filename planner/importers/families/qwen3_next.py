"""Qwen3-Next, Qwen3.5 and Qwen3.6: three layers of gated DeltaNet before each attention layer.

Attention has QK-norm, gates its output and rotates a quarter of each head. Qwen3-Next keeps the
states of its linear layers in the format of the residual stream, later files name fp32. Defaults of
the configuration classes that are taken: heads of 256, linear heads of 128 (16 for keys, 32 for
values), 4 taps, every fourth layer full, every feed-forward part sparse, untied embeddings.
"""

from __future__ import annotations

from dataclasses import replace

from planner.importers.config import Config
from planner.importers.decoder import assemble, read_experts, read_heads, read_hidden, read_layers
from planner.importers.families.qwen2_moe import read_sparse_layers
from planner.importers.multimodal import read_multimodal
from planner.importers.position import rotated_dim, usable_context
from planner.importers.recurrent import read_kinds, read_state_format
from planner.importers.registry import Architecture, family
from planner.importers.stacks import pre_norm_layers, read_mtp
from planner.importers.towers.qwen import qwen_vision
from planner.model.bounds import MOST_LAYERS
from planner.model.feed_forward import Dense, MixtureOfExperts
from planner.model.mixers.attention import Attention
from planner.model.mixers.linear_delta import GatedDeltaNet
from planner.model.mixers.recurrence import StateFormat
from planner.model.part import Part

_HEAD_DIM = 256
_ROTATED = 0.25
_INTERVAL = 4
_CONTEXT_TOKENS = 32_768
_VOCABULARY = 248_320
_IMAGE_TOKENS = (

)  # fmt: skip


@family("qwen3_next", architectures=("Qwen3NextForCausalLM",))
def read(config: Config) -> Architecture:
    """Read a Qwen3-Next configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Linear and full layers, each with routed experts and one shared expert.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden, layers = read_hidden(config), read_layers(config)
    return _decoder(config, _sparse(config, hidden, layers), state_format="stream")


@family("qwen3_5_moe_text", architectures=("Qwen3_5MoeForCausalLM",))
def read_qwen3_5_moe(config: Config) -> Architecture:
    """Read the language model of a sparse Qwen3.5 or Qwen3.6 configuration.

    Parameters
    ----------
    config : Config
        The configuration, or its section of text.

    Returns
    -------
    Architecture
        As Qwen3-Next.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden, layers = read_hidden(config), read_layers(config)
    return _decoder(config, _sparse(config, hidden, layers), state_format="fp32")


@family("qwen3_5_text", architectures=("Qwen3_5ForCausalLM",))
def read_qwen3_5(config: Config) -> Architecture:
    """Read the language model of a dense Qwen3.5 or Qwen3.6 configuration.

    Parameters
    ----------
    config : Config
        The configuration, or its section of text.

    Returns
    -------
    Architecture
        As Qwen3-Next, without experts.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    config.require("mlp_only_layers", None, [])
    dense = Dense(hidden=read_hidden(config), intermediate=config.size("intermediate_size"))
    return _decoder(config, [dense] * read_layers(config), state_format="fp32")


@family("qwen3_5", architectures=("Qwen3_5ForConditionalGeneration",))
def read_qwen3_5_multimodal(config: Config) -> Architecture:
    """Read a dense Qwen3.5 or Qwen3.6 configuration with a vision tower.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        The language model with its tower.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    config.ignore(*_IMAGE_TOKENS)
    config.require("language_model_only", False, None)
    return read_multimodal(config, qwen_vision("qwen3_5"), default="qwen3_5_text")


@family("qwen3_5_moe", architectures=("Qwen3_5MoeForConditionalGeneration",))
def read_qwen3_5_moe_multimodal(config: Config) -> Architecture:
    """Read a sparse Qwen3.5 or Qwen3.6 configuration with a vision tower.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        The language model with its tower.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    config.ignore(*_IMAGE_TOKENS)
    config.require("language_model_only", False, None)
    return read_multimodal(config, qwen_vision("qwen3_5_moe"), default="qwen3_5_moe_text")


def _sparse(config: Config, hidden: int, layers: int) -> list[Dense | MixtureOfExperts]:
    experts = replace(
        read_experts(config, hidden, intermediate=config.size("moe_intermediate_size")),
        shared_intermediate=config.size("shared_expert_intermediate_size"),
        shared_gate=True,
    )
    return read_sparse_layers(config, layers, experts)


def _decoder(
    config: Config,
    feed_forward: list[Dense | MixtureOfExperts] | list[Dense],
    *,
    state_format: StateFormat,
) -> Architecture:
    hidden = read_hidden(config)
    attention, linear = _attention(config, hidden), _linear(config, hidden, state_format)
    mixers: list[tuple[Part, ...]] = [
        (attention if kind == "full" else linear,) for kind in _kinds(config, len(feed_forward))
    ]
    stack = pre_norm_layers(mixers, feed_forward, hidden)
    (drafting,) = pre_norm_layers([(attention,)], feed_forward[-1:], hidden)
    config.require("mtp_use_dedicated_embeddings", False)
    return assemble(
        config,
        stack,
        hidden=hidden,
        tied=False,
        usable_context=usable_context(config, default=_CONTEXT_TOKENS),
        vocabulary=_VOCABULARY,
        mtp=read_mtp(config, drafting, hidden, "mtp_num_hidden_layers", "num_nextn_predict_layers"),
    )


def _kinds(config: Config, layers: int) -> list[str]:
    interval = config.size("full_attention_interval", default=_INTERVAL, most=MOST_LAYERS)
    by_rule = ["full" if (i + 1) % interval == 0 else "linear" for i in range(layers)]
    return read_kinds(config, layers) or by_rule


def _attention(config: Config, hidden: int) -> Attention:
    heads = read_heads(config, hidden, head_dim=_HEAD_DIM)
    bias = config.flag("attention_bias", False)
    config.require("attn_output_gate", True)
    config.ignore("output_gate_type")
    config.require("use_sliding_window", False)
    config.ignore("sliding_window", "max_window_layers")
    return Attention(
        hidden=hidden,
        query_heads=heads.query,
        kv_heads=heads.kv,
        head_dim=heads.dim,
        qkv_bias=bias,
        output_bias=bias,
        qk_norm="head",
        rotary_dim=rotated_dim(config, heads.dim, default=_ROTATED),
        output_gate="element",
    )


def _linear(config: Config, hidden: int, state_format: StateFormat) -> GatedDeltaNet:
    keys = config.size("linear_num_key_heads", default=16)
    values = config.size("linear_num_value_heads", default=32)
    if values % keys:
        config.refuse("linear_num_key_heads", f"a divisor of the {values:,} value heads")
    return GatedDeltaNet(
        hidden=hidden,
        key_heads=keys,
        value_heads=values,
        key_dim=config.size("linear_key_head_dim", default=128),
        value_dim=config.size("linear_value_head_dim", default=128),
        conv_kernel=config.size("linear_conv_kernel_dim", default=4),
        state_format=read_state_format(config, state_format),
    )
