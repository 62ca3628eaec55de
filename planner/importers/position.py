"""How far the positions of a model reach: the context it is good for."""

from __future__ import annotations

from planner.errors import UnsupportedConfigError
from planner.importers.config import Config
from planner.model.bounds import MOST_CONTEXT_TOKENS

_SCALINGS = {
    None: "default",
    "default": "default",
    "linear": "linear",
    "dynamic": "dynamic",
    "yarn": "yarn",
    "llama3": "llama3",
    "longrope": "longrope",
    "su": "longrope",
    "mrope": "default",
    "proportional": "proportional",
}
"""Rotations of queries and keys; none changes bytes or FLOP."""

_ROTATION = (
    "factor", "original_max_position_embeddings", "max_position_embeddings", "low_freq_factor",
    "high_freq_factor", "beta_fast", "beta_slow", "mscale", "mscale_all_dim", "attention_factor",
    "short_factor", "long_factor", "short_mscale", "long_mscale", "truncate", "rope_theta",
    "partial_rotary_factor", "llama_4_scaling_beta", "mrope_section", "mrope_interleaved",
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
    kinds = [name for name in ("full_attention", "sliding_attention") if name in section]
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
