"""xLSTM-7B: mLSTM layers and gated feed-forward parts.

Defaults of ``xLSTMConfig`` that are taken: 8 heads, keys of half the hidden width and values of all
of it, a feed-forward part of 2.667 times it rounded up to a multiple of 64, chunks of 64, fp32
memories.
"""

from __future__ import annotations

from planner.importers.config import Config
from planner.importers.decoder import assemble
from planner.importers.recurrent import read_state_format
from planner.importers.registry import Architecture, family
from planner.importers.stacks import pre_norm_layers
from planner.model.bounds import MOST_LAYERS
from planner.model.feed_forward import Dense
from planner.model.mixers.linear_xlstm import MatrixLstm

_VOCABULARY = 50_304
_KERNELS = (
    "chunkwise_kernel", "sequence_kernel", "step_kernel", "mode", "return_last_states",
    "autocast_kernel_dtype", "eps", "gate_soft_cap", "output_logit_soft_cap", "weight_mode",
    "norm_reduction_force_float32", "max_inference_chunksize", "add_forward_backend_padding",
    "add_embedding_dropout", "mlstm_round_up_to_multiple_of", "force_bos_token_insert",
)  # fmt: skip


@family("xlstm", architectures=("xLSTMForCausalLM",))
def read(config: Config) -> Architecture:
    """Read an xLSTM configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        RMSNorm before each part; nothing limits its context.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    UnsupportedConfigError
        Norms with biases, or no last norm.
    """
    hidden = config.size("hidden_size", "embedding_dim")
    layers = config.size("num_hidden_layers", "num_blocks", most=MOST_LAYERS)
    config.ignore(*_KERNELS)
    config.require("use_bias", False)
    config.require("add_out_norm", True)
    heads = config.size("num_heads", default=8)
    keys, values = (
        int(hidden * config.number(f"{side}_dim_factor", share))
        for side, share in (("qk", 0.5), ("v", 1.0))
    )
    if keys % heads or values % heads or not keys or not values:
        config.refuse("num_heads", f"a divisor of {keys:,} and of {values:,}")
    mixer = MatrixLstm(
        hidden=hidden,
        heads=heads,
        key_dim=keys // heads,
        value_dim=values // heads,
        chunk=config.size("chunk_size", default=64),
        state_format=read_state_format(config, "fp32"),
    )
    multiple = config.size("ffn_round_up_to_multiple_of", default=64)
    stretched = hidden * config.number("ffn_proj_factor", 2.667)
    wide = max(1, int((stretched + multiple - 1) // multiple)) * multiple
    return assemble(
        config,
        pre_norm_layers(
            [(mixer,)] * layers, [Dense(hidden=hidden, intermediate=wide)] * layers, hidden
        ),
        hidden=hidden,
        tied=False,
        usable_context=None,
        vocabulary=_VOCABULARY,
    )
