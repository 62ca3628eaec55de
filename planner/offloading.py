"""Offloading as a person asks for it: shares in words, the way to the host, the room there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from planner.cost.memory import MemoryUse
from planner.errors import ScenarioError
from planner.hardware import Hardware, Link
from planner.hardware.node import MOST_ON_ONE_HOST
from planner.model.offload import Offload, Place
from planner.units import format_bytes, parse_count

_SHARE = re.compile(r"(?P<number>[0-9]+(?:\.[0-9]+)?)\s*(?P<unit>%|layers?)?")
_MOST_BYTES = 2**53


def parse_offload(options: Mapping[str, str | None], *, layers: int) -> Offload:
    """Return what is to live outside the device.

    Parameters
    ----------
    options : mapping
        ``offload_weights``, ``offload_cache``, ``offload_to``, ``offload_bandwidth`` and
        ``offload_capacity``, as on the command line.
    layers : int
        Layers of the model. [1]

    Returns
    -------
    Offload
        Nothing where no share is given.

    Raises
    ------
    ScenarioError
        A share is none, or a figure is given of what is not offloaded.

    Examples
    --------
    >>> parse_offload({"offload_weights": "20 layers", "offload_cache": "25%"}, layers=80)
    ... # doctest: +NORMALIZE_WHITESPACE
    Offload(weights_fraction=0.25, cache_fraction=0.25, to='host', bandwidth_bytes_per_s=None,
            capacity_bytes=None)
    """
    place: Place = "nvme" if options.get("offload_to") == "nvme" else "host"
    offload = Offload(
        weights_fraction=_share(options.get("offload_weights"), "--offload-weights", layers),
        cache_fraction=_share(options.get("offload_cache"), "--offload-cache", None),
        to=place,
        bandwidth_bytes_per_s=_bytes(options, "offload_bandwidth"),
        capacity_bytes=_bytes(options, "offload_capacity"),
    )
    beside = [name for name in ("to", "bandwidth", "capacity") if options.get(f"offload_{name}")]
    if beside and not offload:
        raise ScenarioError(
            "nothing is offloaded",
            where=f"--offload-{beside[0]}",
            fix="Add --offload-weights or --offload-cache.",
        )
    return offload


def _bytes(options: Mapping[str, str | None], name: str) -> int | None:
    text = options.get(name)
    where = f"--{name.replace('_', '-')}"
    return None if text is None else parse_count(text, where=where, most=_MOST_BYTES)


def _share(text: str | None, where: str, layers: int | None) -> float:
    if text is None:
        return 0.0
    allowed = "a number from 0 to 1, or a percentage" + (
        f", or up to {layers} layers such as '20 layers'" if layers else ""
    )
    match = _SHARE.fullmatch(str(text).strip()[:40])
    unit = match["unit"] if match else None
    if match is None or (unit and unit != "%" and layers is None):
        raise ScenarioError("not a share", where=where, got=text, allowed=allowed)
    whole = {None: 1, "%": 100}.get(unit, layers or 1)
    share = float(match["number"]) / whole
    if share > 1:
        raise ScenarioError("more than there is", where=where, got=text, allowed=allowed)
    return share


def offload_flags(offload: Offload) -> dict[str, object]:
    """Return the command-line flags that say what lives elsewhere.

    Parameters
    ----------
    offload : Offload
        What lives elsewhere.

    Returns
    -------
    dict
        Flags with their values; None where a flag is left away.

    Examples
    --------
    >>> flags = offload_flags(Offload(cache_fraction=0.5))
    >>> flags["--offload-cache"], flags["--offload-weights"], flags["--offload-to"]
    (0.5, None, 'host')
    """
    bandwidth = offload.bandwidth_bytes_per_s
    return {
        "--offload-weights": offload.weights_fraction or None,
        "--offload-cache": offload.cache_fraction or None,
        "--offload-to": offload.to if offload else None,
        "--offload-bandwidth": None if bandwidth is None else round(bandwidth),
        "--offload-capacity": offload.capacity_bytes,
    }


def offload_link(offload: Offload, hardware: Hardware) -> Link | None:
    """Return what joins a device to what it offloads.

    Parameters
    ----------
    offload : Offload
        What lives elsewhere.
    hardware : Hardware
        The devices.

    Returns
    -------
    Link or None
        None where nothing is offloaded.

    Raises
    ------
    ScenarioError
        The bandwidth is known neither of the device nor from the question.

    Examples
    --------
    >>> from planner.hardware import load_hardware
    >>> offload_link(Offload(weights_fraction=1.0), load_hardware("gh200-96gb")).kind
    'NVLink-C2C'
    """
    if not offload:
        return None
    host = hardware.device.host
    given = offload.bandwidth_bytes_per_s
    if given is not None:
        most = min(given, host.per_direction_bytes_per_s) if host else given
        return Link(kind=f"to {offload.to}", per_direction_bytes_per_s=most)
    if offload.to == "nvme" or host is None:
        raise ScenarioError(
            f"the bandwidth of {'NVMe drives' if offload.to == 'nvme' else 'the host link'} is not "
            "known",
            where="--offload-to",
            got=offload.to,
            fix="Give it per device with --offload-bandwidth, such as 7g for 7 GB/s.",
        )
    return host


def host_devices(hardware: Hardware) -> int:
    """Return how many of the devices share one host.

    Parameters
    ----------
    hardware : Hardware
        The devices.

    Returns
    -------
    int
        Those of a node; up to eight where none is named. [1]

    Examples
    --------
    >>> from planner.hardware import load_hardware
    >>> host_devices(load_hardware("8x-h200-sxm", 16)), host_devices(load_hardware("l4", 2))
    (8, 2)
    """
    most = hardware.node.devices if hardware.node else MOST_ON_ONE_HOST
    return min(hardware.devices, most)


def check_room(offload: Offload, hardware: Hardware, use: MemoryUse) -> Iterator[str]:
    """Yield what the reader should know about the place where the rest lives.

    Parameters
    ----------
    offload : Offload
        What lives elsewhere.
    hardware : Hardware
        The devices.
    use : MemoryUse
        Of the fullest device.

    Yields
    ------
    str
        One sentence or two.

    Raises
    ------
    ScenarioError
        There is too little room; says by how much.
    """
    if not offload:
        return
    sharers = host_devices(hardware)
    needed = int((use.offloaded_weights_bytes + use.offloaded_cache_bytes) * sharers)
    known = offload.capacity_bytes
    if known is None and offload.to == "host" and hardware.node is not None:
        known = hardware.node.host_memory_bytes
    place = "the host's memory" if offload.to == "host" else "the drives"
    if known is None:
        yield (
            f"{format_bytes(needed)} of weights and caches live in {place} of each host; how much "
            "room there is, is not known. --offload-capacity says it."
        )
    elif needed > known:
        holds = f"{place} {'holds' if offload.to == 'host' else 'hold'} {format_bytes(known)}"
        who = f"{sharers} devices offload" if sharers > 1 else "the device offloads"
        raise ScenarioError(
            f"{holds}, {format_bytes(needed - known)} too little for what {who}",
            where="--offload-weights, --offload-cache",
            got=format_bytes(needed),
            allowed=f"at most {format_bytes(known)}",
            fix="Offload less, or on more hosts.",
        )
    if offload.to == "host" and sharers > 1:
        yield (
            f"{sharers} devices draw on one host's memory at the same time; each is taken to have "
            "its whole link, which the memory itself may not feed."
        )


def offload_inputs(offload: Offload) -> dict[str, float | str | None]:
    """Return what was asked for as plain data.

    Parameters
    ----------
    offload : Offload
        What lives elsewhere.

    Returns
    -------
    dict
        Nothing in it where nothing is offloaded.

    Examples
    --------
    >>> offload_inputs(Offload(cache_fraction=0.5))["offload_cache_fraction"]
    0.5
    """
    return {f"offload_{name}": value for name, value in asdict(offload).items()} if offload else {}


def offload_figures(link: Link | None, offload: Offload, use: MemoryUse) -> dict[str, Any]:
    """Return where what is not on the device lives, as plain data.

    Parameters
    ----------
    link : Link or None
        What joins a device to it.
    offload : Offload
        What lives elsewhere.
    use : MemoryUse
        Of the fullest device.

    Returns
    -------
    dict
        Bytes of one device, and the bandwidth they rest on.

    Examples
    --------
    >>> use = MemoryUse(weights_bytes=1, cache_bytes=0, activations_bytes=0, runtime_bytes=0)
    >>> offload_figures(None, Offload(), use)["to"]
    """
    return {
        "to": offload.to if offload else None,
        "weights_bytes": use.offloaded_weights_bytes,
        "cache_bytes": int(use.offloaded_cache_bytes),
        "bandwidth_bytes_per_s": link.per_direction_bytes_per_s if link else None,
    }
