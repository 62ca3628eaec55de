"""XGLM and BioGPT: decoders from fairseq, with biases everywhere and norms before each part.

Defaults of ``XGLMConfig`` and ``BioGptConfig`` that are taken: tied embeddings.
"""

from __future__ import annotations

from dataclasses import replace

from planner.importers.config import Config
from planner.importers.decoder import Heads, read_heads, read_hidden
from planner.importers.dense_decoder import read_dense_decoder
from planner.importers.registry import Architecture, family
from planner.model.norm import Norm

_SPARE_POSITIONS = 2


@family("xglm", "biogpt", architectures=("XGLMForCausalLM", "BioGptForCausalLM"))
def read(config: Config) -> Architecture:
    """Read an XGLM or BioGPT configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        BioGPT stores its positions, with two spare rows; XGLM computes sinusoids.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden = read_hidden(config)
    positions = config.size("max_position_embeddings")
    config.ignore("scale_embedding")
    stored = config.text("model_type") == "biogpt"
    if stored:
        heads = read_heads(config, hidden)
    else:
        query = config.size("attention_heads", "num_attention_heads")
        if hidden % query:
            config.refuse("attention_heads", f"a divisor of the hidden width, {hidden:,}")
        heads = Heads(query, query, hidden // query)
    decoder = read_dense_decoder(
        config,
        heads=heads,
        intermediate=config.size("intermediate_size", "ffn_dim"),
        gated=False,
        qkv_bias=True,
        output_bias=True,
        mlp_bias=True,
        tied=True,
        rotary=False,
        context=positions,
        norm=Norm(kind="layer_norm", width=hidden),
    )
    rows = positions + _SPARE_POSITIONS if stored else 0
    return replace(decoder, embedding=replace(decoder.embedding, positions=rows))
