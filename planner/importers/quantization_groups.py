"""Lists of modules with a format of their own: config_groups and quantized_layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

from planner.errors import UnsupportedConfigError
from planner.importers.config import Config
from planner.importers.module_patterns import ModulePatterns

Named = tuple[tuple[ModulePatterns, str], ...]

_ALGORITHMS = {
    "FP8": "fp8_tensor",
    "NVFP4": "nvfp4",
    "W4A16_NVFP4": "nvfp4_w4a16",
    "MXFP8": "mxfp8",
    "MXFP4": "mxfp4",
    "FP8_PB_WO": "fp8_block",
}


def read_layers(section: Config) -> Named:
    """Return the formats that ``quantized_layers`` gives to single modules.

    Parameters
    ----------
    section : Config
        The section on quantisation.

    Returns
    -------
    tuple of pairs
        Modules and the name of their format.

    Raises
    ------
    UnsupportedConfigError
        A format whose bytes are not modelled.

    Examples
    --------
    >>> layers = {"model.layers.0.mlp.up_proj": {"quant_algo": "FP8"}}
    >>> [name for _, name in read_layers(Config({"quantized_layers": layers}, "config.json"))]
    ['fp8_tensor']
    """
    by_format: dict[str, list[str]] = {}
    for module, how in section.mapping("quantized_layers").items():
        algorithm = how.get("quant_algo") if isinstance(how, Mapping) else None
        name = _ALGORITHMS.get(str(algorithm))
        if name is None:
            _unsupported(section, "quantized_layers", algorithm, ", ".join(_ALGORITHMS))
        by_format.setdefault(name, []).append(module)
    place = section.place("quantized_layers")
    return tuple((ModulePatterns(entries, place), name) for name, entries in by_format.items())


def read_groups(section: Config) -> tuple[str | None, Named]:
    """Return the format of all linear layers and those of single modules.

    Parameters
    ----------
    section : Config
        A section of compressed-tensors.

    Returns
    -------
    tuple
        The name of a format or None, and modules with the name of theirs.

    Raises
    ------
    UnsupportedConfigError
        A format whose bytes are not modelled; names the field.
    """
    layout = section.text("format")
    groups = section.section("config_groups")
    if groups is None:
        _unsupported(section, "config_groups", None, "groups of targets with their weights")
    default: str | None = None
    named: list[tuple[ModulePatterns, str]] = []
    for key in section.mapping("config_groups"):
        group = groups.section(key)
        if group is None:
            continue
        group.ignore("output_activations")
        name = _group_format(group, group.text("format") or layout)
        targets = [str(target) for target in group.entries("targets") or ()]
        if "Linear" in targets:
            default = name
        modules = [target for target in targets if target != "Linear"]
        if modules:
            named.append((ModulePatterns(modules, group.place("targets")), name))
    return default, tuple(named)


def _group_format(group: Config, layout: str | None) -> str:
    weights = group.section("weights")
    if weights is None:
        _unsupported(group, "weights", None, "type, num_bits and strategy of the weights")
    inputs = group.mapping("input_activations")
    weights.ignore(
        "dynamic", "observer", "observer_kwargs", "scale_dtype", "zp_dtype", "name", "targets"
    )
    bits = weights.size("num_bits", least=2, most=8)
    kind = weights.text("type")
    strategy = weights.text("strategy")
    size = weights.optional_size("group_size", least=-1)
    block = weights.entries("block_structure")
    weights.require("actorder", None, False, True, "group", "static", "weight", "dynamic")
    indexed = weights.given("actorder") and not weights.is_any(
        "actorder", False, "static", "weight"
    )
    symmetric = weights.flag("symmetric", True)
    if kind == "float" and bits == 8:
        return _float8(weights, strategy, size, block, static=inputs.get("dynamic") is False)
    if kind == "float" and bits == 4 and size in (16, 32):
        if size == 32:
            return "mxfp4"
        return "nvfp4" if inputs else "nvfp4_w4a16"
    if kind == "int" and layout != "pack-quantized" and bits == 8:
        return "int8_channel_bf16"
    if kind == "int" and layout == "pack-quantized" and bits in (2, 4, 8):
        columns = "all" if strategy == "channel" or size in (None, -1) else str(size)
        zero = "" if symmetric else "_zero"
        return f"packed{bits}_g{columns}{zero}{'_index' if indexed else ''}"
    _unsupported(group, "weights", f"{kind} of {bits} bits", "float of 8 or 4 bits, int of 8, 4, 2")


def _float8(
    weights: Config,
    strategy: str | None,
    size: int | None,
    block: tuple[object, ...] | None,
    *,
    static: bool,
) -> str:
    if strategy == "channel":
        return "fp8_channel_bf16"
    if strategy == "block" or block is not None:
        rows, columns = block if block is not None and len(block) == 2 else (128, 128)
        if not all(isinstance(n, int) and 0 < n < 2**16 for n in (rows, columns)):
            weights.refuse("block_structure", "two sizes, as in [128, 128]")
        return f"fp8_block_{rows}x{columns}_bf16"
    if strategy == "group" and size == 32:
        return "mxfp8"
    if strategy in ("tensor", None):
        return "fp8_tensor_bf16" if static else "fp8_tensor_bf16_dynamic"
    _unsupported(weights, "strategy", strategy, "tensor, channel, block, or group of 32")


def _unsupported(section: Config, name: str, value: object, allowed: str) -> NoReturn:
    raise UnsupportedConfigError(
        "a quantisation whose bytes are not modelled",
        where=section.place(name),
        got=value,
        allowed=allowed,
        fix="Name a format with --weights to plan the model in that one.",
    )
