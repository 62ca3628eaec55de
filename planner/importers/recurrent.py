"""What configurations of recurrent and hybrid models have in common."""

from __future__ import annotations

from collections.abc import Mapping

from planner.errors import UnsupportedConfigError
from planner.importers.config import Config
from planner.model.mixers.recurrence import StateFormat
from planner.model.mixers.state_space import Mamba1, Mamba2

MIXER_KINDS = {
    "linear_attention": "linear",
    "mamba": "linear",
    "recurrent": "linear",
    "conv": "linear",
    "full_attention": "full",
    "attention": "full",
    "sliding_attention": "sliding",
    "hybrid": "hybrid",
}
"""Words for kinds of layers, in old and new files."""

_STATE_FORMATS: Mapping[str, StateFormat] = {
    "float32": "fp32",
    "bfloat16": "bf16",
    "float16": "fp16",
    "auto": "stream",
}
_STATE_FIELDS = ("mamba_ssm_dtype", "mamba_ssm_cache_dtype", "inference_state_dtype")

TIME_STEPS = (
    "time_step_floor", "time_step_limit", "time_step_max", "time_step_min", "time_step_scale",
    "time_step_init_scheme", "use_mamba_kernels", "use_mambapy", "use_falcon_mambapy",
    "use_associative_scan", "use_mem_eff_path", "num_logits_to_keep", "mamba_dt_min",
    "mamba_dt_max", "mamba_dt_limit", "mamba_dt_init_floor", "hidden_mamba_act",
    "mamba_hidden_act",
)  # fmt: skip
"""How time steps start and which kernel runs: the same bytes and FLOP in every variant."""


def read_kinds(
    config: Config,
    layers: int,
    *names: str,
    words: Mapping[str, str] = MIXER_KINDS,
) -> list[str] | None:
    """Return the kind of each layer, where the file lists them.

    Parameters
    ----------
    config : Config
        The configuration.
    layers : int
        Number of layers. [1]
    *names : str
        Fields that may hold the list; ``layer_types`` and ``layers_block_type`` without any.
    words : mapping
        Kinds by the words for them.

    Returns
    -------
    list of str or None
        One entry per layer; None where the file has no list.

    Raises
    ------
    SpecError
        The list has another length.
    UnsupportedConfigError
        It names a kind of layer that is not known.

    Examples
    --------
    >>> read_kinds(Config({"layer_types": ["mamba", "attention"]}, "config.json"), 2)
    ['linear', 'full']
    """
    fields = names or ("layer_types", "layers_block_type")
    listed = [(name, config.entries(name)) for name in fields]
    found = [(name, entries) for name, entries in listed if entries is not None]
    if not found:
        return None
    name, entries = found[0]
    if len(entries) != layers:
        config.refuse(name, f"one entry for each of the {layers:,} layers")
    unknown = [entry for entry in entries if not isinstance(entry, str) or entry not in words]
    if unknown:
        raise UnsupportedConfigError(
            "a kind of layer that is not modelled here",
            where=config.place(name),
            got=unknown[0],
            allowed=", ".join(words),
        )
    return [words[str(entry)] for entry in entries]


def read_state_format(config: Config, default: StateFormat) -> StateFormat:
    """Return the format of recurrent states.

    Parameters
    ----------
    config : Config
        The configuration.
    default : {"stream", "fp32", "bf16", "fp16"}
        Where the file says nothing.

    Returns
    -------
    str
        As parts name it.

    Raises
    ------
    UnsupportedConfigError
        A format that is not known.

    Examples
    --------
    >>> read_state_format(Config({"mamba_ssm_dtype": "float32"}, "config.json"), "stream")
    'fp32'
    """
    for name in _STATE_FIELDS:
        said = config.text(name)
        if said is None:
            continue
        if said not in _STATE_FORMATS:
            raise UnsupportedConfigError(
                "a format of states that is not known",
                where=config.place(name),
                got=said,
                allowed=", ".join(_STATE_FORMATS),
            )
        return _STATE_FORMATS[said]
    return default


