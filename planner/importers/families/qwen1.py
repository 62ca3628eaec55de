"""Qwen 1: Llama's blocks with biases on queries, keys and values.

``intermediate_size`` is the width of both gate halves together. Defaults of ``QWenConfig`` that are
taken: heads of 128, no other biases, untied embeddings.
"""

from __future__ import annotations

from planner.importers.config import Config
from planner.importers.decoder import Heads, read_hidden
from planner.importers.dense_decoder import read_dense_decoder
from planner.importers.registry import Architecture, family

_HALVES = 2


@family("qwen", architectures=("QWenLMHeadModel",))
def read(config: Config) -> Architecture:
    """Read a Qwen 1 configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Multi-head attention, a feed-forward part half as wide as the file says.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    query = config.size("num_attention_heads")
    dim = config.optional_size("kv_channels") or read_hidden(config) // query
    both = config.size("intermediate_size")
    if both % _HALVES:
        config.refuse("intermediate_size", "an even number: the width of both gate halves")
    bias = not config.flag("no_bias", True)
    config.require("rotary_pct", 1.0)
    config.ignore("seq_length", "use_dynamic_ntk", "use_logn_attn", "use_flash_attn", "onnx_safe")
    config.ignore("bf16", "fp16", "fp32", "attn_dropout_prob", "emb_dropout_prob")
    config.ignore("softmax_in_fp32", "use_cache_quantization", "use_cache_kernel")
    return read_dense_decoder(
        config,
        heads=Heads(query, query, dim),
        intermediate=both // _HALVES,
        qkv_bias=True,
        output_bias=bias,
        mlp_bias=bias,
    )
