"""What a vLLM worker takes outside PyTorch and for CUDA graphs: fitted on printed figures.

The figures come from half of the start-up logs in ``validation/records/engines``, chosen by the
hash of their ids; ``python -m validation engines`` fits them anew and says how far off both halves
are. Nothing else of the budget is fitted.
"""

from __future__ import annotations

from dataclasses import dataclass

from planner.engines.version import Version
from planner.hardware import Device
from planner.model import Layout, Model
from planner.model.feed_forward import MixtureOfExperts
from planner.model.layer import Layer
from planner.units import GIB, MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """What a worker gained outside PyTorch between its first look at the memory and the profile.

    Parameters
    ----------
    since : Version
        First version of which it holds.
    alone_gib, linked_gib, unlinked_gib : float
        One rank; several that a link joins; several on the host's bus. [GiB]
    staged_gib : float
        Pipeline stages of one rank each, whose communicators stood before the first look. [GiB]
    """

    since: Version
    alone_gib: float
    linked_gib: float
    unlinked_gib: float
    staged_gib: float


OUTSIDE = (
    Outside(
        since=Version((0,)), alone_gib=0.20, linked_gib=2.10, unlinked_gib=0.30, staged_gib=0.20
    ),
    Outside(
        since=Version((0, 8, 0)), alone_gib=0.13, linked_gib=0.55, unlinked_gib=0.55,
        staged_gib=0.13,
    ),
    Outside(
        since=Version((0, 12, 0)), alone_gib=0.25, linked_gib=2.09, unlinked_gib=0.55,
        staged_gib=0.07,
    ),
)  # fmt: skip
"""Newest last; on several ranks of a bus, newer versions' collectives keep what older ones do."""

GRAPHS_MIB = (460.6, 14.67, 17.49)
GRAPHS_ESTIMATE_MIB = (315.8, 17.08, 9.67)
"""CUDA graphs as captured, and as estimated beforehand: base, each layer, each layer of experts."""


def outside_bytes(device: Device, layout: Layout, stages: int, version: Version) -> int:
    """Return what a worker takes outside PyTorch.

    Parameters
    ----------
    device : Device
        Whether a link joins its ranks.
    layout : Layout
        Tensor-parallel ranks.
    stages : int
        Pipeline stages. [1]
    version : Version
        Of vLLM.

    Returns
    -------
    int
        Without the driver context, which the first look already finds. [bytes]

    References
    ----------
    vllm-start-up-logs

    Examples
    --------
    >>> from planner import load_device
    >>> h100 = load_device("h100-sxm")
    >>> [
    ...     round(outside_bytes(h100, Layout(tp=tp), 1, Version((0, 19, 0))) / 2**30, 2)
    ...     for tp in (1, 2)
    ... ]
    [0.25, 2.09]
    """
    found = next(each for each in reversed(OUTSIDE) if version >= each.since)
    if layout.tp > 1:
        size = found.unlinked_gib if device.scale_up is None else found.linked_gib
    else:
        size = found.staged_gib if stages > 1 else found.alone_gib
    return int(size * GIB)


def graphs_bytes(model: Model, *, estimated: bool) -> int:
    """Return what CUDA graphs take.

    Parameters
    ----------
    model : Model
        The model, or the pipeline stage of a rank.
    estimated : bool
        As vLLM estimates it before the cache is made, not as captured.

    Returns
    -------
    int
        By layers. [bytes]

    References
    ----------
    vllm-start-up-logs

    Examples
    --------
    >>> from planner import load_model
    >>> round(graphs_bytes(load_model("llama-3.1-8b"), estimated=False) / 2**30, 2)
    0.9
    """
    base, layer, experts = GRAPHS_ESTIMATE_MIB if estimated else GRAPHS_MIB
    mixed = sum(has_experts(each) for each in model.layers)
    return int((base + layer * len(model.layers) + experts * mixed) * MIB)


def has_experts(layer: Layer) -> bool:
    """Return whether a layer has routed experts.

    Parameters
    ----------
    layer : Layer
        A layer.

    Returns
    -------
    bool
        True where one of its parts is a mixture of experts.
    """
    return any(isinstance(part, MixtureOfExperts) for part in layer.parts)
