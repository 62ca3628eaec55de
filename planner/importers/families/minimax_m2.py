"""MiniMax-M2 and -M3: experts as wide as ``intermediate_size``; M3 attends to selected blocks.

M2 normalises all heads of queries and keys together, M3 each head. M3's first layers are dense and
see every key; the others select blocks of keys, one selection per KV head. How their modules for
multi-token prediction are built is not in the files: a note counts them.
"""

from __future__ import annotations

from dataclasses import replace

from planner.importers.config import Config
from planner.importers.decoder import read_hidden, read_layers
from planner.importers.experts import read_mixture, read_sparse
from planner.importers.grouped import expert_decoder, read_grouped_attention
from planner.importers.multimodal import read_multimodal
from planner.importers.registry import Architecture, family
from planner.importers.towers.minimax import MINIMAX_VISION
from planner.model.feed_forward import Dense
from planner.model.mixers.attention import Attention
from planner.model.mixers.indexer import Indexer
from planner.model.mixers.selected import SelectedAttention
from planner.model.part import Part

_MTP = ("num_mtp_modules", "num_nextn_predict_layers")
_SPARSE_TYPE = "minimax_m3_sparse"
_BLOCKS = {
    "index_n_heads": "sparse_num_index_heads",
    "index_head_dim": "sparse_index_dim",
    "index_block_size": "sparse_block_size",
    "index_topk_blocks": "sparse_topk_blocks",
    "index_local_blocks": "sparse_local_block",
}
"""The class's names of the figures of a selection, and those in ``sparse_attention_config``."""


@family("minimax_m2", architectures=("MiniMaxM2ForCausalLM",))
def read_m2(config: Config) -> Architecture:
    """Read a MiniMax-M2 configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Grouped heads, experts in every layer, none shared.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden, layers = read_hidden(config), read_layers(config)
    config.require("use_qk_norm", True)
    config.require("qk_norm_type", "per_layer")
    config.require("shared_intermediate_size", 0)
    config.require("use_routing_bias", True)
    config.require("sliding_window", None)
    config.ignore("use_mtp", "mtp_transformer_layers", "attn_type_list", "layer_types")
    attention = read_grouped_attention(config, hidden, qk_norm="full")
    width = config.size("intermediate_size")
    experts = read_mixture(config, hidden, intermediate=width, correction_bias=True)
    return expert_decoder(
        config, [(attention,)] * layers, [experts] * layers, hidden, mtp_names=_MTP
    )


@family(
    "minimax_m3",
    "minimax_m3_vl_text",
    architectures=("MiniMaxM3ForCausalLM", "MiniMaxM3SparseForCausalLM"),
)
def read_m3(config: Config) -> Architecture:
    """Read a MiniMax-M3 configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Dense layers that see every key, then experts with a selection of keys.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    UnsupportedConfigError
        Heads are normalised, gated or chosen in another way.
    """
    hidden, layers = read_hidden(config), read_layers(config)
    config.require("use_qk_norm", True)
    config.require("qk_norm_type", "per_head")
    config.require("use_routing_bias", True)
    config.require("attention_output_gate", False)
    config.ignore("use_gemma_norm")
    attention = read_grouped_attention(config, hidden, qk_norm="head")
    mixers = _read_mixers(config, attention, layers)
    width = config.size("intermediate_size")
    config.require("moe_intermediate_size", width)
    shared = config.size("shared_intermediate_size", default=0, least=0)
    config.ignore("n_shared_experts", "num_shared_experts")
    experts = replace(
        read_mixture(config, hidden, intermediate=width, correction_bias=True),
        shared_intermediate=shared,
    )
    sparse = read_sparse(config, layers)
    dense = Dense(hidden=hidden, intermediate=config.size("dense_intermediate_size"))
    feed_forward = [experts if is_sparse else dense for is_sparse in sparse]
    return expert_decoder(config, mixers, feed_forward, hidden, mtp_names=_MTP)


@family("minimax_m3_vl", architectures=("MiniMaxM3SparseForConditionalGeneration",))
def read_m3_vision(config: Config) -> Architecture:
    """Read the language model of a MiniMax-M3 configuration.

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
    config.ignore(
        "image_grid_pinpoints", "image_seq_length",
        "img_token_compression_config", "num_reward_heads",
        "process_image_mode",
        "vision_feature_select_strategy",
    )  # fmt: skip
    return read_multimodal(config, MINIMAX_VISION, default="minimax_m3_vl_text")


def _read_mixers(config: Config, attention: Attention, layers: int) -> list[tuple[Part, ...]]:
    section = config.section("sparse_attention_config")
    if section is not None:
        section.require("use_sparse_attention", True)
        section.require("sparse_init_block", 0)
        section.ignore("sparse_disable_index_value", "sparse_score_type")
    selective = _read_selective(config, section, layers)
    if not any(selective):
        config.ignore(*_BLOCKS)
        return [(attention,)] * layers

    def size(name: str) -> int:
        if section is not None and _BLOCKS[name] in section:
            return section.size(_BLOCKS[name])
        return config.size(name)

    size("index_local_blocks")
    sparse = SelectedAttention(
        hidden=attention.hidden,
        query_heads=attention.query_heads,
        kv_heads=attention.kv_heads,
        head_dim=attention.head_dim,
        selected=size("index_topk_blocks") * size("index_block_size"),
        qk_norm="head",
        rotary_dim=attention.rotary_dim,
    )
    indexer = Indexer(
        hidden=attention.hidden,
        query_dim=attention.hidden,
        heads=size("index_n_heads"),
        head_dim=size("index_head_dim"),
        head_weights=False,
        key_norm="rms_norm",
        query_norm="rms_norm",
    )
    return [(indexer, sparse) if selects else (attention,) for selects in selective]


def _read_selective(config: Config, section: Config | None, layers: int) -> list[bool]:
    kinds = config.listed("layer_types", (_SPARSE_TYPE, "full_attention"), layers)
    if kinds is not None:
        if section is not None:
            section.ignore("sparse_attention_freq")
        return [kind == _SPARSE_TYPE for kind in kinds]
    flags = section.listed("sparse_attention_freq", (0, 1), layers) if section else None
    return [bool(flag) for flag in flags] if flags is not None else [False] * layers
