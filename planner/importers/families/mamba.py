"""Mamba and Falcon Mamba, as transformers writes them.

Defaults of ``MambaConfig`` that are taken: a state of 16, 4 taps, an inner width of twice the
hidden one, time steps made of a sixteenth of the hidden width, a bias of the convolution only,
50,280 tokens of vocabulary, tied embeddings. Falcon Mamba also normalises time steps, B and C,
without weights.
"""

from __future__ import annotations

from planner.importers.config import Config
from planner.importers.decoder import assemble, read_hidden, read_layers
from planner.importers.recurrent import TIME_STEPS, read_auto
from planner.importers.registry import Architecture, family
from planner.model import Layer
from planner.model.mixers.state_space import Mamba1
from planner.model.norm import Norm

_VOCABULARY = 50_280
_EXPANSION = 2


@family("mamba", "falcon_mamba", architectures=("MambaForCausalLM", "FalconMambaForCausalLM"))
def read(config: Config) -> Architecture:
    """Read a Mamba configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        RMSNorm and a selective state space per layer; nothing limits its context.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden = read_hidden(config)
    config.ignore(*TIME_STEPS, "mixer_rms_eps")
    config.require("rms_norm", True)
    config.require("layer_types", None, ["linear_attention"] * read_layers(config))
    expanded = hidden * config.size("expand", default=_EXPANSION)
    inner = config.size("intermediate_size", "d_inner", default=expanded)
    mixer = Mamba1(
        hidden=hidden,
        inner=inner,
        state_dim=config.size("state_size", "d_state", default=16),
        rank=read_auto(config, "time_step_rank", -(-hidden // 16)),
        conv_kernel=config.size("conv_kernel", default=4),
        bias=config.flag("use_bias", False),
        conv_bias=config.flag("use_conv_bias", True),
    )
    norm = Norm(kind="rms_norm", width=hidden, name="norm")
    return assemble(
        config,
        [Layer("mamba", (norm, mixer))] * read_layers(config),
        hidden=hidden,
        tied=True,
        usable_context=None,
        vocabulary=_VOCABULARY,
    )
