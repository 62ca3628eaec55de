"""How a configuration says the published weights are stored."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from planner.errors import UnsupportedConfigError
from planner.importers.config import Config
from planner.importers.quantization_methods import Quantisation, read_method
from planner.model import Checkpoint, Model
from planner.model.schemes import Stored, assign, standing
from planner.model.tensor import Tensor

_DTYPES = {
    "bfloat16": "bf16",
    "float16": "fp16",
    "half": "fp16",
    "float32": "fp32",
    "float": "fp32",
}
_SECTIONS = ("quantization_config", "compression_config")
_MATRICES = frozenset({"linear", "expert", "head", "embedding"})
_CACHE_SCHEME = (
    "dynamic", "type", "group_size", "strategy", "symmetric", "observer", "observer_kwargs",
    "actorder", "block_structure", "scale_dtype", "zp_dtype",
)  # fmt: skip
_NEVER_QUANTISED = frozenset({"eh_proj.weight"})


def read_checkpoint(
    config: Config, model: Model, dtype: str | None, *, weights_given: bool
) -> Checkpoint:
    """Return how the published weights are stored.

    Parameters
    ----------
    config : Config
        The configuration.
    model : Model
        The model that it describes, whose tensors the lists of modules are matched with.
    dtype : str or None
        Format where the file does not name one; bf16 with a warning without it.
    weights_given : bool
        Whether the person named a format, so that the file's own does not matter.

    Returns
    -------
    Checkpoint
        The format of the weights and, if some are quantised, which and how.

    Raises
    ------
    UnsupportedConfigError
        A method of quantisation whose bytes are not modelled; names the field.
    """
    base = _base(config, dtype)
    holder = _holder(config)
    if weights_given:
        holder.ignore(*_SECTIONS, "expert_dtype")
        return Checkpoint(dtype=base)
    section = _section(holder)
    if section is None:
        holder.require("expert_dtype", None)
        return Checkpoint(dtype=base)
    brought = brought_cache(section)
    return replace(apply(read_method(section, holder), model, base, section), cache=brought)


def brought_cache(section: Config) -> Literal["fp8", "nvfp4"] | None:
    """Return the format of keys and values that a checkpoint brings scales for.

    Parameters
    ----------
    section : Config
        The section on quantisation.

    Returns
    -------
    {"fp8", "nvfp4"} or None
        None where nothing is said.

    Examples
    --------
    >>> brought_cache(Config({"kv_cache_quant_algo": "FP8"}, "config.json"))
    'fp8'
    """
    bits = None
    if section.is_text("kv_cache_scheme"):
        named = section.text("kv_cache_scheme")
    else:
        named = section.text("kv_cache_quant_algo")
        scheme = section.section("kv_cache_scheme")
        if scheme is not None:
            bits = scheme.number("num_bits", 8)
            scheme.ignore(*_CACHE_SCHEME)
    if named == "NVFP4" or bits == 4:
        return "nvfp4"
    return "fp8" if named == "FP8" or bits == 8 else None


def _section(config: Config) -> Config | None:
    for name in _SECTIONS:
        found = config.section(name)
        if found is not None:
            return found
    return None


def apply(said: Quantisation, model: Model, base: str, section: Config) -> Checkpoint:
    """Return the storage of each tensor under a method of quantisation.

    Parameters
    ----------
    said : Quantisation
        What the configuration says.
    model : Model
        The model.
    base : str
        Format of what is not quantised.
    section : Config
        Takes the warnings.

    Returns
    -------
    Checkpoint
        The most common format, and rules for the tensors that have another.
    """
    stored: dict[tuple[int | None, str], Stored] = {}
    named = False
    for layer, tensor in standing(model):
        if tensor.role not in _MATRICES or len(tensor.shape) < 2:
            continue
        chosen, by_name = _format(said, base, layer, tensor)
        stored[layer, tensor.name] = Stored(chosen)
        named = named or by_name
    if said.named and not named:
        section.warn(
            "The modules that the configuration lists as quantised are not those of the model; "
            "their weights are counted unquantised."
        )
    found = assign(model, base, stored)
    return Checkpoint(dtype=base, quantised=found.quantised, roles=found.roles, rules=found.rules)


def _format(said: Quantisation, base: str, layer: int | None, tensor: Tensor) -> tuple[str, bool]:
    for patterns, name in said.named:
        if patterns.match(layer, tensor):
            return name, True
    if tensor.name in _NEVER_QUANTISED or said.exempt.match(layer, tensor):
        return base, False
    return said.by_role.get(tensor.role, base), False


def _holder(config: Config) -> Config:
    """Return the configuration, or its language model's section where that tells the storage."""
    if any(name in config for name in _SECTIONS):
        return config
    return config.section("text_config") or config


def declared_dtype(config: Config) -> str | None:
    """Return the format of the weights that a file names, if it names one.

    Parameters
    ----------
    config : Config
        The configuration, or its language model's section.

    Returns
    -------
    str or None
        A format of weights.

    Raises
    ------
    UnsupportedConfigError
        A format that is not modelled.

    Examples
    --------
    >>> declared_dtype(Config({"dtype": "bfloat16"}, "config.json"))
    'bf16'
    """
    for name in ("torch_dtype", "dtype"):
        said = config.text(name)
        if said is None:
            continue
        said = said.removeprefix("torch.")
        if said not in _DTYPES:
            raise UnsupportedConfigError(
                "a format of weights that is not modelled",
                where=config.place(name),
                got=said,
                allowed=", ".join(_DTYPES),
            )
        return _DTYPES[said]
    return None


def _base(config: Config, dtype: str | None) -> str:
    base = declared_dtype(config) or dtype
    if base is None:
        config.warn(
            "The configuration does not say in which format the weights are stored; bf16 is "
            "assumed."
        )
    return base or "bf16"
