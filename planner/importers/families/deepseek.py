"""DeepSeek-MoE, -V2, -V3 and -R1, V3.2, and models of their classes: Kimi-K2, Moonlight, Mistral
Large 3, A.X K1, GLM-4.7-Flash, GLM-5, Mistral Small 4, Youtu-LLM.

Defaults of the classes that are taken: V2 has latents of 1,536 for queries where the file has no
``q_lora_rank`` (null means a direct projection) and no dense layer; V3 and its kin have biases that
correct the router's choice. A.X K1 has a norm behind its experts. Layers without an indexer in
GLM-5.2 use the selection of the last layer with one.
"""

from __future__ import annotations

from types import MappingProxyType

from planner.importers.config import Config
from planner.importers.decoder import assemble, read_heads, read_hidden, read_layers
from planner.importers.experts import read_feed_forward, read_mixture, read_sparse
from planner.importers.latent import (
    read_index_sharing,
    read_indexer,
    read_latent_attention,
)
from planner.importers.position import usable_context
from planner.importers.registry import Architecture, family
from planner.importers.stacks import named, pre_norm_layers, read_mtp
from planner.model import Layer
from planner.model.feed_forward import Dense, MixtureOfExperts
from planner.model.mixers.attention import Attention
from planner.model.mixers.latent import LatentAttention
from planner.model.norm import Norm
from planner.model.part import Part

_V2 = MappingProxyType(
    {
        "q_lora_rank": 1536,
        "kv_lora_rank": 512,
        "qk_nope_head_dim": 128,
        "qk_rope_head_dim": 64,
        "v_head_dim": 128,
    }
)


def _read(
    config: Config,
    mixers: list[tuple[Part, ...]],
    feed_forward: list[Dense | MixtureOfExperts],
    *,
    tied: bool = False,
    behind_experts: Norm | None = None,
) -> Architecture:
    """Return a stack of pre-norm blocks with the layers for multi-token prediction beside it."""
    hidden = read_hidden(config)
    config.require("mlp_bias", False)
    layers = pre_norm_layers(mixers, feed_forward, hidden)
    if behind_experts is not None:
        rows = [
            (*layer.parts, behind_experts) if part.kind == "moe" else layer.parts
            for layer, part in zip(layers, feed_forward, strict=True)
        ]
        layers = named(rows)
    return _with_mtp(config, layers, hidden, tied=tied)


def _with_mtp(config: Config, layers: list[Layer], hidden: int, *, tied: bool) -> Architecture:
    richest = max(layers, key=lambda layer: len(layer.parts))
    last = layers[-1] if len(layers[-1].parts) == len(richest.parts) else richest
    return assemble(
        config,
        layers,
        hidden=hidden,
        tied=tied,
        usable_context=usable_context(config),
        mtp=read_mtp(config, last, hidden),
    )


def _feed_forward(
    config: Config, *, dense: int = 0, shared: int = 0, correction_bias: bool = True
) -> list[Dense | MixtureOfExperts]:
    experts = read_mixture(
        config, read_hidden(config), shared=shared, correction_bias=correction_bias
    )
    return read_feed_forward(config, experts, read_sparse(config, read_layers(config), dense=dense))


def _uniform(config: Config, attention: LatentAttention) -> list[tuple[Part, ...]]:
    return [(attention,)] * read_layers(config)


@family("deepseek_v2", architectures=("DeepseekV2ForCausalLM",))
def read_v2(config: Config) -> Architecture:
    """Read a DeepSeek-V2 configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Multi-head latent attention, experts without a correction of the router's choice.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    attention = read_latent_attention(config, read_hidden(config), defaults=_V2)
    feed_forward = _feed_forward(config, shared=2, correction_bias=False)
    return _read(config, _uniform(config, attention), feed_forward)


@family(
    "deepseek_v3",
    "kimi_k2",
    "mistral4",
    architectures=("DeepseekV3ForCausalLM", "Mistral4ForCausalLM"),
)
def read_v3(config: Config) -> Architecture:
    """Read the configuration of DeepSeek-V3 or a model of its class.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Multi-head latent attention, a few dense layers and then experts.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    attention = read_latent_attention(config, read_hidden(config))
    corrected = config.text("model_type") != "mistral4"
    feed_forward = _feed_forward(config, correction_bias=corrected)
    return _read(config, _uniform(config, attention), feed_forward)


