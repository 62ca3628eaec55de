"""DeepSeek-V4: compressed attention, residual streams, experts chosen by hash in the first layers.

``compress_ratios`` names for each layer how many tokens an entry stands for, 0 for a window alone;
entries beyond the stack are those of layers for multi-token prediction. Without it and without
``layer_types``, the class alternates 128 and 4 behind two layers of 128, which no released
checkpoint does: that is refused here. Published kernels cache the indexer's keys in fp4.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from planner.importers.config import Config
from planner.importers.decoder import assemble, read_hidden, read_layers
from planner.importers.experts import read_mixture
from planner.importers.position import positive, usable_context
from planner.importers.registry import Architecture, family
from planner.importers.stacks import named
from planner.model.bounds import MOST_CONTEXT_TOKENS, MOST_LAYERS
from planner.model.feed_forward import MixtureOfExperts
from planner.model.hyper_connection import HyperConnection
from planner.model.mixers.compressed import CompressedAttention
from planner.model.mixers.indexer import Indexer
from planner.model.multi_token import MultiTokenProjection
from planner.model.norm import Norm
from planner.model.part import Part
from planner.model.position import Positions, Rotary

_WINDOW, _SPARSE, _HEAVY = _KINDS = (
    "sliding_attention",
    "compressed_sparse_attention",
    "heavily_compressed_attention",
)
_STRIDES = {_WINDOW: 0, _SPARSE: 4, _HEAVY: 128}
_LABELS = ("main", "compress")
_HASH_LAYERS = 3
_ROTARY_SHARE = 0.125
_BASE, _COMPRESSED_BASE = 10_000.0, 160_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Blocks:
    """What the blocks of a model have in common."""

    attention: CompressedAttention
    indexer: Indexer
    experts: MixtureOfExperts
    streams: int

    def block(self, stride: int, selective: bool, vocabulary: int) -> tuple[Part, ...]:
        """Return one block; a vocabulary means that its experts are chosen by hash."""
        hidden = self.attention.hidden
        attention = replace(
            self.attention,
            stride=stride,
            index_topk=self.attention.index_topk if selective else None,
        )
        experts = replace(self.experts, hash_vocabulary=vocabulary, correction_bias=not vocabulary)
        return (
            HyperConnection(hidden=hidden, streams=self.streams, name="attn_hc"),
            Norm(kind="rms_norm", width=hidden, name="input_layernorm"),
            *((replace(self.indexer, stride=stride),) if selective else ()),
            attention,
            HyperConnection(hidden=hidden, streams=self.streams, name="ffn_hc"),
            Norm(kind="rms_norm", width=hidden, name="post_attention_layernorm"),
            experts,
        )

    def closing(self) -> HyperConnection:
        """Return what joins the streams at the end of the stack."""
        return HyperConnection(
            hidden=self.attention.hidden, streams=self.streams, closes=True, name="hc_head"
        )


@family("deepseek_v4", "deepseek_ref", architectures=("DeepseekV4ForCausalLM",))
def read(config: Config) -> Architecture:
    """Read a DeepSeek-V4 configuration.

    Parameters
    ----------
    config : Config
        The configuration, also in the dialect of the reference code.

    Returns
    -------
    Architecture
        Every block between hyper-connections; the multi-token block has a window alone.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    UnsupportedConfigError
        A stride of entries that is not known.
    """
    hidden, layers = read_hidden(config), read_layers(config)
    config.require("attention_bias", False)
    config.require("mlp_bias", False)
    config.require("num_key_value_heads", 1)
    config.ignore("hc_eps", "hc_sinkhorn_iters")
    blocks = _read_blocks(config, hidden)
    vocabulary = config.size("vocab_size")
    strides = _read_strides(config, layers)
    hashed = _read_hashed(config, layers)
    sparse = min(filter(None, _rates(config).values()))
    stack = [
        blocks.block(stride, stride == sparse, vocabulary if by_hash else 0)
        for stride, by_hash in zip(strides, hashed, strict=True)
    ]
    context = usable_context(config)
    _read_rotations(config)
    beside = _mtp(config, blocks)
    names = named([*stack, *beside])
    architecture = assemble(
        config,
        names[:layers],
        hidden=hidden,
        tied=False,
        usable_context=context,
        mtp=tuple(replace(layer, name=f"mtp-{layer.name}") for layer in names[layers:]),
    )
    return replace(
        architecture,
        final=(blocks.closing(), *architecture.final),
        positions=_read_positions(config, blocks.attention.rotary_dim, context),
    )


def _read_positions(config: Config, dim: int, context: int) -> Positions:
    """Windows turn plainly; entries and their queries have a base of their own and its scaling."""
    section = config.section("rope_parameters")
    plain, entries = (section.section(label) if section else None for label in _LABELS)
    base = positive(plain or config, "rope_theta", _BASE)
    compressed = positive(config, "compress_rope_theta", _COMPRESSED_BASE)
    if entries is not None:
        compressed = positive(entries, "rope_theta", compressed)
    scaling = entries or config.section("rope_scaling")
    original = scaling and scaling.optional_size(
        "original_max_position_embeddings", most=MOST_CONTEXT_TOKENS
    )
    rotary = Rotary(dim=dim, base=compressed)
    if scaling is not None and original:
        rotary = Rotary(
            dim=dim,
            base=compressed,
            scaling="yarn",
            factor=positive(scaling, "factor", 1.0),
            original=original,
            beta_fast=positive(scaling, "beta_fast", 32.0),
            beta_slow=positive(scaling, "beta_slow", 1.0),
            attention_factor_given=1.0,
        )
    return Positions(declared=context, rotations=(Rotary(dim=dim, base=base), rotary))


def _mtp(config: Config, blocks: _Blocks) -> list[tuple[Part, ...]]:
    hidden = blocks.attention.hidden
    count = config.optional_size("num_nextn_predict_layers", least=0, most=MOST_LAYERS) or 0
    block = (
        MultiTokenProjection(hidden=hidden),
        *blocks.block(0, False, 0),
        blocks.closing(),
        Norm(kind="rms_norm", width=hidden, name="shared_head.norm"),
    )
    return [block] * count


def _read_blocks(config: Config, hidden: int) -> _Blocks:
    head_dim = config.size("head_dim")
    rank = config.size("q_lora_rank")
    attention = CompressedAttention(
        hidden=hidden,
        query_heads=config.size("num_attention_heads"),
        head_dim=head_dim,
        rotary_dim=_read_rotary_dim(config, head_dim),
        q_lora_rank=rank,
        output_groups=config.size("o_groups"),
        output_lora_rank=config.size("o_lora_rank"),
        window=config.size("sliding_window"),
        index_topk=config.size("index_topk"),
    )
    indexer = Indexer(
        hidden=hidden,
        query_dim=rank,
        heads=config.size("index_n_heads"),
        head_dim=config.size("index_head_dim"),
        key_format="mxfp4",
    )
    experts = read_mixture(config, hidden, shared=1)
    streams = config.size("hc_mult", most=64)
    return _Blocks(attention=attention, indexer=indexer, experts=experts, streams=streams)


def _read_rotary_dim(config: Config, head_dim: int) -> int:
    share = config.number("partial_rotary_factor", _ROTARY_SHARE)
    if not 0 < share <= 1:
        config.refuse("partial_rotary_factor", "above 0 and up to 1")
    derived = max(1, int(head_dim * share))
    return config.optional_size("qk_rope_head_dim", most=head_dim) or derived


def _rates(config: Config) -> dict[str, int]:
    """Return how many tokens an entry stands for in each kind of layer."""
    rates = dict(_STRIDES)
    section = config.section("compress_rates")
    for kind, legacy in ((_SPARSE, "compress_rate_csa"), (_HEAVY, "compress_rate_hca")):
        said = section.size(kind, default=rates[kind]) if section else rates[kind]
        rates[kind] = config.size(legacy, default=said)
    if not 1 < rates[_SPARSE] < rates[_HEAVY]:
        config.refuse("compress_rates", "more than one token, heavy above sparse compression")
    return rates


def _read_strides(config: Config, layers: int) -> list[int]:
    rates = _rates(config)
    kinds = config.listed("layer_types", _KINDS, layers)
    if kinds is not None:
        config.ignore("compress_ratios")
        return [rates[str(kind)] for kind in kinds]
    ratios = config.listed("compress_ratios", tuple(rates.values()), layers, more=True)
    if ratios is None:
        config.refuse("compress_ratios", f"a ratio for each of the {layers:,} layers", "missing")
    return [ratio for ratio in ratios if isinstance(ratio, int)]


def _read_hashed(config: Config, layers: int) -> list[bool]:
    kinds = config.listed("mlp_layer_types", ("hash_moe", "moe"), layers)
    count = config.size("num_hash_layers", default=_HASH_LAYERS, least=0, most=MOST_LAYERS)
    if kinds is None:
        return [layer < count for layer in range(layers)]
    return [kind == "hash_moe" for kind in kinds]


def _read_rotations(config: Config) -> None:
    """Count the rotations of windows and of compressed layers as understood."""
    section = config.section("rope_parameters")
    for label in _LABELS:
        inner = section.section(label) if section is not None else None
        if inner is not None:
            inner.ignore(
                "rope_type", "type", "rope_theta", "partial_rotary_factor", "factor",
                "beta_fast", "beta_slow", "original_max_position_embeddings", "attention_factor",
            )  # fmt: skip
