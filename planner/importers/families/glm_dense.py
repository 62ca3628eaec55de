"""ChatGLM 2 and 3, GLM-4, GLM-4-0414 and GLM-4.1V: two KV heads, half of each head rotated.

Defaults that are taken: biases on queries, keys and values, heads of 128, untied embeddings.
"""

from __future__ import annotations

from planner.importers.config import Config
from planner.importers.decoder import Heads, read_hidden
from planner.importers.dense_decoder import read_dense_decoder
from planner.importers.multimodal import read_multimodal
from planner.importers.position import rotated_dim
from planner.importers.registry import Architecture, family
from planner.importers.towers.glm import GLM_VISION
from planner.model.bounds import MOST_CONTEXT_TOKENS

_ROTATED_FRACTION = 0.5
_HEAD_DIM = 128


@family(
    "glm4v",
    "glm46v",
    "glmga",
    architectures=("Glm4vForConditionalGeneration", "Glm46VForConditionalGeneration"),
)
def read_glm4v(config: Config) -> Architecture:
    """Read a GLM-4.1V or GLM-4.6V Flash configuration.

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
    return read_multimodal(config, GLM_VISION, default="glm4v_text")


@family("glm", "glm4", "glm4v_text", architectures=("GlmForCausalLM", "Glm4ForCausalLM"))
def read_glm(config: Config) -> Architecture:
    """Read a GLM-4 configuration as transformers writes it.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Llama's blocks; in GLM-4-0414 with a norm before and after each part.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    head_dim = config.optional_size("head_dim")
    if head_dim is None:
        query = config.size("num_attention_heads")
        hidden = read_hidden(config)
        head_dim = hidden // query if config.text("model_type") == "glm4v_text" else _HEAD_DIM
    return read_dense_decoder(
        config,
        form="before" if config.text("model_type") == "glm" else "around",
        qkv_bias=config.flag("attention_bias", True),
        head_dim=head_dim,
        rotary_dim=rotated_dim(config, head_dim, default=_ROTATED_FRACTION),
    )


@family("chatglm", architectures=("ChatGLMModel", "ChatGLMForConditionalGeneration"))
def read_chatglm(config: Config) -> Architecture:
    """Read a ChatGLM 2, ChatGLM 3 or GLM-4 configuration as its authors wrote it.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        With ``multi_query_attention`` as many KV heads as ``multi_query_group_num`` says.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    query = config.size("num_attention_heads")
    groups = config.size("multi_query_group_num", default=1)
    kv = groups if config.flag("multi_query_attention", False) else query
    if query % kv:
        config.refuse("multi_query_group_num", f"a divisor of the {query:,} query heads")
    dim = config.optional_size("kv_channels") or read_hidden(config) // query
    for name in ("rmsnorm", "post_layer_norm", "original_rope"):
        config.require(name, True)
    config.require("apply_residual_connection_post_layernorm", False)
    config.require("pre_seq_len", None)
    config.ignore("apply_query_key_layer_scaling", "attention_softmax_in_fp32", "rope_ratio")
    config.ignore("attn_implementation", "bias_dropout_fusion", "fp32_residual_connection")
    config.ignore("layernorm_epsilon", "prefix_projection", "quantization_bit")
    config.ignore("interleaved_qkv", "kv_channels")
    bias = config.flag("add_bias_linear", False)
    return read_dense_decoder(
        config,
        heads=Heads(query, kv, dim),
        intermediate=config.size("ffn_hidden_size"),
        qkv_bias=bias or config.flag("add_qkv_bias", False),
        output_bias=bias,
        mlp_bias=bias,
        rotary_dim=dim // 2,
        context=config.size("seq_length", most=MOST_CONTEXT_TOKENS),
        vocabulary=config.size("padded_vocab_size", "vocab_size"),
    )
