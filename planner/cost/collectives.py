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


def crossing_bytes(
    kind: str, message_bytes: Numeric, *, ranks: Numeric, nodes: Numeric
) -> tuple[Numeric, Numeric]:
    r"""Return what crosses the edge of a node, one way, where ranks stand on several nodes.

    .. math::
        V_\text{all-reduce} = n \ (N = 2), \ 2 \frac{p-1}{p} n \ (N > 2) \quad
        V_\text{all-to-all} = g \frac{N-1}{N} n \quad V_\text{send} = g n

    Parameters
    ----------
    kind : str
        Kind of an operation.
    message_bytes : numeric
        What a rank contributes or sends ``n``. [bytes]
    ranks, nodes : numeric
        Ranks ``p`` and nodes ``N``, on each of which are ``g = p / N``. [1]

    Returns
    -------
    (numeric, numeric)
        As NCCL sends it, by a tree between two nodes and by rings among more; and at least: no
        node needs more than the others' sums. [bytes]

    Examples
    --------
    >>> crossing_bytes("all_reduce", 1e9, ranks=32, nodes=4)
    (1937500000.0, 1500000000.0)
    """
    each, others = ranks / nodes, (nodes - 1) / nodes
    if kind == "all_reduce":
        rings = 2 * (ranks - 1) / ranks * message_bytes
        by_tree = nodes == 2
        return by_tree * message_bytes + (1 - by_tree) * rings, 2 * others * message_bytes
    if kind == "all_to_all":
        return each * others * message_bytes, each * others * message_bytes
    if kind == "send_recv":
        return each * message_bytes, each * message_bytes
    return (ranks - 1) / ranks * message_bytes, others * message_bytes
