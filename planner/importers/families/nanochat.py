"""nanochat: norms without weights, plain feed-forward blocks."""

from __future__ import annotations

from dataclasses import replace

from planner.importers.config import Config
from planner.importers.decoder import read_hidden
from planner.importers.dense_decoder import read_dense_decoder
from planner.importers.registry import Architecture, family
from planner.model.norm import Norm


@family("nanochat", architectures=("NanoChatForCausalLM",))
def read_nanochat(config: Config) -> Architecture:
    """Read a nanochat configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Norms without weights, also right after the token table; plain feed-forward blocks.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    bias = config.flag("attention_bias", False)
    norm = Norm(kind="rms_norm", width=read_hidden(config), weight=False)
    read = read_dense_decoder(
        config, qkv_bias=bias, output_bias=bias, gated=False, norm=norm, qk_norm="weightless"
    )
    return replace(read, initial=(replace(norm, name="embedding_norm"),))
