"""Finding and loading devices and nodes by id or file."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from planner.errors import SpecError, UnknownNameError
from planner.hardware.build import build_device, build_node
from planner.hardware.device import Device
from planner.hardware.node import Hardware, Node
from planner.hardware.spec import DeviceSpec, NodeSpec
from planner.on_demand import load
from planner.spec_folders import folders, own_folders, read_spec, shown_path, spec_paths, validate
from planner.units import parse_count

if TYPE_CHECKING:
    from planner.hardware.measurements import Measurements

FOLDER = "hardware_specs"
NOT_DEVICES = frozenset({"runtime"})
"""Files beside the device files that describe something else."""

MOST_DEVICES = 65_536
ID = re.compile(r"[a-z0-9][a-z0-9.\-]{0,79}")


def device_ids() -> tuple[str, ...]:
    """Return the ids of all device files.

    Returns
    -------
    tuple of str
        Sorted.

    Examples
    --------
    >>> "h100-sxm" in device_ids()
    True
    """
    return tuple(name for name in spec_paths(FOLDER) if name not in NOT_DEVICES)


def node_ids() -> tuple[str, ...]:
    """Return the ids of all node files.

    Returns
    -------
    tuple of str
        Sorted.

    Examples
    --------
    >>> "8x-h100-sxm" in node_ids()
    True
    """
    return tuple(spec_paths(FOLDER, "nodes"))


class Devices(Mapping[str, Device]):
    """Devices by id, each loaded when it is first asked for.

    Parameters
    ----------
    names : iterable of str
        Ids.

    Examples
    --------
    >>> found = Devices(["h100-sxm", "l40s"])
    >>> "l40s" in found, found["l40s"].memory_kind
    (True, 'GDDR6')
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._found: dict[str, Device | None] = dict.fromkeys(names)

    def __getitem__(self, name: str) -> Device:
        found = self._found[name]
        if found is None:
            found = self._found[name] = load_device(name)
        return found

    def __contains__(self, name: object) -> bool:
        return name in self._found

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)


def load_device(name: str | Path) -> Device:
    """Return a device.

    Parameters
    ----------
    name : str or pathlib.Path
        A device id, or the path of a device file.

    Returns
    -------
    Device
        In base units.

    Raises
    ------
    UnknownNameError
        No device has this id.
    SpecError
        The file cannot be used.

    Examples
    --------
    >>> device = load_device("a100-sxm-80gb")
    >>> device.memory_bandwidth_bytes_per_s, device.rates["bf16"]
    (2039000000000.0, 312000000000000.0)
    """
    found = _load(name)
    if isinstance(found, Device):
        return found
    raise UnknownNameError(
        "device", str(name), device_ids(), fix=f"{found.id} is a node of {found.device.id}."
    )


def load_node(name: str | Path) -> Node:
    """Return a node.

    Parameters
    ----------
    name : str or pathlib.Path
        A node id, or the path of a node file.

    Returns
    -------
    Node
        In base units.

    Raises
    ------
    UnknownNameError
        No node has this id.
    SpecError
        The file cannot be used.

    Examples
    --------
    >>> load_node("8x-h200-sxm").devices
    8
    """
    found = _load(name)
    if isinstance(found, Node):
        return found
    raise UnknownNameError("node", str(name), node_ids(), fix=f"{found.id} is a device.")


def load_hardware(name: str | Path, devices: int | str | None = None) -> Hardware:
    """Return the hardware of a question.

    Parameters
    ----------
    name : str or pathlib.Path
        Id or file of a device or of a node.
    devices : int or str, optional
        How many; by default one device, or all of one node. [1]

    Returns
    -------
    Hardware
        Device, count and links.

    Raises
    ------
    UnknownNameError
        Nothing has this id.
    SpecError
        The file cannot be used.
    ScenarioError
        The count is not a whole number from 1 to 65,536.

    Examples
    --------
    >>> load_hardware("8x-h100-sxm").devices, load_hardware("h100-sxm", 4).devices
    (8, 4)
    """
    found = _load(name)
    node = found if isinstance(found, Node) else None
    device = found.device if isinstance(found, Node) else found
    count = node.devices if node else 1
    if devices is not None:
        count = parse_count(devices, where="-n", most=MOST_DEVICES)
    return Hardware(device=device, devices=count, node=node)


