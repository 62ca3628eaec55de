"""RecurrentGemma (Griffin): recurrent blocks and windowed attention in a repeating pattern.

``intermediate_size`` is the width of both gate halves together and so halved inside. Defaults of
``RecurrentGemmaConfig`` that are taken: two recurrent blocks before each attention, windows of
2,048 tokens, 4 taps, half of each head rotated, a recurrence as wide as the residual stream, tied
embeddings.
"""

from __future__ import annotations

from planner.errors import UnsupportedConfigError
from planner.importers.config import Config
from planner.importers.decoder import assemble, read_heads, read_hidden, read_layers
from planner.importers.position import rotated_dim
from planner.importers.registry import Architecture, family
from planner.importers.stacks import pre_norm_layers
from planner.model.feed_forward import Dense
from planner.model.mixers.attention import Attention
from planner.model.mixers.linear_griffin import RgLru

_PATTERN = ("recurrent", "recurrent", "attention")
_WINDOW_TOKENS = 2048
_ROTATED = 0.5
_VOCABULARY = 256_000
_ARITHMETIC = (
    "logits_soft_cap", "w_init_variance_scale", "final_w_init_variance_scale",
    "embeddings_scale_by_sqrt_dim", "hidden_activation", "_block_types", "layer_types",
    "layers_block_type", "max_position_embeddings",
)  # fmt: skip


@family("recurrent_gemma", architectures=("RecurrentGemmaForCausalLM",))
def read(config: Config) -> Architecture:
    """Read a RecurrentGemma configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Nothing limits its context: windows and states forget.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden, layers = read_hidden(config), read_layers(config)
    config.ignore(*_ARITHMETIC)
    for name in ("rope_parameters", "rope_scaling"):
        rotation = config.section(name)
        if rotation is not None:
            rotation.require("rope_type", "default")
            rotation.ignore("rope_theta", "partial_rotary_factor")
    heads = read_heads(config, hidden)
    bias = config.flag("attention_bias", False)
    attention = Attention(
        hidden=hidden,
        query_heads=heads.query,
        kv_heads=heads.kv,
        head_dim=heads.dim,
        window=config.size("attention_window_size", "sliding_window", default=_WINDOW_TOKENS),
        qkv_bias=bias,
        output_bias=True,
        rotary_dim=rotated_dim(config, heads.dim, default=_ROTATED),
    )
    feed_forward = Dense(
        hidden=hidden, intermediate=config.size("intermediate_size", least=2) // 2, bias=True
    )
    recurrent = _recurrent(config, hidden, heads.query)
    return assemble(
        config,
        pre_norm_layers(
            [(recurrent if kind == "recurrent" else attention,) for kind in _kinds(config, layers)],
            [feed_forward] * layers,
            hidden,
        ),
        hidden=hidden,
        tied=True,
        usable_context=None,
        vocabulary=_VOCABULARY,
    )


def _recurrent(config: Config, hidden: int, blocks: int) -> RgLru:
    inner = config.optional_size("lru_width") or hidden
    if inner % blocks:
        config.refuse("lru_width", f"a multiple of the {blocks:,} heads")
    return RgLru(
        hidden=hidden,
        inner=inner,
        blocks=blocks,
        conv_kernel=config.size("conv1d_width", default=4),
    )


def _kinds(config: Config, layers: int) -> list[str]:
    pattern = config.entries("block_types") or _PATTERN
    unknown = [kind for kind in pattern if kind not in ("recurrent", "attention")]
    if unknown:
        raise UnsupportedConfigError(
            "a kind of layer that is not modelled here",
            where=config.place("block_types"),
            got=unknown[0],
            allowed="recurrent, attention",
        )
    return [str(pattern[layer % len(pattern)]) for layer in range(layers)]
