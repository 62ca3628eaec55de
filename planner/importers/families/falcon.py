"""Falcon 7B, 40B and 180B, Falcon 2.

With ``new_decoder_architecture`` the file's ``num_kv_heads`` counts; without it ``multi_query``
means one KV head whatever ``num_kv_heads`` says (Falcon-7B says 71). Defaults of ``FalconConfig``
that are taken: multi-query attention beside the feed-forward block, no biases, an inner width of
four times the hidden one, 2,048 positions, tied embeddings.
"""

from __future__ import annotations

from planner.importers.config import Config
from planner.importers.decoder import Heads, assemble, read_heads, read_hidden, read_layers
from planner.importers.position import usable_context
from planner.importers.registry import Architecture, family
from planner.model import Layer
from planner.model.feed_forward import Dense
from planner.model.mixers.attention import Attention
from planner.model.norm import Norm

_CONTEXT_TOKENS = 2048


@family(
    "falcon",
    "RefinedWeb",
    "RefinedWebModel",
    architectures=("FalconForCausalLM", "RWForCausalLM"),
)
def read(config: Config) -> Architecture:
    """Read a Falcon configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        LayerNorm, multi-query or grouped-query attention, a plain feed-forward block beside it.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden = read_hidden(config)
    bias = config.flag("bias", False)
    config.require("apply_residual_connection_post_layernorm", False)
    new = config.flag("new_decoder_architecture", config.optional_size("n_head_kv") is not None)
    heads = _read_heads(config, hidden, new=new)
    alibi = config.flag("alibi", False)
    attention = Attention(
        hidden=hidden,
        query_heads=heads.query,
        kv_heads=heads.kv,
        head_dim=heads.dim,
        qkv_bias=bias,
        output_bias=bias,
        rotary=not alibi,
        distance_bias="alibi" if alibi else "none",
    )
    feed_forward = Dense(
        hidden=hidden,
        intermediate=config.optional_size("ffn_hidden_size") or 4 * hidden,
        gated=False,
        bias=bias,
    )
    return assemble(
        config,
        [_block(config, attention, feed_forward, new=new)] * read_layers(config),
        hidden=hidden,
        tied=True,
        usable_context=usable_context(config, default=_CONTEXT_TOKENS),
        norm="layer_norm",
    )


def _read_heads(config: Config, hidden: int, *, new: bool) -> Heads:
    query, _, dim = read_heads(config, hidden)
    stated = config.optional_size("num_kv_heads", "n_head_kv")
    kv = stated or query
    if config.flag("multi_query", True) and not new:
        kv = 1
    if query % kv:
        config.refuse("num_kv_heads", f"a divisor of the {query:,} query heads")
    return Heads(query, kv, dim)


def _block(config: Config, attention: Attention, feed_forward: Dense, *, new: bool) -> Layer:
    parallel = config.flag("parallel_attn", True)
    norms = config.optional_size("num_ln_in_parallel_attn") or (2 if new else 1)
    first, second = (
        Norm(kind="layer_norm", width=attention.hidden, name=name)
        for name in ("input_layernorm", "post_attention_layernorm")
    )
    if not parallel:
        return Layer("full", (first, attention, second, feed_forward))
    if norms == 2:
        return Layer("full", (first, second, attention, feed_forward))
    return Layer("full", (first, attention, feed_forward))
