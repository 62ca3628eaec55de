"""InternLM 1 and 2: Llama's blocks, biases on all four projections of attention in the first."""

from __future__ import annotations

from planner.importers.config import Config
from planner.importers.dense_decoder import read_dense_decoder
from planner.importers.registry import Architecture, family


@family("internlm", "internlm2", architectures=("InternLMForCausalLM", "InternLM2ForCausalLM"))
def read_internlm(config: Config) -> Architecture:
    """Read an InternLM 1 or 2 configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Biases on all four projections of attention where the file says ``bias``.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    bias = config.flag("bias", config.text("model_type") == "internlm")
    config.ignore("attn_implementation")
    return read_dense_decoder(config, qkv_bias=bias, output_bias=bias)
