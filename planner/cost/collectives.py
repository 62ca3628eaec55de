"""Seconds that ranks spend combining partial results and sending to one another."""

from __future__ import annotations

from planner.arrays import Numeric


def ring_all_reduce_s(message_bytes: Numeric, *, ranks: int, link_bytes_per_s: float) -> Numeric:
    r"""Return the time of an all-reduce at the bandwidth bound.

    .. math::
        t = 2 \frac{p-1}{p} \frac{n}{\beta}

    Latency is not part of the bound.

    Parameters
    ----------
    message_bytes : numeric
        What every rank contributes ``n``. [bytes]
    ranks : int
        Ranks ``p``. [1]
    link_bytes_per_s : float
        One-way bandwidth of a rank ``β``. [bytes/s]

    Returns
    -------
    numeric
        A lower bound. [s]

    References
    ----------
    patarasuk-2009

    Examples
    --------
    >>> ring_all_reduce_s(450e9, ranks=4, link_bytes_per_s=450e9)
    1.5
    """
    return 2 * (ranks - 1) / ranks * message_bytes / link_bytes_per_s


def message_s(kind: str, message_bytes: Numeric, *, ranks: int, link_bytes_per_s: float) -> Numeric:
    r"""Return the time of an operation between ranks at the bandwidth bound.

    .. math::
        t_\text{all-reduce} = 2 \frac{p-1}{p} \frac{n}{\beta} \quad
        t_\text{all-to-all} = \frac{p-1}{p} \frac{n}{\beta} \quad
        t_\text{send} = \frac{n}{\beta}

    Parameters
    ----------
    kind : str
        Kind of an operation.
    message_bytes : numeric
        What a rank contributes or sends ``n``. [bytes]
    ranks : int
        Ranks ``p``. [1]
    link_bytes_per_s : float
        One-way bandwidth of a rank ``β``. [bytes/s]

    Returns
    -------
    numeric
        A lower bound; 0 for what is no message. [s]

    References
    ----------
    patarasuk-2009

    Examples
    --------
    >>> message_s("all_to_all", 450e9, ranks=4, link_bytes_per_s=450e9)
    0.75
    """
    if kind == "all_reduce":
        return ring_all_reduce_s(message_bytes, ranks=ranks, link_bytes_per_s=link_bytes_per_s)
    share = {"all_to_all": (ranks - 1) / ranks, "send_recv": 1.0, "host_copy": 1.0}.get(kind, 0.0)
    return share * message_bytes / link_bytes_per_s
