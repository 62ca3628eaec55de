"""Baichuan 1 and 2: multi-head attention, rotary in the 7B size, with ALiBi in the 13B size."""

from __future__ import annotations

from planner.importers.config import Config
from planner.importers.dense_decoder import read_dense_decoder
from planner.importers.registry import Architecture, family
from planner.model.bounds import MOST_CONTEXT_TOKENS

_CONTEXT_TOKENS = 4096


@family("baichuan", architectures=("BaichuanForCausalLM", "BaiChuanForCausalLM"))
def read_baichuan(config: Config) -> Architecture:
    """Read a Baichuan 1 or 2 configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Multi-head attention, rotary in the 7B size, with ALiBi in the 13B size.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    config.ignore("z_loss_weight")
    if "max_position_embeddings" in config:
        return read_dense_decoder(config)
    return read_dense_decoder(
        config,
        rotary=False,
        distance_bias="alibi",
        context=config.size("model_max_length", default=_CONTEXT_TOKENS, most=MOST_CONTEXT_TOKENS),
    )
