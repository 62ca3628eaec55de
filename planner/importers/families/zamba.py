"""Zamba and Zamba2: Mamba layers, and few transformer blocks that many of them use.

The block reads the residual stream beside the token's embedding; a projection of each layer's own
adds its output to the layer's input. Defaults of ``ZambaConfig`` and ``Zamba2Config`` that are
taken: which layers are hybrids, one block, adapters of rank 128 (Zamba2), and tied embeddings.
"""

from __future__ import annotations

from dataclasses import replace

from planner.importers.config import Config
from planner.importers.decoder import assemble, read_hidden, read_layers
from planner.importers.position import usable_context
from planner.importers.recurrent import MIXER_KINDS, TIME_STEPS, read_kinds, read_mamba1
from planner.importers.registry import Architecture, family
from planner.importers.stacks import named
from planner.model.bounds import MOST_LAYERS
from planner.model.feed_forward import Dense
from planner.model.mixers.attention import Attention
from planner.model.mixers.state_space import Mamba1, Mamba2
from planner.model.norm import Norm
from planner.model.part import Part
from planner.model.shared_block import SharedBlock

_CONTEXT_TOKENS = 4096
_LONG_CONTEXT_TOKENS = 16_384
_WORDS = {**MIXER_KINDS, "m": "linear", "g": "hybrid"}
_HEADS = {"zamba": 16, "zamba2": 32}
_MAMBA_HEADS = {"zamba": 2, "zamba2": 8}


@family("zamba", architectures=("ZambaForCausalLM",))
def read(config: Config) -> Architecture:
    """Read a Zamba configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Mamba layers of two heads; one block without positions.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden, layers = read_hidden(config), read_layers(config)
    heads = config.size("n_mamba_heads", default=_MAMBA_HEADS["zamba"])
    mixer = read_mamba1(config, hidden, heads=heads)
    joined = config.optional_size("attention_hidden_size") or 2 * hidden
    attention = _attention(config, hidden, joined, _HEADS["zamba"], rotary=False)
    block = SharedBlock(
        hidden=hidden,
        attention=attention,
        feed_forward=Dense(hidden=hidden, intermediate=config.size("intermediate_size")),
    )
    period = config.size("attn_layer_period", default=6, most=MOST_LAYERS)
    offset = config.size("attn_layer_offset", default=4, least=0, most=MOST_LAYERS)
    by_rule = ["linear", "linear", "hybrid"] + [
        "hybrid" if i % period == offset else "linear" for i in range(layers - 3)
    ]
    kinds = read_kinds(config, layers) or by_rule[:layers]
    return _assembled(
        config, kinds, [block], mixer, usable_context(config, default=_CONTEXT_TOKENS)
    )


@family("zamba2", architectures=("Zamba2ForCausalLM",))
def read_zamba2(config: Config) -> Architecture:
    """Read a Zamba2 configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Mamba-2 layers; one or more blocks in turn, with adapters at each place.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden, layers = read_hidden(config), read_layers(config)
    config.ignore(
        "hybrid_layer_ids", "kv_channels", "num_query_groups", "ft_window_size", *TIME_STEPS
    )
    config.ignore("use_mem_eff_path", "ft_lora", "gated_linear_unit", "use_shared_block_lora")
    mixer = _mamba2(config, hidden)
    rotary = config.flag("use_mem_rope", False)
    attention = _attention(config, hidden, 2 * hidden, _HEADS["zamba2"], rotary=rotary)
    wide = config.optional_size("intermediate_size", "ffn_hidden_size") or 4 * hidden
    bias = config.flag("add_bias_linear", False)
    count = config.size("num_mem_blocks", default=1, most=MOST_LAYERS)
    blocks = [
        SharedBlock(
            hidden=hidden,
            attention=attention,
            feed_forward=Dense(hidden=hidden, intermediate=wide, bias=bias),
            adapter_rank=config.size("adapter_rank", "lora_rank", default=128),
            attention_adapter=_adapts(config),
            name=f"shared_transformer.{number}",
        )
        for number in range(count)
    ]
    by_rule = ["linear", *(["linear"] * 5 + ["hybrid"]) * 7, *["linear"] * 4, "hybrid"]
    by_rule += [*["linear"] * 3, "hybrid", "linear", "linear"]
    kinds = read_kinds(config, layers, "layers_block_type", "layer_types", words=_WORDS)
    if kinds is None and len(by_rule) != layers:
        config.refuse("num_hidden_layers", f"{len(by_rule)} where layers_block_type is missing")
    long = config.flag("use_long_context", False)
    context = usable_context(config, default=_CONTEXT_TOKENS)
    return _assembled(
        config, kinds or by_rule, blocks, mixer, _LONG_CONTEXT_TOKENS if long else context
    )


def _adapts(config: Config) -> bool:
    """Return whether queries, keys and values have adapters, by the new name or the authors'."""
    names = ("use_shared_attention_adapter", "use_shared_attention_lora")
    said = [config.flag(name, False) for name in names]
    return any(said)


def _mamba2(config: Config, hidden: int) -> Mamba2:
    """Return the state-space layer; the authors' files give the width of a head alone."""
    inner = hidden * config.size("mamba_expand", "expansion_factor", default=2)
    wide = config.optional_size("mamba_headdim", most=inner)
    own = inner // wide if wide and "state_size" in config else _MAMBA_HEADS["zamba2"]
    heads = config.size("n_mamba_heads", default=own)
    groups = config.size("mamba_ngroups", default=1)
    if inner % heads or heads % groups:
        config.refuse("n_mamba_heads", f"a divisor of {inner:,} and a multiple of {groups:,}")
    return Mamba2(
        hidden=hidden,
        heads=heads,
        head_dim=inner // heads,
        groups=groups,
        state_dim=config.size("mamba_d_state", "state_size", default=64),
        conv_kernel=config.size("mamba_d_conv", "conv_dimension", default=4),
        chunk=config.size("chunk_size", default=256),
        bias=config.flag("add_bias_linear", False),
        conv_bias=config.flag("use_conv_bias", True),
    )


def _attention(
    config: Config, hidden: int, joined: int, query_heads: int, *, rotary: bool
) -> Attention:
    query = config.size("num_attention_heads", default=query_heads)
    kv = config.optional_size("num_key_value_heads") or query
    if query % kv:
        config.refuse("num_key_value_heads", f"a divisor of the {query:,} query heads")
    dim = config.optional_size("attention_head_dim", "head_dim") or 2 * hidden // query
    config.require("attention_hidden_size", joined, None)
    return Attention(
        hidden=hidden,
        input_width=joined,
        query_heads=query,
        kv_heads=kv,
        head_dim=dim,
        rotary=rotary,
    )


def _assembled(
    config: Config,
    kinds: list[str],
    blocks: list[SharedBlock],
    mixer: Mamba1 | Mamba2,
    context: int,
) -> Architecture:
    """Put the blocks in turn before hybrid layers; each is held where it stands first."""
    norm = Norm(kind="rms_norm", width=mixer.hidden, name="input_layernorm")
    rows: list[tuple[Part, ...]] = []
    placed = 0
    for kind in kinds:
        row: tuple[Part, ...] = (norm, mixer)
        if kind == "hybrid":
            block = blocks[placed % len(blocks)]
            row = (replace(block, holds=placed < len(blocks)), *row)
            placed += 1
        rows.append(row)
    return assemble(config, named(rows), hidden=mixer.hidden, tied=True, usable_context=context)