def calibrated(hardware: Sequence[Hardware], path: str | Path) -> tuple[Hardware, ...]:
    """Return hardware for which a user's own measurements speak.

    Parameters
    ----------
    hardware : sequence of Hardware
        One of them, at least, has the device that was measured.
    path : str or pathlib.Path
        What ``python -m validation calibrate`` wrote.

    Returns
    -------
    tuple of Hardware
        That device with the measurements, others as they are.

    Raises
    ------
    SpecError
        The file cannot be used, or was measured on another device.
    """
    found: Measurements = load("planner.hardware.measurements:load_measurements")(path)
    names = list(dict.fromkeys(each.device.id for each in hardware))
    if found.device not in names:
        raise SpecError(
            "measured on another device",
            where=shown_path(Path(path)),
            got=f"{found.device} ({found.origin.device})",
            allowed=", ".join(names),
            fix="Calibrate a record of this device, or plan for the one that was measured.",
        )
    return tuple(
        replace(each, device=replace(each.device, measured=found))
        if each.device.id == found.device
        else each
        for each in hardware
    )


def describe_catalog() -> list[dict[str, Any]]:
    """Return devices, then nodes, with the figures that plans rest on.

    Returns
    -------
    list of dict
        Plain data in base units, one per file.

    Examples
    --------
    >>> next(entry for entry in describe_catalog() if entry["id"] == "l4")["capacity_bytes"]
    23654532382
    """
    return [_described(load_hardware(name)) for name in (*device_ids(), *node_ids())]


def _described(hardware: Hardware) -> dict[str, Any]:
    device, link = hardware.device, hardware.scale_up
    return {
        "id": hardware.id,
        "name": hardware.node.name if hardware.node else device.name,
        "devices": hardware.devices,
        "capacity_bytes": device.capacity_bytes,
        "capacity_basis": device.capacity_basis,
        "memory_bandwidth_bytes_per_s": device.memory_bandwidth_bytes_per_s,
        "rates_flops_per_s": dict(device.rates),
        "scale_up_bytes_per_s": link.per_direction_bytes_per_s if link else None,
        "power_w": device.power_w,
        "unverified": list(hardware.unverified),
    }


def _load(name: str | Path) -> Device | Node:
    path = _path_of(name)
    data = read_spec(path)
    kind = data.get("kind")
    if kind == "device":
        stat = path.stat()
        device = _device(path, stat.st_mtime_ns, stat.st_size)
        if not own_folders(FOLDER):
            return device
        own = load("planner.hardware.measurements:own_measurements")(device.id)
        return replace(device, measured=own) if own else device
    if kind == "node":
        return _node(path)
    raise SpecError(
        "not a hardware file", where=f"{shown_path(path)}: kind", got=kind, allowed="device, node"
    )


def _path_of(name: str | Path) -> Path:
    text = str(name)
    if isinstance(name, Path) or text.endswith((".yaml", ".yml")) or "/" in text or "\\" in text:
        return Path(text).expanduser()
    path = _catalog_path(text, ".") or _catalog_path(text, "nodes")
    if path is not None:
        return path
    known = (*device_ids(), *node_ids())
    raise UnknownNameError(
        "device",
        text,
        known,
        fix="`planner devices` lists them all; the path of a YAML file works as well.",
    )


def _catalog_path(name: str, subfolder: str) -> Path | None:
    if name in NOT_DEVICES or ID.fullmatch(name) is None:
        return None
    candidates = (root / subfolder / f"{name}.yaml" for root in folders(FOLDER))
    return next((path for path in candidates if path.is_file()), None)


@functools.lru_cache(maxsize=256)
def _device(path: Path, mtime_ns: int, size: int) -> Device:
    where = shown_path(path)
    return build_device(validate(DeviceSpec, read_spec(path), where), where)


def _node(path: Path) -> Node:
    where = shown_path(path)
    spec = validate(NodeSpec, read_spec(path), where)
    device_path = _catalog_path(spec.device, ".")
    if device_path is None:
        raise SpecError("no such device", where=f"{where}: device", got=spec.device)
    return build_node(spec, load_device(device_path), where)
