"""Seconds that ranks spend combining partial results."""

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
