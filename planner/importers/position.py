"""How far the positions of a model reach: the context it is good for."""

from __future__ import annotations

from collections.abc import Iterable

from planner.errors import UnsupportedConfigError
from planner.importers.config import Config
from planner.importers.registry import Architecture
from planner.model.bounds import MOST_CONTEXT_TOKENS
from planner.model.part import Part
from planner.model.position import Positions, Rotary

_SCALINGS = {
    None: "default",
    "default": "default",
    "linear": "linear",
    "dynamic": "dynamic",
    "yarn": "yarn",
    "llama3": "llama3",
    "longrope": "longrope",
    "su": "longrope",
    "ntk": "ntk",
    "mrope": "default",
    "proportional": "proportional",
}
"""Rotations of queries and keys; none changes bytes or FLOP."""

_FULL, _SLIDING = _KINDS = ("full_attention", "sliding_attention")
_BASES = {
    _FULL: ("rope_theta", "rotary_emb_base", "global_rope_theta"),
    _SLIDING: ("rope_local_base_freq", "local_rope_theta"),
}

_ROTATED = ("qk_rope_head_dim", "rotary_dim", "head_dim")
"""What says how much of a head turns, the first that a mixer has."""

_ROTATION = (
    "factor", "original_max_position_embeddings", "max_position_embeddings", "low_freq_factor",
    "high_freq_factor", "beta_fast", "beta_slow", "mscale", "mscale_all_dim", "attention_factor",
    "short_factor", "long_factor", "short_mscale", "long_mscale", "truncate", "rope_theta",
    "partial_rotary_factor", "llama_4_scaling_beta", "mrope_section", "mrope_interleaved",
    "interleaved", "use_scaled_rope",
)  # fmt: skip


def usable_context(config: Config, *names: str, default: int | None = None) -> int:
    """Return the tokens that positions are declared good for.

    Parameters
    ----------
    config : Config
        The configuration.
    *names : str
        Fields that declare it; ``max_position_embeddings`` without any.
    default : int, optional
        Value of a missing field. [tokens]

    Returns
    -------
    int
        As declared; a scaling that would reach further leaves a warning. [tokens]

    Raises
    ------
    SpecError
        Missing, or out of range.
    UnsupportedConfigError
        A scaling of positions that is not known.

    Examples
    --------
    >>> usable_context(Config({"max_position_embeddings": 8192}, "config.json"))
    8192
    """
    declared = config.size(
        *(names or ("max_position_embeddings",)), default=default, most=MOST_CONTEXT_TOKENS
    )
    config.ignore("original_max_position_embeddings")
    for name in ("rope_scaling", "rope_parameters"):
        section = config.section(name)
        if section is not None:
            _check_scaling(section, declared)
    return declared


def _check_scaling(section: Config, declared: int) -> None:
    kinds = [name for name in _KINDS if name in section]
    if kinds:
        for name in kinds:
            rotation = section.section(name)
            if rotation is not None:
                _check_scaling(rotation, declared)
        return
    name = "rope_type" if section.text("rope_type") else "type"
    kind = section.text("rope_type") or section.text("type")
    if kind not in _SCALINGS:
        raise UnsupportedConfigError(
            "a scaling of positions that is not known",
            where=section.place(name),
            got=kind,
            allowed=", ".join(filter(None, _SCALINGS)),
        )
    section.ignore("type", "rope_type")
    if _SCALINGS[kind] == "yarn":
        _warn_beyond(section, declared)
    section.ignore(*_ROTATION)


def _warn_beyond(section: Config, declared: int) -> None:
    original = section.number("original_max_position_embeddings", declared)
    reach = int(section.number("factor", 1.0) * original)
    if reach > declared:
        section.warn(
            f"YaRN would stretch the positions to {reach:,} tokens; the configuration declares "
            f"{declared:,}, which is used."
        )


def rotated_dim(config: Config, head_dim: int, *names: str, default: float) -> int | None:
    """Return how much of each head is rotated by position.

    Parameters
    ----------
    config : Config
        The configuration.
    head_dim : int
        Width of a head. [elements]
    *names : str
        Further names of the fraction.
    default : float
        Fraction where the file does not say it. [1]

    Returns
    -------
    int or None
        Rotated elements; None for the whole head. [elements]

    Raises
    ------
    SpecError
        Not a fraction.

    Examples
    --------
    >>> rotated_dim(Config({"partial_rotary_factor": 0.4}, "config.json"), 80, default=0.5)
    32
    """
    section = config.section("rope_parameters")
    fraction = section.number("partial_rotary_factor", default) if section else default
    for name in ("partial_rotary_factor", *names):
        fraction = config.number(name, fraction)
        if not 0 < fraction <= 1:
            config.refuse(name, "above 0 and up to 1")
    rotated = int(head_dim * fraction)
    return rotated if 0 < rotated < head_dim else None


