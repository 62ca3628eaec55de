"""A scenario on the command line: its options, and what they describe."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import click

from planner.engine_flags import ENGINE_OPTIONS, engine_settings
from planner.units import parse_count

Command = Callable[..., Any]

_OPTIONS: tuple[tuple[tuple[str, ...], dict[str, Any]], ...] = (
    (("-m", "--model"), {"required": True, "help": "Catalog id, Hugging Face id, or a file."}),
    (("-d", "--device"), {"required": True, "help": "Device or node id, or a YAML file."}),
    (
        ("--calibration",),
        {"help": "Your own times of the device: what python -m validation calibrate wrote."},
    ),
    (
        ("-n", "--devices"),
        {"help": "How many devices; what the sizes ask for, or a node, without it."},
    ),
    (("--tp",), {"help": "Tensor-parallel ranks; chosen to fit without it."}),
    (("--pp",), {"help": "Pipeline stages."}),
    (("--dp",), {"help": "Data-parallel ranks: replicas, unless experts join them."}),
    (("--ep",), {"help": "Expert-parallel ranks; beyond tp × cp they join data-parallel ranks."}),
    (("--cp",), {"help": "Context-parallel ranks, each with devices of its own."}),
    (("--dcp",), {"help": "Parts that tensor-parallel ranks cut cached tokens into."}),
    (("--attention-dp",), {"help": "Data-parallel ranks that share the experts."}),
    (
        ("--offload-weights",),
        {"help": "Share of the layers' weights outside the device: 0.5, 50% or '20 layers'."},
    ),
    (("--offload-cache",), {"help": "Share of the caches outside the device."}),
    (
        ("--offload-to",),
        {"type": click.Choice(("host", "nvme")), "help": "Where they live; host without it."},
    ),
    (
        ("--offload-bandwidth",),
        {"help": "Bytes per second that a device draws from there; its host link without it."},
    ),
    (("--offload-capacity",), {"help": "Bytes of room there on one host; a node's own without."}),
    (("--weights",), {"help": "Format of the weights; the checkpoint's own without it."}),
    (("--activations",), {"help": "Format in which activations are multiplied."}),
    (("--kv-cache-dtype",), {"help": "Format of keys and values."}),
    (("--context",), {"help": "Tokens in each cache, such as 8192 or 32K."}),
    (("--sequences",), {"default": "1", "help": "Sequences in flight over all replicas."}),
    (("--isl",), {"help": "Prompt length; the context without it."}),
    (("--osl",), {"help": "Output length."}),
    (("--images",), {"help": "Images in each prompt, whose tokens --isl counts too."}),
    (("--image-tokens",), {"help": "Tokens of one image."}),
    (("--mtp",), {"is_flag": True, "help": "Load the layers for multi-token prediction."}),
    *ENGINE_OPTIONS,
)


def scenario_options(command: Command) -> Command:
    """Add the options of a scenario to a command.

    Parameters
    ----------
    command : callable
        The command.

    Returns
    -------
    callable
        With the options.
    """
    for names, settings in reversed(_OPTIONS):
        command = click.option(*names, **settings)(command)
    return command


def scenario_of(options: Mapping[str, Any]) -> Any:
    """Return the scenario that options describe.

    Parameters
    ----------
    options : mapping
        Value by option, as click gives them.

    Returns
    -------
    Scenario
        Not yet answered.

    Raises
    ------
    PlannerError
        An option cannot be used.
    """
    from planner import Scenario, load_hardware, load_model
    from planner.hardware import calibrated
    from planner.layouts import SIZES, devices_for
    from planner.offloading import parse_offload

    def count(name: str) -> int | None:
        value = options[name]
        return None if value is None else parse_count(value, where=f"--{name.replace('_', '-')}")

    most = {"max_num_batched_tokens", "sequences", "devices", "image_tokens"}
    numbers = {name: count(name) for name in (*SIZES, "context", "isl", "osl", *most)}
    hardware = load_hardware(str(options["device"]), numbers.pop("devices"))
    if options["calibration"] is not None:
        (hardware,) = calibrated((hardware,), options["calibration"])
    if options["devices"] is None and hardware.node is None:
        sizes = {name: number for name in SIZES if (number := numbers[name]) is not None}
        hardware = replace(hardware, devices=devices_for(sizes))
    model = load_model(str(options["model"]), weights_given=options["weights"] is not None)
    return Scenario(
        model=model,
        hardware=hardware,
        weights=options["weights"],
        activations=options["activations"],
        kv_cache_dtype=None if options["kv_cache_dtype"] == "auto" else options["kv_cache_dtype"],
        mtp=bool(options["mtp"]),
        images=count("images") or 0,
        engine=engine_settings(options),
        offload=parse_offload(options, layers=len(model.layers)),
        **numbers,  # type: ignore[arg-type]
    )
