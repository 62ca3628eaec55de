"""GPT-Neo: learned positions, every second layer with a window, no biases on the way in.

Defaults of ``GPTNeoConfig`` that are taken: windows of 256 tokens, an inner width of four times the
hidden one, tied embeddings.
"""

from __future__ import annotations

from dataclasses import replace

from planner.errors import UnsupportedConfigError
from planner.importers.config import Config
from planner.importers.decoder import Heads, read_hidden, read_layers
from planner.importers.dense_decoder import read_dense_decoder
from planner.importers.registry import Architecture, family
from planner.model.norm import Norm

_WINDOW_TOKENS = 256
_KINDS = {"global": False, "local": True}


@family("gpt_neo", architectures=("GPTNeoForCausalLM",))
def read(config: Config) -> Architecture:
    """Read a GPT-Neo configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        LayerNorm, multi-head attention, plain feed-forward parts.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden = read_hidden(config)
    query = config.size("num_heads", "num_attention_heads")
    if hidden % query:
        config.refuse("num_heads", f"a divisor of the hidden width, {hidden:,}")
    window = config.size("window_size", default=_WINDOW_TOKENS)
    positions = config.size("max_position_embeddings")
    config.ignore("resid_dropout", "embed_dropout")
    decoder = read_dense_decoder(
        config,
        heads=Heads(query, query, hidden // query),
        intermediate=config.optional_size("intermediate_size") or 4 * hidden,
        gated=False,
        output_bias=True,
        mlp_bias=True,
        tied=True,
        rotary=False,
        windows=[window if local else None for local in _local_layers(config)],
        context=positions,
        norm=Norm(kind="layer_norm", width=hidden),
    )
    return replace(decoder, embedding=replace(decoder.embedding, positions=positions))


def _local_layers(config: Config) -> list[bool]:
    """Return which layers have a window, from a list, or from patterns with how often each runs."""
    layers = read_layers(config)
    kinds: list[object] = list(config.entries("attention_layers") or ())
    for entry in config.entries("attention_types") or () if not kinds else ():
        match entry:
            case [[*pattern], int(times)] if 0 < times <= layers:
                kinds += pattern * times
            case _:
                config.refuse("attention_types", "pairs of a pattern and how often it runs")
    config.ignore("attention_types")
    kinds = kinds or ["global", "local"] * (layers // 2 + 1)
    if len(kinds) < layers:
        config.refuse("attention_types", f"patterns for each of the {layers:,} layers")
    for kind in kinds:
        if kind not in _KINDS:
            raise UnsupportedConfigError(
                "a kind of layer that is not modelled here",
                where=config.place("attention_types"),
                got=kind,
                allowed=" or ".join(_KINDS),
            )
    return [_KINDS[str(kind)] for kind in kinds[:layers]]
