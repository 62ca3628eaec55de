"""Hunyuan-A13B and Hunyuan-Large, Hy3: experts beside shared ones.

Hunyuan's files give figures of experts as one number or as one per layer. With ``use_cla``, layers
between multiples of ``cla_share_factor`` read the keys and values of the multiple before them and
have no projections for their own. Hy3 has one dense layer first.
"""

from __future__ import annotations

from dataclasses import replace

from planner.importers.config import Config
from planner.importers.decoder import read_hidden, read_layers
from planner.importers.experts import read_feed_forward, read_mixture, read_sparse
from planner.importers.grouped import expert_decoder, read_grouped_attention
from planner.importers.registry import Architecture, family
from planner.model.bounds import MOST_LAYERS
from planner.model.feed_forward import Dense, MixtureOfExperts
from planner.model.part import Part

OTHER_TASKS = (
    "add_classification_head", "anyres_pooling_size", "anyres_vit_max_image_size",
    "anyres_vit_two_views", "class_num", "dense_list", "im_end_id",
    "im_newline_id", "im_start_id", "mask_init_id", "num_media_embeds",
    "org_vocab_size", "pad_id", "pool_type", "skip_cls_token", "text_end_id", "text_start_id",
    "video_end_id", "video_start_id", "vit_add_patchemb_bias", "vit_input_resolution",
    "vit_mapping_type", "vit_norm_type", "vit_patch", "vit_path", "vit_remove_prenorm",
    "vit_token", "vit_type", "vit_used_rms_norm", "xdrope_section",
)  # fmt: skip
"""Token ids, and parts that the published language models do not have."""

_ROUTING = (
    "group_limited_greedy", "moe_drop_tokens", "moe_random_routing_dropped_token",
    "capacity_factor", "n_group", "topk_group", "routed_scaling_factor",
)  # fmt: skip


@family(
    "hunyuan",
    "hunyuan_v1_moe",
    architectures=("HunYuanMoEV1ForCausalLM", "HunYuanForCausalLM"),
)
def read(config: Config) -> Architecture:
    """Read a Hunyuan configuration with experts.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Grouped heads, shared by neighbouring layers where the file says so.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden, layers = read_hidden(config), read_layers(config)
    config.require("use_mla", False)
    config.require("mlp_bias", False)
    config.require("norm_type", "rms", "hf_rms", "fused")
    config.require("use_rotary_pos_emb", True)
    config.require("position_embedding_xdrope", False)
    config.ignore(*OTHER_TASKS, *_ROUTING)
    for name in ("kv_lora_rank", "q_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim"):
        config.require(name, None)
    config.require("v_head_dim", None)
    normed = config.flag("use_qk_norm", True)
    width = config.optional_size("head_dim", "attention_head_dim")
    attention = read_grouped_attention(
        config, hidden, head_dim=width, qk_norm="head" if normed else "none"
    )
    rotation = config.section("rope_scaling")
    if rotation is not None:
        rotation.ignore("alpha")
    mixers: list[tuple[Part, ...]] = [
        (replace(attention, own_kv=owns),) for owns in _read_owners(config, layers)
    ]
    return expert_decoder(config, mixers, _read_experts(config, hidden, layers), hidden)


def _read_owners(config: Config, layers: int) -> list[bool]:
    """Return which layers make keys and values of their own."""
    step = config.optional_size("cla_share_factor", most=MOST_LAYERS) or 1
    if not config.flag("use_cla", False):
        return [True] * layers
    return [layer % step == 0 for layer in range(layers)]


def _read_experts(config: Config, hidden: int, layers: int) -> list[Part]:
    skipped = config.size("moe_layer_num_skipped", default=0, least=0, most=layers)
    dense_width = config.size("intermediate_size")
    routed = _per_layer(config, "num_experts", layers, None)
    widths = _per_layer(config, "moe_intermediate_size", layers, dense_width)
    top_k = _per_layer(config, "moe_topk", layers, 1)
    shared = _per_layer(config, "num_shared_expert", layers, 1)
    if not config.flag("use_mixed_mlp_moe", True):
        shared = [0] * layers
    parts: list[Part] = []
    for layer in range(layers):
        if layer < skipped or routed[layer] == 1:
            parts.append(Dense(hidden=hidden, intermediate=dense_width))
            continue
        if top_k[layer] > routed[layer]:
            config.refuse("moe_topk", f"up to the {routed[layer]:,} experts")
        parts.append(
            MixtureOfExperts(
                hidden=hidden,
                intermediate=widths[layer],
                experts=routed[layer],
                top_k=top_k[layer],
                shared_intermediate=shared[layer] * widths[layer],
            )
        )
    return parts


def _per_layer(config: Config, name: str, layers: int, default: int | None) -> list[int]:
    """Return a figure of each layer that the file gives once or layer by layer."""
    if not config.is_list(name):
        least = 0 if name == "num_shared_expert" else 1
        return [config.size(name, default=default, least=least)] * layers
    listed = config.entries(name) or ()
    figures = Config({str(i): item for i, item in enumerate(listed)}, config.place(name))
    if len(listed) != layers:
        config.refuse(name, f"one number for each of the {layers:,} layers")
    return [figures.size(str(layer), least=0) for layer in range(layers)]


@family("hy_v3", architectures=("HYV3ForCausalLM",))
def read_v3(config: Config) -> Architecture:
    """Read a Hy3 configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Grouped heads with norms of queries and keys, one dense layer and then experts.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden, layers = read_hidden(config), read_layers(config)
    config.require("mlp_bias", False)
    config.ignore("enable_moe_fp32_combine", "enable_lm_head_fp32", "enable_attention_fp32_softmax")
    attention = read_grouped_attention(config, hidden, head_dim=128, qk_norm="head")
    experts = read_mixture(config, hidden, shared=1, correction_bias=True)
    feed_forward = read_feed_forward(config, experts, read_sparse(config, layers, dense=1))
    return expert_decoder(config, [(attention,)] * layers, feed_forward, hidden, mtp=True)
