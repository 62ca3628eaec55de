"""Trinity (AFMoE) and K-EXAONE: fine experts, three windows before each layer that sees all.

Defaults of the classes that are taken: Trinity has one dense layer, two shared experts, windows in
three of four layers, norms on both sides of attention and experts, and a gate on what was attended;
the bias that corrects its router counts as a parameter, as in its class. K-EXAONE has one dense
layer, one shared expert and windows in three of four layers.
"""

from __future__ import annotations

from dataclasses import replace

from planner.importers.config import Config
from planner.importers.decoder import read_hidden, read_layers
from planner.importers.experts import read_feed_forward, read_mixture, read_sparse
from planner.importers.grouped import expert_decoder, read_grouped_attention, read_windowed
from planner.importers.registry import Architecture, family
from planner.model.bounds import MOST_LAYERS

_FULL_EVERY = 4
_HEAD_DIM = 128


@family("afmoe", architectures=("AfmoeForCausalLM",))
def read(config: Config) -> Architecture:
    """Read a Trinity configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Dense layers first, then routed and shared experts.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden, layers = read_hidden(config), read_layers(config)
    config.ignore("mup_enabled", "load_balance_coeff", "use_grouped_mm")
    attention = replace(
        read_grouped_attention(config, hidden, head_dim=_HEAD_DIM, qk_norm="head"),
        output_gate="element",
    )
    step = config.size("global_attn_every_n_layers", default=_FULL_EVERY, most=MOST_LAYERS)
    pattern = [(layer + 1) % step != 0 for layer in range(layers)]
    mixers = [
        replace(part, rotary=part.window is not None)
        for part in read_windowed(config, attention, layers, pattern=pattern)
    ]
    dense = config.size("num_dense_layers", default=1, least=0, most=MOST_LAYERS)
    experts = replace(read_mixture(config, hidden, shared=2), router_bias=True)
    feed_forward = read_feed_forward(config, experts, [layer >= dense for layer in range(layers)])
    return expert_decoder(
        config, [(part,) for part in mixers], feed_forward, hidden, norms="around"
    )


@family("exaone_moe", architectures=("ExaoneMoeForCausalLM", "ExaoneMoEForCausalLM"))
def read_exaone(config: Config) -> Architecture:
    """Read a K-EXAONE configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        One dense layer, then routed and shared experts.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden, layers = read_hidden(config), read_layers(config)
    config.ignore("is_moe_layer", "mtp_layer_type")
    attention = read_grouped_attention(config, hidden, qk_norm="head")
    pattern = _read_pattern(config, layers)
    mixers = read_windowed(config, attention, layers, pattern=pattern)
    experts = read_mixture(config, hidden, shared=1, correction_bias=True)
    feed_forward = read_feed_forward(config, experts, read_sparse(config, layers, dense=1))
    return expert_decoder(config, [(part,) for part in mixers], feed_forward, hidden)


def _read_pattern(config: Config, layers: int) -> list[bool]:
    """Return which layers have a window, from a period or from letters such as ``"LLLG"``."""
    if not config.given("sliding_window"):
        config.ignore("sliding_window_pattern")
        return [False] * layers
    if config.is_text("sliding_window_pattern"):
        letters = config.text("sliding_window_pattern") or ""
        if not letters or set(letters) - set("LG"):
            config.refuse("sliding_window_pattern", "letters L and G")
        return [letters[layer % len(letters)] == "L" for layer in range(layers)]
    step = config.size("sliding_window_pattern", default=_FULL_EVERY, most=MOST_LAYERS)
    return [(layer + 1) % step != 0 for layer in range(layers)]
