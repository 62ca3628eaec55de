"""What a run ran on: device, driver, clocks, power, versions."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import subprocess
from pathlib import Path
from typing import Any

import torch

from planner.errors import ScenarioError
from planner.hardware import load_device
from planner.version import __version__
from validation.entries import Environment

# Name that the driver reports → device of the catalog; the first that matches counts.
_DRIVER_NAMES: tuple[tuple[str, str], ...] = (
    (r"GB300", "gb300"),
    (r"GB200", "gb200"),
    (r"B300", "b300-sxm"),
    (r"B200", "b200-sxm"),
    (r"H200 NVL", "h200-nvl"),
    (r"GH200 .*96GB|GH200 480GB", "gh200-96gb"),
    (r"H200", "h200-sxm"),
    (r"H100 NVL", "h100-nvl"),
    (r"H100 PCIe", "h100-pcie"),
    (r"H100 80GB HBM3", "h100-sxm"),
    (r"H20\b", "h20"),
    (r"A100-SXM.*80GB", "a100-sxm-80gb"),
    (r"A100-SXM.*40GB", "a100-sxm-40gb"),
    (r"A100 80GB PCIe", "a100-pcie-80gb"),
    (r"A100-PCIE-40GB", "a100-pcie-40gb"),
    (r"A10G", "a10g"),
    (r"A10\b", "a10"),
    (r"A40\b", "a40"),
    (r"RTX PRO 6000 Blackwell Server", "rtx-pro-6000-blackwell-server"),
    (r"RTX 6000 Ada", "rtx-6000-ada"),
    (r"RTX A6000", "rtx-a6000"),
    (r"RTX 5090\b(?! D)", "rtx-5090"),
    (r"RTX 4090\b(?! D)", "rtx-4090"),
    (r"RTX 3090\b(?! Ti)", "rtx-3090"),
    (r"L40S", "l40s"),
    (r"\bL4\b", "l4"),
    (r"Tesla T4|\bT4\b", "t4"),
    (r"V100-SXM2-32GB", "v100-sxm2-32gb"),
    (r"MI300X", "mi300x"),
    (r"MI325X", "mi325x"),
    (r"MI355X", "mi355x"),
)
# A slice of a device (MIG, a virtual GPU) shows less memory than the device's file says.
_LEAST_MEMORY_FRACTION = 0.9
_QUERY = "driver_version,clocks.sm,clocks.max.sm,clocks.mem,power.limit,temperature.gpu"


def spec_id(name: str, memory_bytes: int | None) -> str | None:
    """Return the device of the catalog that a driver's name stands for.

    Parameters
    ----------
    name : str
        As the driver reports it.
    memory_bytes : int or None
        Memory that a program sees; a slice of a device is not the device. [bytes]

    Returns
    -------
    str or None
        None where the catalog has no such device.

    Examples
    --------
    >>> spec_id("NVIDIA H100 80GB HBM3", None), spec_id("NVIDIA H200", 20 * 2**30)
    ('h100-sxm', None)
    """
    found = next((id_ for pattern, id_ in _DRIVER_NAMES if re.search(pattern, name)), None)
    if found is None or memory_bytes is None:
        return found
    whole = load_device(found).capacity_bytes
    return found if memory_bytes >= _LEAST_MEMORY_FRACTION * whole else None


def torch_device(name: str) -> torch.device:
    """Return a device that is there.

    Parameters
    ----------
    name : str
        ``cpu``, ``cuda`` or ``cuda:N``.

    Returns
    -------
    torch.device
        With its index.

    Raises
    ------
    ScenarioError
        PyTorch does not know it, or it is not there.
    """
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    allowed = ", ".join(["cpu", *(f"cuda:{index}" for index in range(count))])
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ScenarioError("no device", where="--device", got=name, allowed=allowed) from None
    if device.type == "cuda" and (device.index or 0) < count:
        return torch.device("cuda", device.index or 0)
    if device.type != "cpu":
        raise ScenarioError(
            "the device is not there",
            where="--device",
            got=name,
            allowed=allowed,
            fix="Without a GPU, --device cpu runs the whole loop on the host.",
        )
    return torch.device("cpu")


def default_device() -> str:
    """Return the device to use when none is named: the first GPU, else the host."""
    return "cuda:0" if torch.cuda.is_available() else "cpu"


def usable_cores() -> int:
    """Return how many cores this process may use.

    Returns
    -------
    int
        By its affinity. [1]
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def last_level_cache_bytes() -> int | None:
    """Return the size of the processor's last-level cache.

    Returns
    -------
    int or None
        None where the system does not tell. [bytes]
    """
    sizes = []
    for file in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size"):
        match = re.fullmatch(r"(\d+)([KM])", file.read_text().strip())
        if match:
            sizes.append(int(match[1]) * {"K": 2**10, "M": 2**20}[match[2]])
    return max(sizes, default=None)


