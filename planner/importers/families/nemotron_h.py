"""Nemotron-H and Nemotron 3: one mixer or feed-forward part per layer, in a listed order.

A layer is Mamba-2 (``M``), attention (``*``), a plain feed-forward part (``-``) or experts (``E``),
each behind one norm; ``num_hidden_layers`` counts all of them. Experts may work on a narrower
latent. Defaults of ``NemotronHConfig`` that are taken: heads of 128, no positions, 8 groups, chunks
of 128, squared ReLU without a gate, fp32 states.
"""

from __future__ import annotations

from collections.abc import Callable

from planner.importers.config import Config
from planner.importers.decoder import assemble, read_hidden
from planner.importers.position import usable_context
from planner.importers.recurrent import TIME_STEPS, read_kinds, read_state_format
from planner.importers.registry import Architecture, family
from planner.importers.stacks import named
from planner.model import Layer
from planner.model.bounds import MOST_LAYERS
from planner.model.feed_forward import Dense, MixtureOfExperts
from planner.model.mixers.attention import Attention
from planner.model.mixers.state_space import Mamba2
from planner.model.multi_token import MultiTokenProjection
from planner.model.norm import Norm
from planner.model.part import Part

_LETTERS = {"M": "mamba", "*": "attention", "-": "mlp", "E": "moe"}
_WORDS = {
    "mamba": "mamba",
    "linear_attention": "mamba",
    "attention": "attention",
    "full_attention": "attention",
    "mlp": "mlp",
    "moe": "moe",
}
_CONTEXT_TOKENS = 4096
_DRAFTED = ("attention", "moe")
_ARITHMETIC = (
    "mlp_hidden_act", "residual_in_fp32", "rescale_prenorm_residual", "use_mamba_kernels",
    "n_group", "topk_group", "norm_topk_prob", "routed_scaling_factor", "partial_rotary_factor",
    "rope_theta", "moe_shared_expert_overlap", "moe_router_dtype", "rope_scaling",
    "rope_parameters", "norm_eps", "mamba_d_conv", "max_sequence_length", "expand",
)  # fmt: skip


