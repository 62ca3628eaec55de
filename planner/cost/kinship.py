"""Which measured device speaks for one that nobody measured."""

from __future__ import annotations

from collections.abc import Mapping

from planner.hardware import Device


def family(device: Device) -> str:
    """Return the generation of a device and the kind of memory it has.

    Parts of one generation with stacked memory and with graphics memory are different chips.

    Parameters
    ----------
    device : Device
        Any device.

    Returns
    -------
    str
        Such as ``"nvidia 9 hbm"``.

    Examples
    --------
    >>> from planner.hardware import load_device
    >>> family(load_device("h200-sxm")), family(load_device("a40"))
    ('nvidia 9 hbm', 'nvidia 8 gddr')
    """
    generation = (device.compute_capability or "none").split(".")[0]
    return f"{device.vendor.lower()} {generation} {_memory(device)}"


def stand_in(device: Device, measured: Mapping[str, Device]) -> Device | None:
    """Return the measured device most like another one.

    Same vendor; then the same kind of memory, the nearest compute capability and the nearest
    bandwidth, in this order.

    Parameters
    ----------
    device : Device
        Any device.
    measured : mapping
        Devices to choose among, by id.

    Returns
    -------
    Device or None
        Itself where it was measured; None where no device of its vendor was.

    Examples
    --------
    >>> from planner.hardware import load_device
    >>> measured = {name: load_device(name) for name in ("a100-sxm-80gb", "l40s", "h100-sxm")}
    >>> [stand_in(load_device(name), measured).id for name in ("a40", "gh200-96gb")]
    ['l40s', 'h100-sxm']
    """
    if device.id in measured:
        return device
    kin = [each for each in measured.values() if each.vendor == device.vendor]

    def distance(other: Device) -> tuple[float, ...]:
        ratio = other.memory_bandwidth_bytes_per_s / device.memory_bandwidth_bytes_per_s
        return (
            _memory(other) != _memory(device),
            abs(_generation(other) - _generation(device)),
            max(ratio, 1 / ratio),
        )

    return min(kin, key=distance, default=None)


def _memory(device: Device) -> str:
    return device.memory_kind.lower().rstrip("0123456789ex")


def _generation(device: Device) -> float:
    return float(device.compute_capability or 0)
