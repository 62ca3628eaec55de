"""StableLM 1 to 2: LayerNorm, a part of each head rotated, gated feed-forward parts.

Defaults of ``StableLmConfig`` that are taken: a quarter of each head rotated, no biases but those
of norms, untied embeddings.
"""

from __future__ import annotations

from planner.importers.config import Config
from planner.importers.decoder import read_heads, read_hidden
from planner.importers.dense_decoder import read_dense_decoder
from planner.importers.position import rotated_dim
from planner.importers.registry import Architecture, family
from planner.model.norm import Norm

_ROTATED_FRACTION = 0.25


@family("stablelm", "stablelm_epoch", architectures=("StableLmForCausalLM",))
def read(config: Config) -> Architecture:
    """Read a StableLM configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Both parts behind one norm where they run side by side.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden = read_hidden(config)
    heads = read_heads(config, hidden)
    return read_dense_decoder(
        config,
        form="beside" if config.flag("use_parallel_residual", False) else "before",
        heads=heads,
        qkv_bias=config.flag("use_qkv_bias", False),
        norm=Norm(kind="layer_norm", width=hidden),
        qk_norm="full" if config.flag("qk_layernorm", False) else "none",
        rotary_dim=rotated_dim(config, heads.dim, "rope_pct", default=_ROTATED_FRACTION),
    )
