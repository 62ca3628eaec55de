"""RWKV-4 to RWKV-7: time mixing and channel mixing behind LayerNorms, one more LayerNorm on top of
the embedding.

Defaults that are taken: RWKV-4 has a channel mix of four times the hidden width, RWKV-5 and -6 of
three and a half times it in whole multiples of 32, RWKV-7 of four times; heads are 64 wide. RWKV-6
makes interpolations of 32 numbers and decays of 64, twice as many from a hidden width of 4,096 on.
In RWKV-7 the first layer's values are its own, all later ones mix them in.
"""

from __future__ import annotations

import math
from dataclasses import replace

from planner.importers.config import Config
from planner.importers.decoder import assemble, read_hidden, read_layers
from planner.importers.position import usable_context
from planner.importers.registry import Architecture, family
from planner.importers.stacks import named
from planner.model.mixers.linear_rwkv import Rwkv4TimeMix, RwkvChannelMix
from planner.model.mixers.linear_rwkv_state import RwkvTimeMix, Version
from planner.model.norm import Norm
from planner.model.part import Part

_VOCABULARY = {"rwkv4": 50_277, "rwkv5": 65_536, "rwkv6": 65_536, "rwkv7": 32_000}
_CONTEXT_TOKENS = {"rwkv4": 1024, "rwkv5": 4096, "rwkv6": 4096, "rwkv7": 2048}
_HEAD_DIM = 64
_WIDE = 4096
_NO_EFFECT = (
    "rescale_every",
    "model_version",
    "head_size_divisor",
    "norm_bias",
    "layer_norm_epsilon",
)
_FLA = (
    "attn_mode", "fuse_norm", "fuse_cross_entropy", "fuse_linear_cross_entropy", "use_l2warp",
    "norm_first", "norm_eps", "hidden_act", "attn",
)  # fmt: skip


@family("rwkv", architectures=("RwkvForCausalLM",))
def read(config: Config) -> Architecture:
    """Read an RWKV-4 configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        A weighted mean per channel.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden = read_hidden(config)
    config.ignore(*_NO_EFFECT)
    mixer = Rwkv4TimeMix(
        hidden=hidden, inner=config.optional_size("attention_hidden_size") or hidden
    )
    wide = config.optional_size("intermediate_size") or 4 * hidden
    channel = RwkvChannelMix(hidden=hidden, intermediate=wide)
    return _assembled(config, [mixer] * read_layers(config), channel, "rwkv4")


@family("rwkv5", architectures=("Rwkv5ForCausalLM",))
def read_rwkv5(config: Config) -> Architecture:
    """Read an RWKV-5 configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        A matrix per head, decayed by learned numbers.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    return _matrix_state(config, "rwkv5")


@family("rwkv6", architectures=("Rwkv6ForCausalLM",))
def read_rwkv6(config: Config) -> Architecture:
    """Read an RWKV-6 configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        A matrix per head, decayed by what the token says.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    return _matrix_state(config, "rwkv6")


@family("rwkv7", architectures=("RWKV7ForCausalLM",))
def read_rwkv7(config: Config) -> Architecture:
    """Read an RWKV-7 configuration as the flash-linear-attention library writes it.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        A matrix per head in which keys are replaced.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden, layers = read_hidden(config), read_layers(config)
    config.ignore(*_NO_EFFECT, *(name for name in _FLA if name != "attn"))
    config.require("attn", None)
    config.require("value_dim", None, hidden, [hidden] * layers)
    head_dim = config.optional_size("head_dim") or _HEAD_DIM
    heads = config.optional_size("num_heads")
    if heads is not None and heads * head_dim != hidden:
        config.refuse("num_heads", f"{hidden:,} / head_dim")
    ranks = ("decay_low_rank_dim", "a_low_rank_dim", "v_low_rank_dim", "gate_low_rank_dim")
    decay, replaced, value, gate = (
        config.optional_size(name) or _rank(hidden, head_dim, scale, whole=name.startswith("gate"))
        for name, scale in zip(ranks, (2.5, 2.5, 1.7, 5.0), strict=True)
    )
    mixer = RwkvTimeMix(
        kind="rwkv7",
        hidden=hidden,
        inner=hidden,
        head_dim=head_dim,
        decay_rank=decay,
        replace_rank=replaced,
        value_rank=value,
        gate_rank=gate,
    )
    ratio = config.number("hidden_ratio", 4.0)
    wide = config.optional_size("intermediate_size") or -(-int(hidden * ratio) // 32) * 32
    channel = RwkvChannelMix(hidden=hidden, intermediate=max(wide, 1), receptance=False)
    first = replace(mixer, value_rank=None)
    return _assembled(config, [first, *[mixer] * (layers - 1)], channel, "rwkv7")


def _rank(hidden: int, head_dim: int, scale: float, *, whole: bool) -> int:
    """Return a narrow width as the library chooses it: a multiple of 32 that grows with √hidden."""
    factor = 1.0 if whole else head_dim / _HEAD_DIM
    return max(32, round(scale * math.sqrt(hidden) * factor / 32) * 32)


def _matrix_state(config: Config, version: Version) -> Architecture:
    hidden = read_hidden(config)
    config.ignore(*_NO_EFFECT)
    head_dim = config.size("head_size", "head_dim", default=_HEAD_DIM)
    inner = config.optional_size("attention_hidden_size") or hidden
    if inner % head_dim:
        config.refuse("head_size", f"a divisor of {inner:,}")
    heads = config.optional_size("num_attention_heads")
    if heads is not None and heads != inner // head_dim and heads != head_dim:
        config.refuse("num_attention_heads", f"{inner // head_dim:,}, as the heads' width says")
    double = 2 if hidden >= _WIDE else 1
    mixer = RwkvTimeMix(
        kind=version,
        hidden=hidden,
        inner=inner,
        head_dim=head_dim,
        mix_rank=32 * double if version == "rwkv6" else None,
        decay_rank=64 * double if version == "rwkv6" else None,
    )
    wide = config.optional_size("intermediate_size") or max(int(hidden * 3.5) // 32 * 32, 1)
    channel = RwkvChannelMix(hidden=hidden, intermediate=wide)
    return _assembled(config, [mixer] * read_layers(config), channel, version)


def _assembled(
    config: Config,
    mixers: list[Rwkv4TimeMix] | list[RwkvTimeMix],
    channel: RwkvChannelMix,
    version: str,
) -> Architecture:
    hidden = channel.hidden
    first, second = (Norm(kind="layer_norm", width=hidden, name=name) for name in ("ln1", "ln2"))
    rows: list[tuple[Part, ...]] = [(first, mixer, second, channel) for mixer in mixers]
    if config.flag("tie_word_embeddings", False):
        config.warn(
            "The configuration ties head and embedding, which RWKV's own checkpoints store apart."
        )
    decoder = assemble(
        config,
        named(rows),
        hidden=hidden,
        tied=False,
        norm="layer_norm",
        usable_context=usable_context(
            config, "context_length", "max_position_embeddings", default=_CONTEXT_TOKENS[version]
        ),
        vocabulary=_VOCABULARY[version],
    )
    return replace(decoder, embedding=replace(decoder.embedding, norm=True))