@family("glm4_moe_lite", architectures=("Glm4MoeLiteForCausalLM",))
def read_glm_lite(config: Config) -> Architecture:
    """Read a GLM-4.7-Flash configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        As DeepSeek-V3, one dense layer where the file says nothing.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    attention = read_latent_attention(config, read_hidden(config))
    return _read(config, _uniform(config, attention), _feed_forward(config, dense=1))


@family("axk1", architectures=("AXK1ForCausalLM",))
def read_axk1(config: Config) -> Architecture:
    """Read an A.X K1 configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        As DeepSeek-V3 with a norm behind the experts.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden = read_hidden(config)
    attention = read_latent_attention(config, hidden)
    behind = Norm(kind="rms_norm", width=hidden, name="post_mlp_layernorm")
    feed_forward = _feed_forward(config, dense=1)
    return _read(config, _uniform(config, attention), feed_forward, behind_experts=behind)


@family(
    "deepseek_v32",
    "glm_moe_dsa",
    architectures=("DeepseekV32ForCausalLM", "GlmMoeDsaForCausalLM"),
)
def read_sparse_attention(config: Config) -> Architecture:
    """Read a DeepSeek-V3.2 or GLM-5 configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        As DeepSeek-V3, every layer attending to what an indexer selected, its own or that of a
        layer before it.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden, layers = read_hidden(config), read_layers(config)
    config.ignore("layer_types")
    attention = read_latent_attention(config, hidden, index_topk=config.size("index_topk"))
    indexer = read_indexer(config, hidden, attention.q_lora_rank or hidden)
    mixers: list[tuple[Part, ...]] = [
        (indexer, attention) if own else (attention,) for own in read_index_sharing(config, layers)
    ]
    return _read(config, mixers, _feed_forward(config, dense=3))


@family("youtu", architectures=("YoutuForCausalLM",))
def read_youtu(config: Config) -> Architecture:
    """Read a Youtu-LLM configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Multi-head latent attention and dense layers.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden = read_hidden(config)
    attention = read_latent_attention(config, hidden)
    dense = Dense(hidden=hidden, intermediate=config.size("intermediate_size"))
    config.ignore("embedding_initializer_range")
    return _read(config, _uniform(config, attention), [dense] * read_layers(config), tied=True)


@family("minicpm3", architectures=("MiniCPM3ForCausalLM",))
def read_minicpm3(config: Config) -> Architecture:
    """Read a MiniCPM3 configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Multi-head latent attention with values as wide as the residual stream's share, dense
        layers.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden = read_hidden(config)
    share = hidden // config.size("num_attention_heads")
    attention = read_latent_attention(config, hidden, defaults={"v_head_dim": share})
    dense = Dense(hidden=hidden, intermediate=config.size("intermediate_size"))
    config.ignore("scale_emb", "scale_depth", "dim_model_base")
    return _read(config, _uniform(config, attention), [dense] * read_layers(config), tied=True)


@family("deepseek", architectures=("DeepseekForCausalLM",))
def read_v1(config: Config) -> Architecture:
    """Read a DeepSeek-MoE configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Multi-head attention, one dense layer and then fine-grained experts.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden = read_hidden(config)
    heads = read_heads(config, hidden)
    bias = config.flag("attention_bias", False)
    attention = Attention(
        hidden=hidden,
        query_heads=heads.query,
        kv_heads=heads.kv,
        head_dim=heads.dim,
        qkv_bias=bias,
        output_bias=bias,
    )
    feed_forward = _feed_forward(config, correction_bias=False)
    return _read(config, [(attention,)] * read_layers(config), feed_forward)