def read_auto(config: Config, name: str, value: int) -> int:
    """Return a figure that a file may leave to a rule by writing ``"auto"``.

    Parameters
    ----------
    config : Config
        The configuration.
    name : str
        The field.
    value : int
        What the rule gives. [1]

    Returns
    -------
    int
        The figure. [1]

    Raises
    ------
    SpecError
        Neither a figure nor ``"auto"``.

    Examples
    --------
    >>> read_auto(Config({"mamba_dt_rank": "auto"}, "config.json"), "mamba_dt_rank", 160)
    160
    """
    if config.is_text(name):
        if config.text(name) != "auto":
            config.refuse(name, 'a whole number or "auto"')
        return value
    return config.optional_size(name) or value


def read_mamba1(
    config: Config,
    hidden: int,
    *,
    prefix: str = "mamba_",
    heads: int = 1,
    norm: bool = False,
) -> Mamba1:
    """Return the Mamba mixer of a hybrid.

    Defaults that are taken: a state of 16, 4 taps, twice the hidden width, time steps made of a
    sixteenth of it, a bias of the convolution only.

    Parameters
    ----------
    config : Config
        The configuration.
    hidden : int
        Width of the residual stream. [elements]
    prefix : str
        What the names of its fields start with.
    heads : int
        Groups of channels with time steps, B and C of their own. [1]
    norm : bool
        Whether time steps, B and C are normalised with weights.

    Returns
    -------
    Mamba1
        The mixer.

    Raises
    ------
    SpecError
        A figure is unusable.

    Examples
    --------
    >>> read_mamba1(Config({"mamba_d_state": 16}, "config.json"), 4096).rank
    256
    """
    config.ignore(*TIME_STEPS)
    inner = hidden * config.size(f"{prefix}expand", default=2)
    if inner % heads:
        config.refuse("n_mamba_heads", f"a divisor of {inner:,}")
    return Mamba1(
        hidden=hidden,
        inner=inner,
        state_dim=config.size(f"{prefix}d_state", default=16),
        rank=read_auto(config, f"{prefix}dt_rank", -(-hidden // 16)),
        conv_kernel=config.size(f"{prefix}d_conv", default=4),
        heads=heads,
        bias=config.flag(f"{prefix}proj_bias", False),
        conv_bias=config.flag(f"{prefix}conv_bias", True),
        norm=norm,
    )


def read_mamba2(
    config: Config, hidden: int, *, inner: int | None = None, norm: bool = True
) -> Mamba2:
    """Return the Mamba-2 mixer of a hybrid whose fields start with ``mamba_``.

    Defaults that are taken: 128 heads as wide as they must be, one group, a state of 256, 4 taps,
    twice the hidden width, chunks of 256, a bias of the convolution only.

    Parameters
    ----------
    config : Config
        The configuration.
    hidden : int
        Width of the residual stream. [elements]
    inner : int, optional
        Width of all heads where the family has a field for it; the expansion's without it.
        [elements]
    norm : bool
        Whether a norm follows the gate.

    Returns
    -------
    Mamba2
        The mixer.

    Raises
    ------
    SpecError
        A figure is unusable, or heads and width contradict each other.

    Examples
    --------
    >>> config = Config({"mamba_n_heads": 48, "mamba_d_state": 128}, "config.json")
    >>> read_mamba2(config, 1536).head_dim
    64
    """
    config.ignore(*TIME_STEPS)
    expansion = config.size("mamba_expand", default=2)
    width = inner or hidden * expansion
    heads = config.size("mamba_n_heads", default=128)
    head_dim = read_auto(config, "mamba_d_head", width // heads or 1)
    groups = config.size("mamba_n_groups", default=1)
    if heads * head_dim != width:
        config.refuse("mamba_n_heads", f"{width:,} / mamba_d_head, as the inner width says")
    if heads % groups:
        config.refuse("mamba_n_groups", f"a divisor of the {heads:,} heads")
    return Mamba2(
        hidden=hidden,
        heads=heads,
        head_dim=head_dim,
        groups=groups,
        state_dim=config.size("mamba_d_state", default=256),
        conv_kernel=config.size("mamba_d_conv", default=4),
        chunk=config.size("mamba_chunk_size", default=256),
        bias=config.flag("mamba_proj_bias", False),
        conv_bias=config.flag("mamba_conv_bias", True),
        norm=norm,
        state_format=read_state_format(config, "fp32"),
    )
