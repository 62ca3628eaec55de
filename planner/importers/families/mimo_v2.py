"""MiMo-V2-Flash: windows with more KV heads than full layers, values narrower than keys.

The published files name each kind of layer in ``hybrid_layer_pattern`` (1 for a window) and give
window layers figures of their own, ``swa_…``; the class lists ``layer_types`` and doubles the KV
heads of window layers, which alone have sinks.
"""

from __future__ import annotations

from dataclasses import replace

from planner.importers.config import Config
from planner.importers.decoder import read_hidden, read_layer_types, read_layers
from planner.importers.experts import read_feed_forward, read_mixture, read_sparse
from planner.importers.grouped import expert_decoder, read_grouped_attention
from planner.importers.registry import Architecture, family
from planner.model.mixers.attention import Attention

_FULL_EVERY = 6
_ROTARY_SHARE = 0.334


@family(
    "mimo_v2_flash",
    "mimo_v2",
    architectures=("MiMoV2FlashForCausalLM", "MiMoV2ForCausalLM"),
)
def read(config: Config) -> Architecture:
    """Read a MiMo-V2 configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        One dense layer and then experts, none shared.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden, layers = read_hidden(config), read_layers(config)
    config.ignore("attention_value_scale", "attention_chunk_size", "swa_rope_theta")
    full = replace(
        read_grouped_attention(config, hidden, output_bias=False, rotary_share=_ROTARY_SHARE),
        value_dim=config.size("v_head_dim"),
        sinks=config.flag("add_full_attention_sink_bias", False),
    )
    sliding = _sliding(config, full)
    sparse = read_sparse(config, layers, dense=1)
    experts = read_mixture(config, hidden, correction_bias=True)
    feed_forward = read_feed_forward(config, experts, sparse)
    mixers = [(sliding if slides else full,) for slides in _read_sliding(config, layers)]
    return expert_decoder(config, mixers, feed_forward, hidden)


def _sliding(config: Config, full: Attention) -> Attention:
    past = config.optional_size("sliding_window_size")
    window = config.optional_size("sliding_window") or past
    if window is None:
        config.refuse("sliding_window", "a number of tokens")
    return replace(
        full,
        window=window,
        query_heads=config.size("swa_num_attention_heads", default=full.query_heads),
        kv_heads=config.size("swa_num_key_value_heads", default=2 * full.kv_heads),
        head_dim=config.size("swa_head_dim", default=full.head_dim),
        value_dim=config.size("swa_v_head_dim", default=full.values),
        sinks=config.flag("add_swa_attention_sink_bias", True),
    )


def _read_sliding(config: Config, layers: int) -> list[bool]:
    listed = read_layer_types(config, layers)
    if listed is not None:
        config.ignore("hybrid_layer_pattern", "hybrid_block_size")
        return list(listed)
    config.ignore("hybrid_block_size")
    flags = config.listed("hybrid_layer_pattern", (0, 1), layers)
    if flags is None:
        return [layer > 0 and (layer + 1) % _FULL_EVERY != 0 for layer in range(layers)]
    return [bool(flag) for flag in flags]
