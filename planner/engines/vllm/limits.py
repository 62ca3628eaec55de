"""Most tokens and sequences of a step, longest request: vLLM's defaults by device and version."""

from __future__ import annotations

from dataclasses import dataclass

from planner.engines.engine import Site
from planner.engines.settings import LONGEST
from planner.engines.version import Version
from planner.engines.vllm.versions import V0_GONE, V1
from planner.errors import ScenarioError
from planner.hardware import Device
from planner.units import GIB, parse_count

_LARGE_BYTES = 70 * GIB
_LARGEST_BYTES = 160 * GIB
_LONGEST_WHOLE = 32768
_LEAST_WHOLE = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What bounds a step and a request.

    Parameters
    ----------
    step_tokens : int
        ``max_num_batched_tokens``. [tokens]
    max_sequences : int
        ``max_num_seqs``. [1]
    max_model_len : int
        Longest request; -1 where the longest that fits was asked for. [tokens]
    positions : int
        Longest request that the model's positions admit. [tokens]
    """

    step_tokens: int
    max_sequences: int
    max_model_len: int
    positions: int


def resolve_limits(site: Site) -> Limits:
    """Return given limits, and the engine's defaults for the others.

    Parameters
    ----------
    site : Site
        Flags, device, model and version.

    Returns
    -------
    Limits
        Every one a number.

    Raises
    ------
    ScenarioError
        A flag is out of range.
    """
    settings = site.settings
    tokens, sequences = default_step(site.hardware.device, site.version)
    usable = site.model.usable_context
    length = settings.max_model_len or usable
    if length is None:
        raise ScenarioError(
            f"nothing says how long a request of {site.model.name} may be",
            where="--max-model-len",
            got=None,
            allowed="a number of tokens, or -1 for the longest that fits",
            fix="Add --max-model-len.",
        )
    return Limits(
        step_tokens=settings.max_num_batched_tokens or _whole_prompts(site, length, tokens),
        max_sequences=settings.max_num_seqs or sequences,
        max_model_len=length if length == LONGEST else parse_count(length, where="--max-model-len"),
        positions=usable or 2**31 - 1,
    )


def _whole_prompts(site: Site, length: int, tokens: int) -> int:
    """Return a step of V0, which reads whole prompts unless it was told, or they are too long."""
    chunked = site.options.flag("enable_chunked_prefill")
    if chunked is None:
        chunked = length > _LONGEST_WHOLE
    newer = not is_v0(site.hardware.device, site.version)
    return tokens if chunked or newer else max(length, _LEAST_WHOLE)


def is_v0(device: Device, version: Version) -> bool:
    """Return whether vLLM runs its older engine.

    Parameters
    ----------
    device : Device
        V1 wants compute capability 8.0.
    version : Version
        V1 is the default from 0.8 on, V0 gone from 0.11 on.

    Returns
    -------
    bool
        True for V0.

    Examples
    --------
    >>> from planner.hardware import load_device
    >>> [is_v0(load_device(name), Version((0, 8, 5))) for name in ("v100-sxm2-32gb", "a10")]
    [True, False]
    """
    old = float(device.compute_capability or 9) < 8 if device.vendor == "NVIDIA" else False
    return version < V1 or (old and version < V0_GONE)


def default_step(device: Device, version: Version) -> tuple[int, int]:
    """Return the engine's own most tokens and sequences of a step.

    Parameters
    ----------
    device : Device
        Its capacity decides, and whether it is an A100.
    version : Version
        The server of V1 reads more at once on large devices.

    Returns
    -------
    tuple of int
        Tokens and sequences. [tokens], [1]

    Examples
    --------
    >>> from planner.hardware import load_device
    >>> default_step(load_device("h100-sxm"), Version.parse("0.33.0"))
    (8192, 1024)
    """
    if is_v0(device, version):
        return (512 if version < Version((0, 6, 4)) else 2048), 256
    capacity = device.capacity_bytes
    a100 = device.compute_capability == "8.0"
    if version >= Version((0, 10, 0)) and capacity >= _LARGEST_BYTES:
        return 16384, 1024
    if capacity >= _LARGE_BYTES and not a100:
        return 8192, 1024
    return 2048, 256
