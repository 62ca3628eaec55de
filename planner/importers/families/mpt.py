"""MPT: ALiBi, LayerNorm without biases, plain feed-forward parts, tied embeddings.

Defaults of ``MptConfig`` that are taken: multi-head attention with ALiBi, no biases, an inner width
of four times the hidden one.
"""

from __future__ import annotations

from dataclasses import replace

from planner.importers.config import Config
from planner.importers.decoder import Heads, read_hidden
from planner.importers.dense_decoder import read_dense_decoder
from planner.importers.registry import Architecture, family
from planner.model.norm import Norm


@family("mpt", architectures=("MptForCausalLM", "MPTForCausalLM"))
def read(config: Config) -> Architecture:
    """Read an MPT configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Learned positions only where ALiBi is switched off.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden = read_hidden(config)
    query = config.size("n_heads", "num_attention_heads")
    if hidden % query:
        config.refuse("n_heads", f"a divisor of the hidden width, {hidden:,}")
    attention = config.section("attn_config") or Config({}, config.where)
    kv = _kv_heads(attention, query)
    alibi = attention.flag("alibi", True)
    attention.require("is_encoder_decoder", False)
    attention.require("prefix_lm", False)
    attention.require("rope", False)
    attention.ignore("alibi_bias_max", "attn_impl", "attn_uses_sequence_id", "clip_qkv")
    attention.ignore("softmax_scale")
    config.require("no_bias", True)
    config.require("norm_type", "low_precision_layernorm", "layernorm")
    config.ignore("init_config", "init_device", "emb_pdrop", "embedding_fraction", "logit_scale")
    config.ignore("tokenizer_name", "verbose", "fc_type")
    positions = config.size("max_seq_len", "max_position_embeddings")
    decoder = read_dense_decoder(
        config,
        heads=Heads(query, kv, hidden // query),
        intermediate=config.size("expansion_ratio", default=4) * hidden,
        gated=False,
        tied=True,
        rotary=False,
        distance_bias="alibi" if alibi else "none",
        context=positions,
        norm=Norm(kind="layer_norm", width=hidden, bias=False),
        qk_norm="full" if attention.flag("qk_ln", False) else "none",
    )
    if alibi or not config.flag("learned_pos_emb", True):
        config.ignore("learned_pos_emb")
        return decoder
    return replace(decoder, embedding=replace(decoder.embedding, positions=positions))


def _kv_heads(attention: Config, query: int) -> int:
    kind = attention.text("attn_type", "multihead_attention")
    grouped = attention.optional_size("kv_n_heads")
    if kind == "multiquery_attention":
        return 1
    kv = grouped or query
    if query % kv:
        attention.refuse("kv_n_heads", f"a divisor of the {query:,} query heads")
    return kv
