r"""Seconds of messages: in pieces where they are large, and over the network of several nodes.

A large message may be sent as several smaller ones, one after another, so ``t(n) ≤ k t(n / k)``.

Ranks on several nodes combine inside each node and send what is left over the network, which all
ranks of a node feed together:

.. math::
    t = \max\left(t_\text{node}(g), \frac{V}{g\,\beta\,e}\right) + t_0 \log_2 N

with ``g`` ranks on each of ``N`` nodes, ``p = g N``, a network of ``β`` per rank of which ``e`` is
reached, and what crosses a node's edge: ``V = n`` of an all-reduce over two nodes by a tree,
``2 (p - 1) / p · n`` over more by rings, half of that of an all-gather or reduce-scatter,
``g (p - g) / p · n`` of an all-to-all, ``g n`` of messages from rank to rank.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from planner.cost.calibration import Calibration
from planner.cost.collectives import crossing_bytes
from planner.cost.efficiency import Times, operation_times
from planner.cost.work import Columns, codes_of
from planner.hardware import Device

PIECE_BYTES = (2.0**28, 2.0**29)
"""Pieces that large messages may be sent in."""

NETWORK_FRACTION = 0.92
"""Of the rate of a network's port: 46 of 50 GB/s, as its maintainers expect of NCCL
(nccl-tests, issue 290)."""

HOP_S = 1e-5
"""Time of a hop between nodes, as aiconfigurator takes it."""

_BAND = (-0.3, 0.5)


@dataclass(frozen=True, slots=True)
class Network:
    """What joins nodes.

    Parameters
    ----------
    devices : int
        Devices of a node. [1]
    bytes_per_s : float or None
        What one device sends to other nodes; None where nothing is known. [bytes/s]
    """

    devices: int
    bytes_per_s: float | None


def message_times(
    kind: str,
    columns: Columns,
    devices: Mapping[str, Device],
    networks: Mapping[str, Network],
    profile: Calibration,
) -> Times:
    """Return the times of messages between ranks, on one node or several.

    Parameters
    ----------
    kind : str
        A kind that the profile speaks for.
    columns : mapping
        ``device``, ``dtype``, ``ranks``, ``message_bytes`` and, where known, ``nodes``,
        ``backend``, ``version`` and ``kernel``.
    devices : mapping
        Device by the name it has in the column.
    networks : mapping
        By the same name, where it is that of a node.
    profile : Calibration
        Of the kind.

    Returns
    -------
    Times
        A row has a reason where its ranks do not divide, or nothing is known about a link.
    """
    nodes = columns.get("nodes", np.ones(len(columns["dtype"])))
    nodes = np.where(np.isnan(nodes), 1.0, nodes)
    near, far = np.flatnonzero(nodes == 1), np.flatnonzero(nodes > 1)
    if not len(far):
        return _in_pieces(kind, columns, devices, profile)
    times = Times.without_figures(len(nodes))
    times.fill(far, _across(kind, _rows(columns, far), devices, networks, profile))
    if len(near):
        times.fill(near, _in_pieces(kind, _rows(columns, near), devices, profile))
    return times


def _rows(columns: Columns, rows: np.ndarray) -> dict[str, np.ndarray]:
    return {name: values[rows] for name, values in columns.items()}


def _in_pieces(
    kind: str, columns: Columns, devices: Mapping[str, Device], profile: Calibration
) -> Times:
    """Times within a node, a large message in the pieces that take least."""
    times = operation_times(kind, columns, devices, profile)
    message = columns["message_bytes"]
    for piece in PIECE_BYTES:
        large = np.flatnonzero(message > piece)
        if not len(large):
            continue
        share = message[large] / piece
        found = operation_times(
            kind, {**_rows(columns, large), "message_bytes": np.full(len(large), piece)}, devices,
            profile,
        )  # fmt: skip
        faster = found.time_s * share < times.time_s[large]
        rows, share = large[faster], share[faster]
        for name in ("time_s", "p10_s", "p90_s"):
            pieces = getattr(found, name)[faster] * share
            getattr(times, name)[rows] = np.maximum(pieces, times.floor_s[rows])
    return times


def _across(
    kind: str,
    columns: Columns,
    devices: Mapping[str, Device],
    networks: Mapping[str, Network],
    profile: Calibration,
) -> Times:
    """Times over several nodes."""
    ranks, nodes, message = (columns[name] for name in ("ranks", "nodes", "message_bytes"))
    each = ranks / nodes
    codes, names = codes_of([columns["device"]], len(nodes))
    known = [networks.get(name, Network(0, None)) for (name,) in names]
    rate = each * np.array([n.bytes_per_s or np.nan for n in known], dtype=float)[codes]
    most = np.array([network.devices for network in known])[codes]
    inside = kind != "send_recv"
    local = {
        **columns, "ranks": np.maximum(np.floor(each), 2.0), "nodes": np.ones(len(nodes)),
        "message_bytes": np.maximum(message * (each / ranks if kind == "all_to_all" else 1.0), 1.0),
    }  # fmt: skip
    near = _in_pieces(kind, local, devices, profile)
    apart = (each < 2) | (not inside)
    volume, least = crossing_bytes(kind, message, ranks=ranks, nodes=nodes)
    network_s = volume / rate / NETWORK_FRACTION
    near_s = np.where(apart, 0.0, near.time_s)
    time_s = np.maximum(near_s, network_s) + HOP_S * np.log2(nodes)
    floor_s = np.maximum(np.where(apart, 0.0, near.floor_s), least / rate)
    reason = _reasons(columns, each, rate, most)
    reason = np.where(reason == "", near.reason, reason)
    time_s[reason != ""] = np.nan
    low, high = (np.exp(each) for each in _BAND)
    bound = np.where(network_s > near_s, "communication", near.bound)
    return Times(
        time_s=time_s,
        p10_s=np.maximum(time_s * low, np.minimum(floor_s, time_s)),
        p90_s=time_s * high,
        floor_s=floor_s,
        bound=np.where(time_s > 4 * network_s, "overhead", bound).astype(object),
        reason=reason,
    )


def _reasons(columns: Columns, each: np.ndarray, rate: np.ndarray, most: np.ndarray) -> np.ndarray:
    reason = np.full(len(each), "", object)
    for row in np.flatnonzero(np.isnan(rate)):
        name = columns["device"][row]
        reason[row] = (
            f"nothing is known about the network between nodes of {name}; name a node with a "
            "network, such as 8x-h100-sxm"
        )
    uneven = (each != np.floor(each)) | (each > most)
    for row in np.flatnonzero(uneven & (reason == "")):
        ranks, nodes = (f"{columns[name][row]:.0f}" for name in ("ranks", "nodes"))
        reason[row] = f"{ranks} ranks do not divide over {nodes} nodes of {most[row]}"
    return reason
