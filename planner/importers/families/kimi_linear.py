"""Kimi-Linear, Kimi-K3 and Ling 3.0: Kimi delta attention with latent attention among it.

Lists of layers in ``linear_attn_config`` count from 1. Kimi-Linear makes decays and gates of 128
numbers; K3 makes its gates at full rank, Ling 3.0 decays too. K3 and Ling 3.0 gate their latent
attention, K3 has experts on a latent, and residual connections that weigh earlier layers. Defaults
of the configuration classes that are taken: latent attention in every fourth layer but the first
(Ling: every sixth), one dense layer (Ling: two), linear heads of 128, 4 taps, no rotation in Kimi's
latent attention.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from planner.importers.config import Config
from planner.importers.decoder import assemble, read_hidden, read_layers
from planner.importers.experts import read_feed_forward, read_mixture, read_sparse
from planner.importers.latent import read_latent_attention
from planner.importers.multimodal import read_language_model
from planner.importers.position import usable_context
from planner.importers.recurrent import read_kinds
from planner.importers.registry import Architecture, family
from planner.importers.stacks import named, pre_norm_layers, read_mtp
from planner.model.bounds import MOST_LAYERS
from planner.model.connection import AttentionResidual, InnerNorm, OutputGate
from planner.model.feed_forward import Dense, MixtureOfExperts
from planner.model.mixers.linear_kda import KimiDeltaAttention
from planner.model.norm import Norm
from planner.model.part import Part

_HEADS, _HEAD_DIM = 32, 128
_CONTEXT_TOKENS = {"kimi": 1_048_576, "ling": 262_144}
_ARITHMETIC = (
    "moe_renormalize", "norm_topk_prob", "moe_router_activation_func", "qk_head_dim",
    "routed_scaling_factor", "use_grouped_topk", "topk_group", "num_expert_group",
    "activation_situ_beta", "activation_situ_linear_beta", "rope_theta", "kda_safe_gate",
    "kda_lower_bound", "mtp_loss_scaling_factor", "num_key_value_heads", "head_dim",
)  # fmt: skip


@family("kimi_linear", architectures=("KimiLinearForCausalLM",))
def read(config: Config) -> Architecture:
    """Read a Kimi-Linear configuration, or the language model's section of a Kimi-K3 one.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Linear layers, latent attention without rotation, experts.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden, layers = read_hidden(config), read_layers(config)
    config.ignore(*_ARITHMETIC)
    latent = replace(
        read_latent_attention(config, hidden), rotary=not config.flag("mla_use_nope", True)
    )
    attention: tuple[Part, ...] = (latent,)
    if config.flag("mla_use_output_gate", False):
        gate = OutputGate(hidden=hidden, heads=latent.query_heads, width=latent.v_head_dim)
        attention = (latent, gate)
    settings = config.section("linear_attn_config")
    linear = _linear(settings or config, hidden, nested=settings is not None)
    kinds = _kinds(config, settings, layers)
    mixers = [attention if kind == "full" else (linear,) for kind in kinds]
    feed_forward = _feed_forward(config, hidden, layers)
    block = config.optional_size("attn_res_block_size", most=MOST_LAYERS)
    if block:
        return _with_residuals(config, mixers, feed_forward, block)
    return assemble(
        config,
        pre_norm_layers(mixers, [part for (part, *_) in feed_forward], hidden),
        hidden=hidden,
        tied=False,
        usable_context=_context(config, "kimi"),
    )


@family("kimi_k3", architectures=("KimiK3ForConditionalGeneration",))
def read_k3(config: Config) -> Architecture:
    """Read the language model of a Kimi-K3 configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Without the vision tower and the projector, which a warning names.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    config.ignore("ignore_index", "image_placeholder")
    return read_language_model(config, towers=("vision_config",), default="kimi_linear")


@family("bailing_hybrid", architectures=("BailingHybridForCausalLM",))
def read_ling(config: Config) -> Architecture:
    """Read a Ling 3.0 configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Linear layers at full rank, gated latent attention, experts.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden, layers = read_hidden(config), read_layers(config)
    own = config.size("linear_head_dim", default=config.size("head_dim", default=_HEAD_DIM))
    config.ignore(*_ARITHMETIC)
    latent = read_latent_attention(config, hidden)
    gate = OutputGate(hidden=hidden, heads=latent.query_heads)
    linear = KimiDeltaAttention(
        hidden=hidden,
        heads=config.size("linear_num_heads", default=latent.query_heads),
        head_dim=own,
        conv_kernel=config.size("linear_conv_kernel_dim", "short_conv_kernel_size", default=4),
    )
    group = config.size("layer_group_size", default=6, most=MOST_LAYERS)
    by_rule = ["full" if (i + 1) % group == 0 else "linear" for i in range(layers)]
    kinds = read_kinds(config, layers) or by_rule
    mixers: list[tuple[Part, ...]] = [
        (latent, gate) if kind == "full" else (linear,) for kind in kinds
    ]
    experts = read_mixture(config, hidden, correction_bias=True)
    feed_forward = read_feed_forward(config, experts, read_sparse(config, layers, dense=2))
    (drafting,) = pre_norm_layers([(latent, gate)], feed_forward[-1:], hidden)
    return assemble(
        config,
        pre_norm_layers(mixers, feed_forward, hidden),
        hidden=hidden,
        tied=False,
        usable_context=_context(config, "ling"),
        mtp=read_mtp(config, drafting, hidden, "num_nextn_predict_layers", "num_mtp_layers"),
    )


