"""Phi-3-small: LayerNorm, biases everywhere, block-sparse attention on every second layer.

Block-sparse layers keep all keys and values; their products are counted as if they were dense,
which a warning says. Defaults of ``Phi3SmallConfig`` that are taken: tied embeddings.
"""

from __future__ import annotations

from planner.importers.config import Config
from planner.importers.decoder import read_hidden
from planner.importers.dense_decoder import read_dense_decoder
from planner.importers.registry import Architecture, family
from planner.model.norm import Norm


@family("phi3small", architectures=("Phi3SmallForCausalLM",))
def read(config: Config) -> Architecture:
    """Read a Phi-3-small configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Grouped-query attention, gated feed-forward parts.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    config.ignore("blocksparse_block_size", "blocksparse_homo_head_pattern")
    config.ignore("blocksparse_num_local_blocks", "blocksparse_triton_kernel_block_size")
    config.ignore("blocksparse_vert_stride", "pad_sequence_to_multiple_of_64", "attention_bias")
    config.ignore("attention_dropout_prob", "embedding_dropout_prob", "ffn_dropout_prob")
    config.ignore("gegelu_limit", "gegelu_pad_to_256", "ff_dim_multiplier", "dummy_token_indices")
    config.ignore("mup_attn_multiplier", "mup_embedding_multiplier", "mup_use_scaling")
    config.ignore("mup_width_multiplier", "rope_position_scale", "rope_embedding_base")
    if config.optional_size("dense_attention_every_n_layers"):
        config.warn(
            "The products of block-sparse attention layers are counted as those of dense ones: an "
            "upper bound. Their keys and values are all kept, as the model does."
        )
    return read_dense_decoder(
        config,
        intermediate=config.size("ff_intermediate_size"),
        qkv_bias=True,
        output_bias=True,
        mlp_bias=True,
        tied=True,
        norm=Norm(kind="layer_norm", width=read_hidden(config)),
    )
