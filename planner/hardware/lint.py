"""Checks of all hardware files that go beyond what loading one of them refuses."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from planner.errors import PlannerError
from planner.hardware.catalog import FOLDER, NOT_DEVICES, load_device, load_node
from planner.hardware.device import Device
from planner.hardware.node import Node
from planner.hardware.runtime import Runtime, load_runtime
from planner.sources import Source
from planner.spec_folders import spec_paths

RIDGE_FLOP_PER_BYTE = (30.0, 600.0)
BANDWIDTH_BYTES_PER_S = (100e9, 40e12)
POWER_W = (20.0, 2500.0)
LADDER = ("fp64", "fp32", "tf32", "fp16", "fp8", "fp6", "fp4")
"""Floating-point rates do not fall from one of these to the next."""


def lint_hardware() -> list[str]:
    """Check every hardware file.

    Returns
    -------
    list of str
        One line per problem; empty when all is well.

    Examples
    --------
    >>> lint_hardware()
    []
    """
    problems: list[str] = []
    owners: dict[str, Device | Node | Runtime] = {}
    for path, load in _files():
        try:
            owner = load(path)
        except PlannerError as error:
            problems.append(str(error))
            continue
        owners[str(path)] = owner
        if not isinstance(owner, Runtime) and owner.id != path.stem:
            problems.append(f"{path}: id {owner.id} is not the name of the file")
    for where, owner in owners.items():
        problems.extend(f"{where}: {problem}" for problem in _lint_one(owner))
    problems.extend(_disagreeing_sources(owners))
    return problems


def _files() -> Iterator[tuple[Path, Callable[[Path], Device | Node | Runtime]]]:
    for name, path in spec_paths(FOLDER).items():
        if name not in NOT_DEVICES:
            yield path, load_device
    for path in spec_paths(FOLDER, "nodes").values():
        yield path, load_node
    yield Path("runtime.yaml"), lambda _: load_runtime()


def _lint_one(owner: Device | Node | Runtime) -> Iterator[str]:
    cited = {figure.source for figure in owner.figures.values()}
    for unused in sorted(set(owner.sources) - cited):
        yield f"source {unused} is cited by no figure"
    for name, source in owner.sources.items():
        if source.url is None and source.kind != "log":
            yield f"source {name} has no url"
    if isinstance(owner, Device):
        yield from lint_device(owner)


def lint_device(device: Device) -> Iterator[str]:
    """Yield what is physically implausible about a device.

    Parameters
    ----------
    device : Device
        Any device.

    Yields
    ------
    str
        One clause per problem.
    """
    low, high = RIDGE_FLOP_PER_BYTE
    half = next((p for p in ("bf16", "fp16") if p in device.rates), None)
    if half is None:
        yield "there is no 16-bit rate"
    elif not low <= device.ridge_flop_per_byte(half) <= high:
        ridge = device.ridge_flop_per_byte(half)
        yield f"the {half} ridge point is {ridge:.0f} FLOP/byte, beyond {low:.0f} to {high:.0f}"
    if not BANDWIDTH_BYTES_PER_S[0] <= device.memory_bandwidth_bytes_per_s:
        yield "memory bandwidth is below that of any accelerator for language models"
    if device.memory_bandwidth_bytes_per_s > BANDWIDTH_BYTES_PER_S[1]:
        yield "memory bandwidth is above that of any device"
    if device.power_w is not None and not POWER_W[0] <= device.power_w <= POWER_W[1]:
        yield f"power is {device.power_w:g} W, beyond {POWER_W[0]:g} to {POWER_W[1]:g}"
    if device.capacity_basis == "visible" and device.visible_capacity_bytes is not None:
        share = device.visible_capacity_bytes / device.vendor_capacity_bytes
        if share < 0.9:
            yield f"a program sees {share:.0%} of the vendor's capacity"
    yield from _lint_ladder(device.rates)


def _lint_ladder(rates: Mapping[str, float]) -> Iterator[str]:
    known = [precision for precision in LADDER if precision in rates]
    for wide, narrow in itertools.pairwise(known):
        if rates[narrow] < rates[wide]:
            yield f"the {narrow} rate is below the {wide} rate"
    if "bf16" in rates and "fp16" in rates and rates["bf16"] != rates["fp16"]:
        yield "bf16 and fp16 rates differ"
    for wide, narrow in itertools.pairwise(known):
        if rates[narrow] > 20 * rates[wide] and wide != "fp64":
            yield f"the {narrow} rate is more than 20 times the {wide} rate"


def _disagreeing_sources(owners: Mapping[str, Device | Node | Runtime]) -> Iterator[str]:
    first: dict[str, tuple[str, Source]] = {}
    for where, owner in owners.items():
        for name, source in owner.sources.items():
            other, known = first.setdefault(name, (where, source))
            if known != source:
                yield f"{where}: source {name} differs from the one in {other}"
