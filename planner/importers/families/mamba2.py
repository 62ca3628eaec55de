"""Mamba-2 as transformers writes it, and both Mambas as their authors do.

Defaults of ``Mamba2Config`` are another model's and none of its figures is taken but the kernel of
the convolution, the chunk and the biases. The authors' files name only what differs from their
modules: ``Mamba2`` has a state of 128, heads of 64 and one group, ``Mamba1`` (which files do not
name) a state of 16 and time steps made of a sixteenth of the hidden width, both an inner width of
twice the hidden one; they round the vocabulary up to a multiple of 8 or 16 and tie the embeddings.
"""

from __future__ import annotations

from dataclasses import replace

from planner.errors import UnsupportedConfigError
from planner.importers.config import Config
from planner.importers.decoder import assemble, read_hidden, read_layers
from planner.importers.recurrent import TIME_STEPS, read_auto
from planner.importers.registry import Architecture, family
from planner.model import Layer
from planner.model.mixers.state_space import Mamba1, Mamba2
from planner.model.norm import Norm

_CONV_KERNEL = 4
_CHUNK_TOKENS = 256
_STATE_DIM = 128
_HEAD_DIM = 64
_EXPANSION = 2
_VOCABULARY_MULTIPLE = 8


@family("mamba2", architectures=("Mamba2ForCausalLM",))
def read(config: Config) -> Architecture:
    """Read a Mamba-2 configuration as transformers writes it.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        RMSNorm and a state-space mixer per layer; nothing limits its context.

    Raises
    ------
    SpecError
        A figure is missing or unusable, or heads and width contradict each other.
    """
    hidden = read_hidden(config)
    config.require("rms_norm", True)
    config.ignore(*TIME_STEPS, "time_step_rank", "intermediate_size", "norm_before_gate")
    mixer = Mamba2(
        hidden=hidden,
        heads=config.size("num_heads"),
        head_dim=config.size("head_dim"),
        groups=config.size("n_groups"),
        state_dim=config.size("state_size"),
        conv_kernel=config.size("conv_kernel", default=_CONV_KERNEL),
        chunk=config.size("chunk_size", default=_CHUNK_TOKENS),
        bias=config.flag("use_bias", False),
        conv_bias=config.flag("use_conv_bias", True),
    )
    inner = hidden * config.size("expand", default=_EXPANSION)
    if inner != mixer.heads * mixer.head_dim:
        config.refuse("num_heads", f"{inner:,} / head_dim, as expand and hidden_size say")
    return _decoder(config, mixer, tied=False)


@family("mamba_ssm", signature=("d_model", "n_layer", "ssm_cfg"))
def read_original(config: Config) -> Architecture:
    """Read a Mamba or Mamba-2 configuration as its authors write it.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        As above.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    UnsupportedConfigError
        Layers of another kind, or attention among them.
    """
    hidden = read_hidden(config)
    config.require("rms_norm", True)
    config.require("d_intermediate", 0)
    config.require("attn_layer_idx", [])
    config.require("attn_cfg", {})
    settings = config.section("ssm_cfg") or Config({}, config.where)
    layer = settings.text("layer", "Mamba1")
    if layer not in ("Mamba1", "Mamba2"):
        raise UnsupportedConfigError(
            "a kind of layer that is not modelled here",
            where=settings.place("layer"),
            got=layer,
            allowed="Mamba1, Mamba2",
        )
    mixer = _mamba1(settings, hidden) if layer == "Mamba1" else _mamba2(settings, hidden)
    multiple = config.size("pad_vocab_size_multiple", default=_VOCABULARY_MULTIPLE)
    rows = -(-config.size("vocab_size") // multiple) * multiple
    decoder = _decoder(config, mixer, tied=config.flag("tie_embeddings", True))
    return replace(
        decoder,
        embedding=replace(decoder.embedding, vocabulary=rows),
        head=replace(decoder.head, vocabulary=rows),
    )


def _mamba1(settings: Config, hidden: int) -> Mamba1:
    settings.ignore("dt_min", "dt_max", "dt_init", "dt_scale", "dt_init_floor", "use_fast_path")
    return Mamba1(
        hidden=hidden,
        inner=hidden * settings.size("expand", default=_EXPANSION),
        state_dim=settings.size("d_state", default=16),
        rank=read_auto(settings, "dt_rank", -(-hidden // 16)),
        conv_kernel=settings.size("d_conv", default=_CONV_KERNEL),
        bias=settings.flag("bias", False),
        conv_bias=settings.flag("conv_bias", True),
    )


def _mamba2(settings: Config, hidden: int) -> Mamba2:
    head_dim = settings.size("headdim", default=_HEAD_DIM)
    inner = hidden * settings.size("expand", default=_EXPANSION)
    if inner % head_dim:
        settings.refuse("headdim", f"a divisor of the inner width, {inner:,}")
    return Mamba2(
        hidden=hidden,
        heads=inner // head_dim,
        head_dim=head_dim,
        groups=settings.size("ngroups", default=1),
        state_dim=settings.size("d_state", default=_STATE_DIM),
        conv_kernel=settings.size("d_conv", default=_CONV_KERNEL),
        chunk=settings.size("chunk_size", default=_CHUNK_TOKENS),
    )


def _decoder(config: Config, mixer: Mamba1 | Mamba2, *, tied: bool) -> Architecture:
    if isinstance(mixer, Mamba2) and mixer.heads % mixer.groups:
        config.refuse("n_groups", f"a divisor of the {mixer.heads:,} heads")
    norm = Norm(kind="rms_norm", width=mixer.hidden, name="norm")
    return assemble(
        config,
        [Layer("mamba" if mixer.kind == "mamba1" else "mamba2", (norm, mixer))]
        * read_layers(config),
        hidden=mixer.hidden,
        tied=tied,
        usable_context=None,
    )