def _context(config: Config, family_name: str) -> int:
    names = ("model_max_length", "max_position_embeddings")
    return usable_context(config, *names, default=_CONTEXT_TOKENS[family_name])


def _linear(settings: Config, hidden: int, *, nested: bool) -> KimiDeltaAttention:
    """Return Kimi delta attention from a section of its own, or from fields beside the others."""
    names = ("num_heads", "head_dim", "short_conv_kernel_size")
    if not nested:
        names = ("linear_num_heads", "linear_head_dim", "linear_conv_kernel_dim")
    heads, head_dim, taps = (
        settings.size(name, default=default)
        for name, default in zip(names, (_HEADS, _HEAD_DIM, 4), strict=True)
    )
    full_rank = nested and settings.flag("use_full_rank_gate", False)
    if nested:
        settings.ignore("gate_lower_bound")
    return KimiDeltaAttention(
        hidden=hidden,
        heads=heads,
        head_dim=head_dim,
        decay_rank=head_dim,
        gate_rank=None if full_rank else head_dim,
        conv_kernel=taps,
    )


def _kinds(config: Config, settings: Config | None, layers: int) -> list[str]:
    """Return the kind of each layer; the two lists of a section count from 1 and share them all."""
    listed = read_kinds(config, layers)
    if settings is None:
        return listed or ["full" if i and i % 4 == 0 else "linear" for i in range(layers)]
    full = settings.entries("full_attn_layers") or ()
    linear = settings.entries("kda_layers") or ()
    places = [place for place in (*full, *linear) if type(place) is int]
    if sorted(places) != list(range(1, layers + 1)):
        settings.refuse(
            "full_attn_layers", f"with kda_layers, each layer from 1 to {layers:,} once"
        )
    return ["full" if layer in full else "linear" for layer in range(1, layers + 1)]


def _feed_forward(config: Config, hidden: int, layers: int) -> list[tuple[Part, ...]]:
    """Return the feed-forward part of each layer, and a norm within it where experts have one."""
    latent = config.optional_size("routed_expert_hidden_size") or 0
    experts = replace(read_mixture(config, hidden, correction_bias=True), latent=latent)
    normed = config.flag("latent_moe_use_norm", False) and latent
    inner = (InnerNorm(width=latent, name="routed_expert_norm"),) if normed else ()
    parts: Sequence[Dense | MixtureOfExperts] = read_feed_forward(
        config, experts, read_sparse(config, layers, dense=1)
    )
    return [(part, *inner) if part.kind == "moe" else (part,) for part in parts]


def _with_residuals(
    config: Config,
    mixers: Sequence[tuple[Part, ...]],
    feed_forward: Sequence[tuple[Part, ...]],
    block: int,
) -> Architecture:
    """Return layers whose inputs are weighed among the sums kept after every ``block`` layers."""
    hidden = read_hidden(config)
    before = Norm(kind="rms_norm", width=hidden, name="input_layernorm")
    between = Norm(kind="rms_norm", width=hidden, name="post_attention_layernorm")

    def residual(entries: int, name: str) -> AttentionResidual:
        return AttentionResidual(hidden=hidden, entries=entries, name=name)

    rows: list[tuple[Part, ...]] = []
    for layer, (mixer, parts) in enumerate(zip(mixers, feed_forward, strict=True)):
        kept = -(-layer // block)
        first, second = (
            residual(kept + 1, "self_attention_res"),
            residual(layer // block + 2, "mlp_res"),
        )
        rows.append((first, before, *mixer, second, between, *parts))
    decoder = assemble(
        config,
        named(rows),
        hidden=hidden,
        tied=False,
        usable_context=_context(config, "kimi"),
    )
    last = residual(-(-len(rows) // block) + 1, "output_attn_res")
    return replace(decoder, final=(last, *decoder.final))
