"""Options of the command line that tell an engine what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from planner.errors import ScenarioError
from planner.units import parse_count

ENGINE_OPTIONS: tuple[tuple[tuple[str, ...], dict[str, Any]], ...] = (
    (
        ("--max-num-batched-tokens",),
        {"help": "Most tokens in one step; the engine's default without it, else 8192."},
    ),
    (("--engine",), {"help": "Engine that allocates memory, such as vllm or vllm@0.33.0."}),
    (
        ("--gpu-memory-utilization",),
        {"type": float, "help": "Share of the device's memory that the engine may take."},
    ),
    (("--max-model-len",), {"help": "Longest request; -1 asks for the longest that fits."}),
    (("--max-num-seqs",), {"help": "Most sequences in one step."}),
    (("--block-size",), {"help": "Tokens of one cache block."}),
    (("--kv-pool-bytes",), {"help": "The engine's room for caches on each device."}),
    (
        ("--engine-option", "engine_options"),
        {
            "multiple": True,
            "metavar": "NAME=VALUE",
            "help": "A further flag of the engine by its own name; may be given several times.",
        },
    ),
)
"""Names and settings of each option."""

_NEEDS_ENGINE = (
    "gpu_memory_utilization",
    "max_model_len",
    "max_num_seqs",
    "block_size",
    "kv_pool_bytes",
    "engine_options",
)


def engine_settings(options: Mapping[str, Any]) -> Any:
    """Return what the options say about an engine.

    Parameters
    ----------
    options : mapping
        Value by name of the option.

    Returns
    -------
    EngineSettings or None
        None where no engine was named.

    Raises
    ------
    ScenarioError
        A flag is out of range, or means nothing without an engine.
    """
    from planner.engines import LONGEST, EngineSettings
    from planner.engines.settings import split_options

    given = {name: options[name] for name in _NEEDS_ENGINE if options[name] not in (None, ())}
    if options["engine"] is None:
        if given:
            flag = f"--{next(iter(given)).replace('_', '-').removesuffix('s')}"
            raise ScenarioError("means nothing without an engine", where=flag, fix="Add --engine.")
        return None
    most = {"kv_pool_bytes": 2**50, "max_num_seqs": 2**24, "block_size": 2**20}
    counts = {
        name: parse_count(given[name], where=f"--{name.replace('_', '-')}", most=most[name])
        for name in given.keys() & most.keys()
    }
    length = given.get("max_model_len")
    if length is not None:
        length = LONGEST if length == "-1" else parse_count(length, where="--max-model-len")
    return EngineSettings(
        engine=options["engine"],
        gpu_memory_utilization=given.get("gpu_memory_utilization"),
        max_model_len=length,
        options=split_options(given.get("engine_options", ())),
        **counts,
    )
