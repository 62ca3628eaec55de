"""How a configuration says the published weights are stored."""

from __future__ import annotations

from typing import NoReturn

from planner.errors import UnsupportedConfigError
from planner.importers.config import Config
from planner.model import Checkpoint

_DTYPES = {
    "bfloat16": "bf16",
    "float16": "fp16",
    "half": "fp16",
    "float32": "fp32",
    "float": "fp32",
}
_OVERRIDE = "Name a format with --weights to plan the model in that one."

_NEVER_QUANTISED = (
    "lm_head", "embed_tokens", "wte", "gate", "router", "shared_expert_gate", "score",
    "e_score_correction_bias", "vision_tower", "multi_modal_projector", "visual", "vision_model",
)  # fmt: skip
"""Last words of module names that hold none of the matrices a format would be applied to."""


def read_checkpoint(config: Config, dtype: str | None, *, weights_given: bool) -> Checkpoint:
    """Return how the published weights are stored.

    Parameters
    ----------
    config : Config
        The configuration.
    dtype : str or None
        Format where the file does not name one; bf16 with a warning without it.
    weights_given : bool
        Whether the person named a format, so that the file's own does not matter.

    Returns
    -------
    Checkpoint
        The format of the weights and, if some are quantised, theirs.

    Raises
    ------
    UnsupportedConfigError
        A method of quantisation whose bytes are not modelled; names ``quant_method``.

    Examples
    --------
    >>> read_checkpoint(
    ...     Config({"torch_dtype": "float16"}, "config.json"), None, weights_given=False
    ... ).dtype
    'fp16'
    """
    base = _base(config, dtype)
    holder = _holder(config)
    if weights_given:
        holder.ignore("quantization_config", "compression_config", "expert_dtype")
        return Checkpoint(dtype=base)
    section = holder.section("quantization_config")
    if section is None:
        return Checkpoint(dtype=base)
    method = section.text("quant_method")
    if method is None and section.text("quant_algo"):
        method = "modelopt"
    match method:
        case "fp8":
            return _fp8(section, base)
        case "fbgemm_fp8":
            section.ignore("activation_scale_ub")
            _check_exempt(section, "modules_to_not_convert", frozenset())
            return Checkpoint(dtype=base, quantised="fp8")
        case "mxfp4":
            _check_exempt(section, "modules_to_not_convert", frozenset({"self_attn"}))
            return Checkpoint(dtype=base, quantised="mxfp4", roles=("expert",))
        case "modelopt":
            return _modelopt(section, base)
    _unsupported(section, "quant_method", method)


def _holder(config: Config) -> Config:
    """Return the configuration, or its language model's section where that tells the storage."""
    if "quantization_config" in config:
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


def _fp8(section: Config, base: str) -> Checkpoint:
    section.ignore("fmt", "scale_fmt", "activation_scheme", "dequantize")
    _check_exempt(section, "modules_to_not_convert", frozenset())
    block = section.entries("weight_block_size")
    if block is None:
        return Checkpoint(dtype=base, quantised="fp8_tensor")
    if block != (128, 128):
        _unsupported(section, "weight_block_size", list(block))
    return Checkpoint(dtype=base, quantised="fp8_block")


def _modelopt(section: Config, base: str) -> Checkpoint:
    algorithm = section.text("quant_algo")
    if algorithm != "FP8":
        _unsupported(section, "quant_algo", algorithm)
    section.ignore("config_groups", "producer", "quant_method")
    if section.given("kv_cache_scheme") or section.given("kv_cache_quant_algo"):
        section.warn(
            "The checkpoint brings scales for an fp8 cache; name it with --kv-cache-dtype to plan "
            "with it."
        )
    _check_exempt(section, "ignore", frozenset())
    return Checkpoint(dtype=base, quantised="fp8_tensor")


def _check_exempt(section: Config, name: str, also: frozenset[str]) -> None:
    """Raise if a matrix that the format is counted for is exempt from it."""
    for entry in section.entries(name) or ():
        module = str(entry).removeprefix("re:").rstrip(".*").rpartition(".")[2]
        if module.endswith("norm") or module in _NEVER_QUANTISED or module in also:
            continue
        raise UnsupportedConfigError(
            "some layers keep another format, which is not modelled",
            where=section.place(name),
            got=entry,
            fix=_OVERRIDE,
        )


def _unsupported(section: Config, name: str, value: object) -> NoReturn:
    raise UnsupportedConfigError(
        "a quantisation whose bytes are not modelled yet",
        where=section.place(name),
        got=value,
        allowed="fp8 in tensors or 128×128 blocks, fbgemm_fp8, mxfp4, modelopt FP8",
        fix=_OVERRIDE,
    )