@family("nemotron_h", "nemotron_h_puzzle", architectures=("NemotronHForCausalLM",))
def read(config: Config) -> Architecture:
    """Read a Nemotron-H or Nemotron 3 configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Layers of one part each, and layers for multi-token prediction beside them.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden = read_hidden(config)
    config.ignore(*_ARITHMETIC, *TIME_STEPS, "time_step_rank")
    kinds = _kinds(config)
    drafted = _listed(config, "mtp_layers_block_type", "mtp_hybrid_override_pattern")
    readers: dict[str, Callable[[Config, int], Part]] = {
        "mamba": _mamba,
        "attention": _attention,
        "mlp": _dense,
        "moe": _experts,
    }
    parts: dict[str, Part] = {
        kind: readers[kind](config, hidden) for kind in dict.fromkeys([*kinds, *(drafted or ())])
    }
    _skip_unused(config, parts)
    norm = Norm(kind="rms_norm", width=hidden, name="norm")
    return assemble(
        config,
        named([(norm, parts[kind]) for kind in kinds]),
        hidden=hidden,
        tied=False,
        usable_context=usable_context(config, default=_CONTEXT_TOKENS),
        mtp=_mtp(
            config, [parts[kind] for kind in drafted or ("attention", "moe") if kind in parts]
        ),
    )


def _kinds(config: Config) -> list[str]:
    layers = config.optional_size("num_hidden_layers", most=MOST_LAYERS)
    kinds = _listed(config, "layers_block_type", "hybrid_override_pattern", "layer_types")
    if kinds is None:
        config.refuse("hybrid_override_pattern", "one letter of M, *, - and E per layer")
    if layers is not None and len(kinds) != layers:
        config.refuse("num_hidden_layers", f"{len(kinds):,}, as the list of layers says")
    return kinds


def _listed(config: Config, *names: str) -> list[str] | None:
    """Return kinds of layers from a list of words or a row of letters."""
    for name in names:
        if config.is_text(name):
            letters = config.text(name) or ""
            if not letters or len(letters) > MOST_LAYERS or set(letters) - set(_LETTERS):
                config.refuse(name, "letters M, *, - and E")
            return [_LETTERS[letter] for letter in letters]
        entries = config.entries(name)
        if entries is not None:
            if len(entries) > MOST_LAYERS:
                config.refuse(name, f"at most {MOST_LAYERS:,} layers")
            return read_kinds(config, len(entries), name, words=_WORDS)
    return None


def _mamba(config: Config, hidden: int) -> Mamba2:
    heads = config.size("mamba_num_heads", default=128)
    groups = config.size("n_groups", "mamba_n_groups", default=8)
    if heads % groups:
        config.refuse("n_groups", f"a divisor of the {heads:,} heads")
    bias = config.flag("use_bias", False)
    config.require("mamba_proj_bias", bias)
    return Mamba2(
        hidden=hidden,
        heads=heads,
        head_dim=config.size("mamba_head_dim", default=64),
        groups=groups,
        state_dim=config.size("ssm_state_size", default=128),
        conv_kernel=config.size("conv_kernel", default=4),
        chunk=config.size("chunk_size", "mamba_chunk_size", default=128),
        bias=bias,
        conv_bias=config.flag("use_conv_bias", True),
        state_format=read_state_format(config, "fp32"),
    )


def _attention(config: Config, hidden: int) -> Attention:
    query = config.size("num_attention_heads")
    kv = config.optional_size("num_key_value_heads") or query
    if query % kv:
        config.refuse("num_key_value_heads", f"a divisor of the {query:,} query heads")
    bias = config.flag("attention_bias", False)
    return Attention(
        hidden=hidden,
        query_heads=query,
        kv_heads=kv,
        head_dim=config.size("head_dim", "attention_head_dim", default=128),
        window=config.optional_size("sliding_window"),
        qkv_bias=bias,
        output_bias=bias,
        rotary=False,
    )


def _dense(config: Config, hidden: int) -> Dense:
    return Dense(
        hidden=hidden,
        intermediate=config.size("intermediate_size"),
        gated=False,
        bias=config.flag("mlp_bias", False),
    )


def _experts(config: Config, hidden: int) -> MixtureOfExperts:
    experts = config.size("n_routed_experts", "num_local_experts", "num_experts")
    config.require("mlp_bias", False)
    config.ignore("n_shared_experts")
    return MixtureOfExperts(
        hidden=hidden,
        intermediate=config.size("moe_intermediate_size"),
        experts=experts,
        top_k=config.size("num_experts_per_tok", most=experts),
        gated=False,
        shared_intermediate=config.size("moe_shared_expert_intermediate_size", least=0, default=0),
        correction_bias=True,
        latent=config.optional_size("moe_latent_size", least=0) or 0,
    )


def _skip_unused(config: Config, parts: dict[str, Part]) -> None:
    """Count fields of kinds of layers that do not occur as understood."""
    fields = {
        "mamba": ("mamba_num_heads", "mamba_head_dim", "ssm_state_size", "conv_kernel", "n_groups",
                  "chunk_size", "use_bias", "use_conv_bias", "mamba_proj_bias"),
        "attention": ("num_attention_heads", "num_key_value_heads", "head_dim",
                      "attention_head_dim", "sliding_window", "attention_bias"),
        "mlp": ("intermediate_size", "mlp_bias"),
        "moe": ("n_routed_experts", "num_local_experts", "num_experts", "moe_intermediate_size",
                "num_experts_per_tok", "moe_shared_expert_intermediate_size", "n_shared_experts",
                "moe_latent_size"),
    }  # fmt: skip
    for kind, names in fields.items():
        if kind not in parts:
            config.ignore(*names)


def _mtp(config: Config, parts: list[Part]) -> tuple[Layer, ...]:
    """Return each layer for multi-token prediction: a projection and one layer per listed kind."""
    count = config.optional_size("num_nextn_predict_layers", least=0, most=MOST_LAYERS) or 0
    if not count or not parts:
        return ()
    hidden = read_hidden(config)
    norm = Norm(kind="rms_norm", width=hidden, name="norm")
    rows = [part for own in parts for part in (norm, own)]
    last = Norm(kind="rms_norm", width=hidden, name="final_layernorm")
    return (Layer("mtp", (MultiTokenProjection(hidden=hidden), *rows, last)),) * count