def read_positions(config: Config, architecture: Architecture) -> Positions:
    """Return what the usable context of a network rests on.

    Parameters
    ----------
    config : Config
        The configuration, or its language model's section, after a family has read it.
    architecture : Architecture
        What the family made of it.

    Returns
    -------
    Positions
        Rotary positions with their scaling, one for each kind of layer; else what stands for them.

    Raises
    ------
    SpecError
        A figure of the scaling is unusable.

    Examples
    --------
    >>> from planner.importers.families.llama import read
    >>> llama = Config(
    ...     {
    ...         "hidden_size": 512,
    ...         "num_attention_heads": 8,
    ...         "num_hidden_layers": 2,
    ...         "intermediate_size": 1024,
    ...         "vocab_size": 1000,
    ...         "max_position_embeddings": 8192,
    ...         "rope_scaling": {"type": "linear", "factor": 4.0},
    ...     },
    ...     "config.json",
    ... )
    >>> read_positions(llama, read(llama)).basis()
    'Declared: 8,192 tokens; rotary positions (base 10,000, every angle divided by 4).'
    """
    declared = architecture.usable_context
    parts = [part for layer in architecture.layers for part in layer.parts]
    dims = _rotated_dims(parts)
    if dims:
        rotations = dict.fromkeys(
            _rotation(config, kind, dim, architecture) for kind, dim in dims.items()
        )
        return Positions(kind="rotary", declared=declared, rotations=tuple(rotations))
    if architecture.embedding.positions:
        return Positions(kind="learned", declared=declared)
    biases = {getattr(part, "distance_bias", "none") for part in parts} - {"none"}
    if biases:
        return Positions(kind="alibi" if "alibi" in biases else "relative", declared=declared)
    return Positions(kind="none", declared=declared)


def _rotated_dims(parts: Iterable[Part]) -> dict[str, int]:
    """Rotated elements of a head in layers that see everything, and in those with a window."""
    dims: dict[str, int] = {}
    for part in parts:
        kind = _FULL if getattr(part, "window", None) is None else _SLIDING
        turns = getattr(part, "rotary", getattr(part, "rotary_dim", None))
        dim = next(filter(None, (getattr(part, name, None) for name in _ROTATED)), None)
        if turns and dim:
            dims.setdefault(kind, int(dim))
    return dims


def _rotation(config: Config, kind: str, dim: int, architecture: Architecture) -> Rotary:
    silent, declared = architecture.rotary, architecture.usable_context
    section = config.section("rope_parameters") or config.section("rope_scaling")
    flat = section is not None and not any(name in section for name in _KINDS)
    if section is not None and not flat:
        section = section.section(kind)
    base = silent.base
    for name in _BASES[_FULL]:
        base = positive(config, name, base)
    if kind == _SLIDING:
        base = silent.window_base or base
        for name in _BASES[_SLIDING]:
            base = positive(config, name, base)
    if section is None:
        return Rotary(dim=dim, base=base)
    base = positive(section, "rope_theta", base)
    said = section.text("rope_type") or section.text("type")
    scaling = _SCALINGS.get(said, "default")
    if scaling == "default" or (kind == _SLIDING and flat and not silent.scaled_windows):
        return Rotary(dim=dim, base=base)
    return _scaled(config, section, Rotary(dim=dim, base=base), scaling, declared)


def _scaled(
    config: Config, section: Config, plain: Rotary, scaling: str, declared: int | None
) -> Rotary:
    original = section.optional_size(
        "original_max_position_embeddings", most=MOST_CONTEXT_TOKENS
    ) or config.optional_size("original_max_position_embeddings", most=MOST_CONTEXT_TOKENS)
    if original is None and scaling in ("yarn", "llama3", "longrope", "dynamic"):
        original = declared
    whole = declared / original if declared and original else 1.0
    rotated = None
    dim = plain.dim
    if scaling == "proportional":
        rotated = int(positive(section, "partial_rotary_factor", 1.0) * dim)
    given = section.number("attention_factor", 0.0)
    return Rotary(
        dim=dim,
        base=plain.base,
        scaling=scaling,  # type: ignore[arg-type]
        factor=positive(section, "factor", whole if scaling in ("yarn", "longrope") else 1.0),
        original=original,
        rotated=rotated,
        beta_fast=positive(section, "beta_fast", 32.0),
        beta_slow=positive(section, "beta_slow", 1.0),
        truncate=section.flag("truncate", True),
        mscale=abs(section.number("mscale", 0.0)),
        mscale_all_dim=abs(section.number("mscale_all_dim", 0.0)),
        low_freq_factor=positive(section, "low_freq_factor", 1.0),
        high_freq_factor=positive(section, "high_freq_factor", 4.0),
        short_factors=_factors(section, "short_factor"),
        long_factors=_factors(section, "long_factor"),
        attention_factor_given=abs(given) or None,
    )


def positive(config: Config, name: str, default: float) -> float:
    """Return a number above zero.

    Parameters
    ----------
    config : Config
        The section.
    name : str
        The field.
    default : float
        Value of a missing field. [as the field]

    Returns
    -------
    float
        As the file says. [as the field]

    Raises
    ------
    SpecError
        Not a number, or none above zero.

    Examples
    --------
    >>> positive(Config({}, "config.json"), "rope_theta", 1e4)
    10000.0
    """
    number = config.number(name, default)
    if not number > 0:
        config.refuse(name, "a number above 0")
    return number


def _factors(section: Config, name: str) -> tuple[float, ...]:
    factors = section.entries(name) or ()
    if any(isinstance(f, bool) or not isinstance(f, int | float) or f <= 0 for f in factors):
        section.refuse(name, "a list of numbers above 0")
    return tuple(float(f) for f in factors if isinstance(f, int | float))