def _processor() -> tuple[str, float | None]:
    """Name and clock of the processor."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        text = ""
    name = re.search(r"^model name\s*: (.+)$", text, re.MULTILINE)
    clock = re.search(r"^cpu MHz\s*: ([\d.]+)$", text, re.MULTILINE)
    return (
        name[1].strip() if name else platform.processor() or platform.machine(),
        float(clock[1]) * 1e6 if clock else None,
    )


def _host_memory_bytes() -> int | None:
    if not hasattr(os, "sysconf"):
        return None
    return int(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _driver_figures(uuid: str) -> dict[str, Any]:
    """What nvidia-smi tells of a device; nothing where it is absent or tells nothing."""
    command = ["nvidia-smi", f"--query-gpu={_QUERY}", "--format=csv,noheader,nounits", "-i", uuid]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return {}
    cells = [cell.strip() for cell in done.stdout.strip().split(",")]
    if len(cells) != len(_QUERY.split(",")):
        return {}
    numbers = [float(cell) if re.fullmatch(r"[\d.]+", cell) else None for cell in cells[1:]]
    clocks = [None if number is None else number * 1e6 for number in numbers[:3]]
    return {
        "driver": cells[0],
        "clock_hz": clocks[0],
        "most_clock_hz": clocks[1],
        "memory_clock_hz": clocks[2],
        "power_limit_w": numbers[3],
        "temperature_c": numbers[4],
    }


def _accelerator(device: torch.device, spec: str | None) -> dict[str, Any]:
    properties = torch.cuda.get_device_properties(device)
    return {
        "device_name": properties.name,
        "spec_id": spec or spec_id(properties.name, properties.total_memory),
        "memory_bytes": properties.total_memory,
        "cache_bytes": properties.L2_cache_size,
        "cuda": torch.version.cuda,
        **_driver_figures(f"GPU-{properties.uuid}"),
    }


def _processor_figures() -> dict[str, Any]:
    name, clock = _processor()
    return {
        "device_name": f"{name}, {usable_cores()} cores",
        "memory_bytes": _host_memory_bytes(),
        "cache_bytes": last_level_cache_bytes(),
        "clock_hz": clock,
    }


def environment(device: torch.device, *, spec: str | None = None, ranks: int = 1) -> Environment:
    """Return what a run on a device runs on.

    Parameters
    ----------
    device : torch.device
        The device.
    spec : str, optional
        Device of the catalog to predict for, where its name does not tell.
    ranks : int
        Processes of the run. [1]

    Returns
    -------
    Environment
        As far as the system tells.
    """
    figures = _accelerator(device, spec) if device.type == "cuda" else _processor_figures()
    return Environment(
        device=device.type if ranks > 1 else str(device),
        host=f"{_processor()[0]}, {usable_cores()} cores",
        cores=usable_cores(),
        threads=torch.get_num_threads(),
        ranks=ranks,
        operating_system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        torch=torch.__version__,
        triton=_version("triton"),
        transformers=_version("transformers"),
        planner=__version__,
        **figures,
    )
