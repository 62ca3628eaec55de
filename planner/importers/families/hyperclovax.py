"""HyperCLOVA X: Llama's blocks with fixed multipliers, and a norm after each part as well.

Defaults of ``HyperCLOVAXConfig`` that are taken: no biases, norms after the parts.
"""

from __future__ import annotations

from planner.importers.config import Config
from planner.importers.dense_decoder import read_dense_decoder
from planner.importers.registry import Architecture, family


@family("hyperclovax", architectures=("HyperCLOVAXForCausalLM",))
def read(config: Config) -> Architecture:
    """Read a HyperCLOVA X configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Norms before each part, and after it where the file does not say otherwise.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    config.ignore(
        "attention_multiplier", "embedding_multiplier", "logits_scaling", "residual_multiplier",
    )  # fmt: skip
    bias = config.flag("attention_bias", False)
    return read_dense_decoder(
        config,
        form="around" if config.flag("use_post_norm", True) else "before",
        qkv_bias=bias,
        output_bias=bias,
        mlp_bias=config.flag("mlp_bias", False),
    )
