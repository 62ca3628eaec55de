"""MiniCPM 1 and 4, dense or with experts: Llama's blocks with scaled arithmetic.

The family's own class ties embeddings where the file does not say so.
"""

from __future__ import annotations

from planner.importers.config import Config
from planner.importers.decoder import read_experts, read_hidden
from planner.importers.dense_decoder import read_dense_decoder
from planner.importers.registry import Architecture, family


@family("minicpm", architectures=("MiniCPMForCausalLM",))
def read(config: Config) -> Architecture:
    """Read a MiniCPM 1 or 4 configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Llama's, with scaled embeddings, residuals and logits.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    config.ignore("scale_emb", "scale_depth", "dim_model_base", "mup_denominator")
    config.require("sparse_config", None)
    bias = config.flag("attention_bias", False)
    experts = None
    if config.optional_size("num_experts", least=0):
        width = config.size("intermediate_size")
        experts = read_experts(config, read_hidden(config), intermediate=width)
    return read_dense_decoder(config, experts=experts, qkv_bias=bias, output_bias=bias, tied=True)
