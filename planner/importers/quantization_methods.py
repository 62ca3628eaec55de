"""Methods of quantisation: what each says about formats and about the modules it leaves alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NoReturn

from planner.errors import UnsupportedConfigError
from planner.importers.config import Config
from planner.importers.module_patterns import ModulePatterns
from planner.importers.quantization_groups import read_groups, read_layers
from planner.model.tensor import Role

OVERRIDE = "Name a format with --weights to plan the model in that one."
_MATRICES: tuple[Role, ...] = ("linear", "expert")
_ALL_IN_ONE = 2**31


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantisation:
    """What a configuration says about the storage of matrices.

    Parameters
    ----------
    by_role : mapping
        Format of the matrices of a role.
    exempt : ModulePatterns
        Modules that are left alone.
    named : tuple of pairs
        Modules that are in a format of their own; these come first.
    """

    by_role: Mapping[Role, str]
    exempt: ModulePatterns
    named: tuple[tuple[ModulePatterns, str], ...] = field(default=())


def read_method(section: Config, config: Config) -> Quantisation:
    """Return what a section on quantisation says.

    Parameters
    ----------
    section : Config
        The section.
    config : Config
        The whole configuration.

    Returns
    -------
    Quantisation
        Formats and exceptions.

    Raises
    ------
    UnsupportedConfigError
        A method or a field whose bytes are not modelled; names it.

    Examples
    --------
    >>> section = Config({"quant_method": "awq", "bits": 4, "group_size": 128}, "config.json")
    >>> read_method(section, section).by_role["linear"]
    'awq_g128'
    """
    method = section.text("quant_method")
    if method is None and section.text("quant_algo"):
        method = "modelopt"
    reader = _METHODS.get(method or "")
    if reader is None:
        unsupported(section, "quant_method", method, ", ".join(_METHODS))
    return reader(section, config)


def unsupported(section: Config, name: str, value: object, allowed: str) -> NoReturn:
    """Raise for a field whose bytes are not modelled.

    Parameters
    ----------
    section : Config
        The section.
    name : str
        The field.
    value : object
        What it says.
    allowed : str
        What is understood.

    Raises
    ------
    UnsupportedConfigError
        Always.
    """
    raise UnsupportedConfigError(
        "a quantisation whose bytes are not modelled",
        where=section.place(name),
        got=value,
        allowed=allowed,
        fix=OVERRIDE,
    )


def _exempt(section: Config, *names: str) -> ModulePatterns:
    entries = [str(entry) for name in names for entry in section.entries(name) or ()]
    return ModulePatterns(entries, section.place(names[0]))


def _everywhere(name: str) -> dict[Role, str]:
    return dict.fromkeys(_MATRICES, name)


_BROUGHT = (
    "The checkpoint brings scales for its cache. Engines use them; without an engine, name the "
    "format with --kv-cache-dtype."
)


def _group(section: Config, name: str, default: int) -> str:
    value = section.size(name, default=default, least=-1, most=_ALL_IN_ONE)
    if value == 0:
        section.refuse(name, "a size of groups, or -1 for whole columns")
    return "all" if value == -1 else str(value)


def _fp8(section: Config, config: Config) -> Quantisation:
    section.ignore(
        "fmt", "dequantize", "ignored_layers", "moe_quant_algo", "config_groups", "group_size",
        "producer", "quant_algo", "kv_cache_quant_algo",
    )  # fmt: skip
    static = section.text("activation_scheme") == "static"
    rounded = section.text("scale_fmt") == "ue8m0"
    block = section.entries("weight_block_size")
    named = read_layers(section)
    if named:
        section.ignore("ignore")
    if block is None:
        name = "fp8_tensor" if static else "fp8_tensor_dynamic"
    elif len(block) != 2 or not all(isinstance(n, int) and 0 < n < 2**16 for n in block):
        section.refuse("weight_block_size", "two sizes, as in [128, 128]")
    else:
        narrow = rounded and config.given("expert_dtype")
        name = f"fp8_block_{block[0]}x{block[1]}" + ("_e8m0" if narrow else "")
        name = name.replace("fp8_block_128x128", "fp8_block")
    formats = _everywhere(name)
    if config.text("expert_dtype") == "fp4":
        formats["expert"] = "mxfp4"
    return Quantisation(
        by_role=formats, exempt=_exempt(section, "modules_to_not_convert"), named=named
    )


def _fbgemm(section: Config, config: Config) -> Quantisation:
    del config
    section.ignore("activation_scale_ub")
    return Quantisation(
        by_role=_everywhere("fp8"), exempt=_exempt(section, "modules_to_not_convert")
    )


def _mxfp4(section: Config, config: Config) -> Quantisation:
    del config
    section.ignore("dequantize")
    return Quantisation(
        by_role={"expert": "mxfp4"}, exempt=_exempt(section, "modules_to_not_convert")
    )


def _gptq(section: Config, config: Config) -> Quantisation:
    del config
    section.ignore(
        "desc_act", "sym", "damp_percent", "static_groups", "true_sequential", "model_name_or_path",
        "model_file_base_name", "is_marlin_format", "checkpoint_format", "format", "pack_dtype",
        "meta", "quantizer", "backend", "use_exllama", "use_cuda_fp16", "exllama_config",
        "max_input_length", "cache_block_outputs", "batch_size", "model_seqlen", "dataset",
        "tokenizer", "block_name_to_quantize", "module_name_preceding_first_block", "mse",
        "damp_auto_increment", "quant_method", "version", "zero_point", "act_group_aware",
        "iters", "autoround_version", "amp", "seqlen", "nsamples", "low_gpu_mem_usage", "lr",
        "minmax_lr", "enable_quanted_input", "enable_minmax_tuning", "scale_dtype",
        "packing_format", "data_type", "gradient_accumulate_steps", "act_bits", "act_data_type",
    )  # fmt: skip
    bits = section.size("bits", "w_bit", default=4)
    if bits not in (2, 3, 4, 8):
        unsupported(section, "bits", bits, "2, 3, 4 or 8")
    name = f"gptq_{bits}_g{_group(section, 'group_size', 128)}"
    exempt = [str(entry) for entry in section.entries("modules_to_not_convert") or ()]
    named: list[tuple[ModulePatterns, str]] = []
    if section.flag("lm_head", False):
        named.append((ModulePatterns(["lm_head"], section.place("lm_head")), name))
    named += _overrides(section, bits, exempt)
    inside = section.entries("modules_in_block_to_quantize")
    for entry in inside or ():
        modules = [str(module) for module in (entry if isinstance(entry, list) else [entry])]
        place = section.place("modules_in_block_to_quantize")
        named.append((ModulePatterns(modules, place), name))
    return Quantisation(
        by_role={} if inside else _everywhere(name),
        exempt=ModulePatterns(exempt, section.place("modules_to_not_convert")),
        named=tuple(named),
    )


def _overrides(section: Config, bits: int, exempt: list[str]) -> list[tuple[ModulePatterns, str]]:
    """Return the modules with bits and groups of their own; those left alone join the others."""
    found = []
    for pattern, change in section.mapping("dynamic").items():
        if pattern.startswith("-:"):
            exempt.append(_expression(pattern.removeprefix("-:")))
            continue
        changed = change if isinstance(change, Mapping) else {}
        whole = {"bits": bits, "group_size": section.size("group_size", default=128, least=-1)}
        own = Config({**whole, **changed}, section.where, prefix="dynamic.")
        patterns = ModulePatterns(
            [_expression(pattern.removeprefix("+:"))], section.place("dynamic")
        )
        name = f"gptq_{own.size('bits', least=2, most=8)}_g{_group(own, 'group_size', 128)}"
        found.append((patterns, name))
    return found


def _expression(text: str) -> str:
    return text if text.startswith("re:") else f"re:.*{text.removeprefix('.*')}"


def _awq(section: Config, config: Config) -> Quantisation:
    del config
    section.ignore(
        "zero_point", "backend", "do_fuse", "exllama_config", "fuse_max_seq_len", "modules_to_fuse",
        "sym", "desc_act", "model_seqlen",
    )  # fmt: skip
    section.require("version", "gemm", "GEMM", "gemv", "GEMV", "gemv_fast", "exllama", None)
    bits = section.size("bits", "w_bit", default=4)
    if bits != 4:
        unsupported(section, "bits", bits, "4")
    group = section.optional_size("q_group_size", "group_size", least=-1)
    return Quantisation(
        by_role=_everywhere(f"awq_g{'all' if group == -1 else group or 128}"),
        exempt=_exempt(section, "modules_to_not_convert"),
    )


def _bitsandbytes(section: Config, config: Config) -> Quantisation:
    del config
    section.ignore(
        "bnb_4bit_compute_dtype", "bnb_4bit_quant_storage", "llm_int8_enable_fp32_cpu_offload",
        "llm_int8_has_fp16_weight", "llm_int8_threshold", "_load_in_4bit", "_load_in_8bit",
    )  # fmt: skip
    in_eight = section.flag("load_in_8bit", False)
    in_four = section.flag("load_in_4bit", False)
    if in_eight == in_four:
        section.refuse("load_in_4bit", "one of load_in_4bit and load_in_8bit")
    section.require("bnb_4bit_quant_type", "nf4", "fp4", None)
    double = section.flag("bnb_4bit_use_double_quant", False)
    name = "bnb_int8" if in_eight else "nf4_double" if double else "nf4"
    return Quantisation(
        by_role=_everywhere(name),
        exempt=_exempt(section, "llm_int8_skip_modules", "modules_to_not_convert"),
    )


def _hqq(section: Config, config: Config) -> Quantisation:
    del config
    how = section.section("quant_config")
    weights = how.section("weight_quant_params") if how is not None else None
    if how is None or weights is None:
        unsupported(section, "quant_config", None, "weight_quant_params with nbits and group_size")
    how.require("scale_quant_params", None)
    how.require("zero_quant_params", None)
    how.ignore("offload_meta")
    weights.ignore("axis", "channel_wise", "optimize", "round_zero", "view_as_float")
    bits = weights.size("nbits", default=4)
    if bits not in (1, 2, 3, 4, 8):
        unsupported(weights, "nbits", bits, "1, 2, 3, 4 or 8")
    return Quantisation(
        by_role=_everywhere(f"hqq{bits}_g{_group(weights, 'group_size', 64)}"),
        exempt=_exempt(section, "skip_modules"),
    )


def _aqlm(section: Config, config: Config) -> Quantisation:
    del config
    section.require("in_group_size", 8)
    section.require("out_group_size", 1)
    books = section.size("num_codebooks", default=1, most=9)
    bits = section.size("nbits_per_codebook", default=16, most=16)
    exempt = ModulePatterns(
        [
            str(entry).removesuffix(".weight")
            for entry in section.entries("linear_weights_not_to_quantize") or ()
        ],
        section.place("linear_weights_not_to_quantize"),
    )
    return Quantisation(by_role=_everywhere(f"aqlm_{books}x{bits}"), exempt=exempt)


def _exl(section: Config, config: Config) -> Quantisation:
    del config
    section.ignore("version", "calibration", "out_scales", "rope_scale", "codebook")
    method = section.text("quant_method")
    head = section.number("head_bits", 6)
    return Quantisation(
        by_role=_everywhere(f"{method}_{section.number('bits', 4):g}")
        | ({"head": f"{method}_{head:g}"} if head < 16 else {}),
        exempt=_exempt(section, "modules_to_not_convert"),
    )


def _modelopt(section: Config, config: Config) -> Quantisation:
    del config
    section.ignore("producer", "quant_method")
    if section.given("kv_cache_scheme") or section.given("kv_cache_quant_algo"):
        section.warn(_BROUGHT)
    named = read_layers(section)
    algorithm = section.text("quant_algo")
    section.ignore("config_groups", "group_size")
    known = {"FP8": "fp8_tensor", "NVFP4": "nvfp4", "W4A16_NVFP4": "nvfp4_w4a16",
             "MXFP8": "mxfp8", "FP8_PB_WO": "fp8_block", "FP8_PER_CHANNEL_PER_TOKEN": "fp8",
             "MIXED_PRECISION": None}  # fmt: skip
    if algorithm not in known or (algorithm == "MIXED_PRECISION" and not named):
        unsupported(section, "quant_algo", algorithm, ", ".join(known))
    default = known[algorithm]
    return Quantisation(
        by_role=_everywhere(default) if default else {},
        exempt=_exempt(section, "ignore", "exclude_modules"),
        named=named,
    )


def _compressed(section: Config, config: Config) -> Quantisation:
    del config
    section.ignore("global_compression_ratio", "quantization_status", "version", "quant_method")
    if section.given("kv_cache_scheme"):
        section.warn(_BROUGHT)
        section.ignore("kv_cache_scheme")
    default, named = read_groups(section)
    for name in ("sparsity_config", "transform_config"):
        section.require(name, None, {})
    return Quantisation(
        by_role=_everywhere(default) if default else {},
        exempt=_exempt(section, "ignore"),
        named=named,
    )


_METHODS: dict[str, Callable[[Config, Config], Quantisation]] = {
    "fp8": _fp8,
    "fbgemm_fp8": _fbgemm,
    "mxfp4": _mxfp4,
    "gptq": _gptq,
    "awq": _awq,
    "bitsandbytes": _bitsandbytes,
    "compressed-tensors": _compressed,
    "modelopt": _modelopt,
    "modelopt_fp4": _modelopt,
    "hqq": _hqq,
    "aqlm": _aqlm,
    "exl2": _exl,
    "exl3": _exl,
}
