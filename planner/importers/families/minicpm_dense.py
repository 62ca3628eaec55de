"""MiniCPM 1 and 4, dense: Llama's blocks with scaled arithmetic.

The family's own class ties embeddings where the file does not say so.
"""

from __future__ import annotations

from planner.importers.config import Config
from planner.importers.dense_decoder import read_dense_decoder
from planner.importers.registry import Architecture, family


@family("minicpm", architectures=("MiniCPMForCausalLM",))
def read_minicpm(config: Config) -> Architecture:
    """Read a dense MiniCPM 1 or 4 configuration, whose class ties embeddings by default.

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
    return read_dense_decoder(config, qkv_bias=bias, output_bias=bias, tied=True)
