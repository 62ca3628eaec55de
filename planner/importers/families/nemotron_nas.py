"""Llama-Nemotron (Super, Ultra): Llama's layers, each with its own heads and width, or without.

``block_configs`` says for each layer how many query heads share a KV head, how wide its
feed-forward part is as a multiple of the hidden width, and whether one of the two is left out or is
one matrix. A part that is left out takes its norm with it; a layer without parts is none.
"""

from __future__ import annotations

from planner.importers.blocks import named_layers
from planner.importers.config import Config
from planner.importers.decoder import assemble, read_hidden, read_layers
from planner.importers.position import usable_context
from planner.importers.registry import Architecture, family
from planner.model.feed_forward import Dense
from planner.model.mixers.attention import Attention
from planner.model.norm import Norm
from planner.model.part import Part
from planner.model.projection import Projection

_MULTIPLE = 256


@family("nemotron-nas", architectures=("DeciLMForCausalLM",))
def read(config: Config) -> Architecture:
    """Read a Llama-Nemotron configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        As ``block_configs`` says, layer by layer; layers that do nothing are left out.

    Raises
    ------
    SpecError
        A figure is missing or unusable, or the list has another length.
    """
    hidden = read_hidden(config)
    layers = read_layers(config)
    query = config.size("num_attention_heads")
    if hidden % query:
        config.refuse("num_attention_heads", f"a divisor of the hidden width, {hidden:,}")
    for name in ("attention_bias", "mlp_bias"):
        config.require(name, False)
    for name in ("num_key_value_heads", "intermediate_size"):
        config.require(name, None)
    blocks = config.sections("block_configs")
    if len(blocks) != layers:
        config.refuse("block_configs", f"one entry for each of the {layers:,} layers")
    rows = [(_attention(block, hidden, query), _feed_forward(block, hidden)) for block in blocks]
    return assemble(
        config,
        named_layers(
            ("full" if any(isinstance(p, Attention) for p in first) else "no-attention", parts)
            for first, second in rows
            for parts in [(*first, *second)]
            if parts
        ),
        hidden=hidden,
        tied=False,
        usable_context=usable_context(config),
    )


def _attention(block: Config, hidden: int, query: int) -> tuple[Part, ...]:
    section = block.section("attention")
    norm = Norm(kind="rms_norm", width=hidden, name="input_layernorm")
    if section is None or section.flag("no_op", False):
        if section is not None:
            section.ignore("n_heads_in_group", "replace_with_linear", *_UNUSED)
        return ()
    section.require("sparsify", None)
    section.ignore("unshifted_sink", "use_prefill_window_in_sink_attention")
    window = section.optional_size("window_length")
    sinks = section.optional_size("num_sink_tokens", least=0) or 0
    if section.flag("replace_with_linear", False):
        section.ignore("n_heads_in_group")
        return (norm, Projection(name="self_attn.linear", inputs=hidden, outputs=hidden))
    group = section.size("n_heads_in_group", most=query)
    if query % group:
        section.refuse("n_heads_in_group", f"a divisor of the {query:,} query heads")
    attention = Attention(
        hidden=hidden,
        query_heads=query,
        kv_heads=query // group,
        head_dim=hidden // query,
        window=window,
        sink_tokens=sinks if window else 0,
    )
    return (norm, attention)


_UNUSED = (
    "num_sink_tokens", "sparsify", "unshifted_sink", "use_prefill_window_in_sink_attention",
    "window_length",
)  # fmt: skip


def _feed_forward(block: Config, hidden: int) -> tuple[Part, ...]:
    section = block.section("ffn")
    norm = Norm(kind="rms_norm", width=hidden, name="post_attention_layernorm")
    if section is None or section.flag("no_op", False):
        if section is not None:
            section.ignore("ffn_mult", "replace_with_linear", "sparsify")
        return ()
    section.require("sparsify", None)
    if section.flag("replace_with_linear", False):
        section.ignore("ffn_mult")
        return (norm, Projection(name="mlp.linear", inputs=hidden, outputs=hidden))
    multiple = section.number("ffn_mult", 0.0)
    if not 0 < multiple < 1000:
        section.refuse("ffn_mult", "above 0")
    wide = int(2 * multiple * hidden / 3)
    return (norm, Dense(hidden=hidden, intermediate=-(-wide // _MULTIPLE) * _MULTIPLE))
