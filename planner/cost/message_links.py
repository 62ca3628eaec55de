"""What the ranks of each row of a table talk over, and whose measurements speak for that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from planner.cost.work import Columns, codes_of
from planner.hardware import Device, Hardware, Link


@dataclass(frozen=True, slots=True)
class RowLinks:
    """Links of the rows of a table.

    Parameters
    ----------
    bytes_per_s : numpy.ndarray
        What one rank sends at once; NaN where nothing is known. [bytes/s]
    direct : numpy.ndarray
        Whether they are direct, and not those to the host.
    """

    bytes_per_s: np.ndarray
    direct: np.ndarray


def row_links(columns: Columns, devices: tuple[Device, ...], codes: np.ndarray) -> RowLinks:
    """Return what ranks talk over, row by row.

    Parameters
    ----------
    columns : mapping
        With ``ranks``.
    devices : tuple of Device
        Distinct ones.
    codes : numpy.ndarray
        Which of them each row runs on. [1]

    Returns
    -------
    RowLinks
        The direct link where it joins that many; else, within one host, the link to it.

    Examples
    --------
    >>> from planner.hardware import load_device
    >>> ranks = {"ranks": np.array([2.0, 8.0])}
    >>> found = row_links(ranks, (load_device("l40s"),), np.zeros(2, int))
    >>> found.bytes_per_s.tolist(), found.direct.tolist()
    ([31500000000.0, 31500000000.0], [False, False])
    """
    rows, groups = codes_of([codes.astype(float), columns["ranks"]], len(codes))
    links = [_link(devices[int(code)], int(ranks)) for code, ranks in groups]
    rates = [link.per_direction_bytes_per_s if link else np.nan for link in links]
    direct = [
        devices[int(code)].scale_up is not None
        and (link is None or link is not devices[int(code)].host)
        for link, (code, _) in zip(links, groups, strict=True)
    ]
    return RowLinks(np.array(rates, dtype=float)[rows], np.array(direct, dtype=bool)[rows])


def _link(device: Device, ranks: int) -> Link | None:
    return Hardware(device=device, devices=ranks).link(max(ranks, 2))[0]


def alike(device: Device, measured: Mapping[str, Device], *, direct: bool) -> dict[str, Device]:
    """Return the measured devices whose ranks talk over the same sort of link.

    Parameters
    ----------
    device : Device
        Any device.
    measured : mapping
        Devices to choose among, by id.
    direct : bool
        Whether the link is direct.

    Returns
    -------
    dict
        Itself among them, where it was measured.
    """
    return {
        name: each
        for name, each in measured.items()
        if name == device.id or (each.scale_up is not None) == direct
    }
