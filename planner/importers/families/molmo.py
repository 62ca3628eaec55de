"""Molmo: Qwen2's decoder with 128 further tokens; its file does not describe the vision tower.

``intermediate_size`` is the width of both gate halves together. Defaults of ``MolmoConfig`` that
are taken: RMSNorm before each part, untied embeddings.
"""

from __future__ import annotations

from dataclasses import replace

from planner.importers.config import Config
from planner.importers.decoder import read_hidden
from planner.importers.dense_decoder import read_dense_decoder
from planner.importers.registry import Architecture, family
from planner.model.projection import Table

_HALVES = 2
_FURTHER_TOKENS = 128


@family("molmo", architectures=("MolmoForCausalLM",))
def read(config: Config) -> Architecture:
    """Read the language model of a Molmo configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Without the vision tower, which a warning says.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    both = config.size("intermediate_size")
    if both % _HALVES:
        config.refuse("intermediate_size", "an even number: the width of both gate halves")
    for name in ("attention_layer_norm", "norm_after", "weight_tying"):
        config.require(name, False)
    config.require("layer_norm_type", "rms")
    config.ignore("clip_qkv", "use_position_ids")
    config.warn(
        "Only the language model is planned: the file does not describe the vision tower, nor what "
        "joins it to the language model."
    )
    decoder = read_dense_decoder(
        config,
        intermediate=both // _HALVES,
        qkv_bias=config.flag("qkv_bias", False),
        vocabulary=config.size("embedding_size", "vocab_size"),
    )
    further = Table(
        name="new_embedding", shape=(_FURTHER_TOKENS, read_hidden(config)), role="embedding"
    )
    return replace(decoder, initial=(further,))
