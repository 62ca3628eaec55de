"""Step-3 with its factorised attention, Step-3.5 and -3.7 Flash; language models alone.

Lists of Step-3.5 may be longer than the stack: the further entries are those of its layers for
multi-token prediction. Window layers have query heads of their own count, and a gate for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from planner.importers.config import Config
from planner.importers.decoder import read_hidden, read_layers
from planner.importers.experts import read_feed_forward, read_mixture
from planner.importers.grouped import expert_decoder, read_grouped_attention
from planner.importers.multimodal import read_language_model, read_multimodal
from planner.importers.registry import Architecture, family
from planner.importers.towers.step import STEP_VISION
from planner.model.bounds import MOST_LAYERS
from planner.model.mixers.attention import Attention
from planner.model.mixers.factorised import FactorisedAttention
from planner.model.part import Part

_FIRST_SPARSE = 3
_KINDS = ("full_attention", "sliding_attention")
_NO_EFFECT = (
    "need_fp32_gate", "norm_expert_weight", "moe_router_activation", "moe_router_scaling_factor",
    "moe_every_n_layer", "moe_dynamic_exp_p", "use_moe", "use_moe_router_bias", "use_mfa",
    "use_im_start_end", "att_impl_type", "sink", "yarn_only_types", "swiglu_limits",
    "swiglu_limits_shared", "partial_rotary_factors", "use_rope_layers", "zero_centered",
    "max_seq_len", "moe_layer_offset",
)  # fmt: skip


@family("step3_text", architectures=("Step3TextForCausalLM", "Step3ForCausalLM"))
def read(config: Config) -> Architecture:
    """Read the language model of a Step-3 configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Factorised attention, experts beside a shared one in the layers listed.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden, layers = read_hidden(config), read_layers(config)
    config.require("num_attention_groups", 1)
    config.ignore(*_NO_EFFECT)
    attention = FactorisedAttention(
        hidden=hidden,
        query_heads=config.size("num_attention_heads"),
        head_dim=config.size("head_dim"),
        query_rank=config.size("share_q_dim"),
    )
    return _decoder(config, [(attention,)] * layers, hidden, ("share_expert_dim",))


@family("step3p5", architectures=("Step3p5ForCausalLM", "Step3p7ForCausalLM"))
def read_flash(config: Config) -> Architecture:
    """Read the language model of a Step-3.5 or Step-3.7 Flash configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Gated heads, more of them where there is a window, experts beside a shared one.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden, layers = read_hidden(config), read_layers(config)
    config.ignore(*_NO_EFFECT, "mtp_layer_types", "mtp_mlp_layer_types")
    config.require("mlp_bias", False)
    config.require("use_head_wise_attn_gate", True)
    groups = config.optional_size("num_attention_groups")
    full = replace(
        read_grouped_attention(config, hidden, kv_heads=groups, qk_norm="head"),
        output_gate="head",
    )
    sliding = _sliding(config, full)
    kinds = config.listed("layer_types", _KINDS, layers, more=True) or (_KINDS[0],) * layers
    mixers = [(sliding if kind == _KINDS[1] else full,) for kind in kinds]
    return _decoder(config, mixers, hidden, ("share_expert_dim", "share_expert_dims"))


@family("step3_vl", architectures=("Step3VLForConditionalGeneration",))
def read_vision(config: Config) -> Architecture:
    """Read the language model of a Step-3 configuration with a vision tower.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Without the vision tower and the projector, which a warning names.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    config.ignore(
        "image_token_len", "patch_token_len", "understand_projector_stride",
        "projector_bias", "vision_select_layer", "vision_output_dim",
    )  # fmt: skip
    return read_language_model(config, towers=("vision_config",), default="step3_text")


@family("step3p7", architectures=("Step3p7ForConditionalGeneration",))
def read_flash_vision(config: Config) -> Architecture:
    """Read a Step-3.7 Flash configuration.

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
    config.ignore("understand_projector_stride")
    return read_multimodal(config, STEP_VISION, default="step3p5")


def _sliding(config: Config, full: Attention) -> Attention:
    other = config.section("attention_other_setting")
    heads = config.optional_size("num_sliding_attention_heads")
    config.require("per_layer_config", *_as_resolved(config, heads))
    kv_heads, dim = full.kv_heads, full.head_dim
    if other is not None:
        other.ignore("attention_type", "sliding_window", "true_head_dim")
        heads = heads or other.size("num_attention_heads")
        kv_heads = other.size("num_attention_groups", default=kv_heads)
        dim = other.size("head_dim", default=dim)
    window = config.optional_size("sliding_window")
    return replace(
        full, query_heads=heads or full.query_heads, kv_heads=kv_heads, head_dim=dim, window=window
    )


def _as_resolved(config: Config, heads: int | None) -> tuple[object, ...]:
    """Return what transformers writes for each window layer: nothing but the heads once more."""
    said = config.peek("per_layer_config")
    once_more = {layer: {"num_attention_heads": heads} for layer in said}
    return ({}, None, once_more)


def _decoder(
    config: Config,
    mixers: Sequence[tuple[Part, ...]],
    hidden: int,
    shared: tuple[str, ...],
) -> Architecture:
    experts = replace(
        read_mixture(config, hidden, correction_bias="share_expert_dims" in shared),
        shared_intermediate=config.size(*shared, least=0),
    )
    sparse = _read_sparse(config, len(mixers))
    feed_forward = read_feed_forward(config, experts, sparse)
    return expert_decoder(config, mixers, feed_forward, hidden)


def _read_sparse(config: Config, layers: int) -> list[bool]:
    """Return which layers have experts: listed by kind, by number, or all but the first three."""
    kinds = config.listed("mlp_layer_types", ("dense", "sparse"), layers, more=True)
    if kinds is not None:
        config.ignore("moe_layers_enum")
        return [kind == "sparse" for kind in kinds]
    if not config.given("moe_layers_enum"):
        return [layer >= _FIRST_SPARSE for layer in range(layers)]
    if config.is_list("moe_layers_enum"):
        numbers = [str(item) for item in config.entries("moe_layers_enum") or ()]
    else:
        numbers = (config.text("moe_layers_enum") or "").split(",")
    known = {str(layer) for layer in range(MOST_LAYERS)}
    named = {number.strip() for number in numbers if number.strip()}
    if not named <= known:
        config.refuse("moe_layers_enum", "numbers of layers, separated by commas")
    return [str(layer) in named for layer in range(layers)]
