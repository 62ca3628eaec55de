"""Orders in which exact attention may be computed, and what one head moves in each.

The FLOP are the same in every order; the bytes are not. *Materialised*: scores and probabilities
are written to device memory and read again. *FlashAttention-1*: keys and values outside, queries
inside, partial outputs go to and fro. *FlashAttention-2 and -3*: queries outside, keys and values
stream past each tile of queries.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd

from planner.arrays import Numeric, ceil_div, maximum, minimum
from planner.errors import ScenarioError
from planner.hardware import Device
from planner.model.storage import BF16, Format

_QUERY_ROWS = 128
_STAGES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """What one multiprocessor holds at a time.

    Parameters
    ----------
    query_rows, key_rows : int
        Queries, and keys with their values. [tokens]
    """

    query_rows: int
    key_rows: int


def attention_tile(device: Device, head_dim: int, fmt: Format = BF16) -> Tile:
    """Return the tile that fits into the shared memory of a multiprocessor.

    128 queries, and the most keys and values, a power of two and at most 128, that fit beside them
    twice: one pair is multiplied while the next is loaded. Wide heads take fewer queries.

    Parameters
    ----------
    device : Device
        Gives the shared memory.
    head_dim : int
        Width of a head. [elements]
    fmt : Format
        Format of queries, keys and values.

    Returns
    -------
    Tile
        Rows of queries and of keys.

    Raises
    ------
    ScenarioError
        The device's shared memory is not known, or too small for any tile.

    References
    ----------
    dao-2023, shah-2024

    Examples
    --------
    >>> from planner.hardware import load_device
    >>> attention_tile(load_device("h100-sxm"), 128)
    Tile(query_rows=128, key_rows=128)
    >>> attention_tile(load_device("l4"), 128)
    Tile(query_rows=128, key_rows=64)
    """
    shared = shared_memory_bytes(device)
    row = head_dim * fmt.bits // 8
    queries = _QUERY_ROWS
    while queries >= 16:
        free = shared - queries * row
        keys = _QUERY_ROWS
        while keys >= 16:
            if 2 * _STAGES * keys * row <= free:
                return Tile(query_rows=queries, key_rows=keys)
            keys //= 2
        queries //= 2
    raise ScenarioError(
        "no tile of attention fits into the shared memory",
        where=f"{device.id}: shared memory",
        got=shared,
        allowed=f"at least {5 * 16 * row:,} bytes for heads of {head_dim}",
    )


def shared_memory_bytes(device: Device) -> int:
    """Return the shared memory of one multiprocessor.

    Parameters
    ----------
    device : Device
        The device.

    Returns
    -------
    int
        As its vendor states it. [bytes]

    Raises
    ------
    ScenarioError
        Not known.

    Examples
    --------
    >>> from planner.hardware import load_device
    >>> shared_memory_bytes(load_device("a100-sxm-80gb")) // 1024
    164
    """
    found = device.shared_memory_per_multiprocessor_bytes
    if found is None:
        raise ScenarioError(
            "the shared memory of a multiprocessor is not known", where=device.id, got=None
        )
    return found


def materialised_elements(tokens: Numeric, head_dim: Numeric, masks: int = 0) -> Numeric:
    r"""Return what attention moves that writes scores and probabilities to device memory.

    .. math::
        (4 + m) N^2 + 4 N d

    Parameters
    ----------
    tokens : numeric
        Queries and keys ``N``. [tokens]
    head_dim : numeric
        Width of the head ``d``. [elements]
    masks : int
        Further square tensors ``m`` that are read, such as a mask or dropout. [1]

    Returns
    -------
    numeric
        Elements of one head, read and written: scores twice, probabilities twice, queries, keys,
        values and outputs once. [elements]

    References
    ----------
    dao-2022

    Examples
    --------
    >>> materialised_elements(8192, 128) * 2 / 2**20
    520.0
    """
    return (4 + masks) * tokens * tokens + 4 * tokens * head_dim


def flash1_elements(tokens: Numeric, head_dim: Numeric, on_chip: Numeric) -> Numeric:
    r"""Return what FlashAttention-1 moves: keys and values outside, queries inside.

    .. math::
        2 N d + \lceil N / B_c \rceil (3 N d + 4 N), \quad B_c = \lfloor M / 4d \rfloor

    For every block of keys and values, queries are read, partial outputs read and written, and two
    statistics of each row read and written.

    Parameters
    ----------
    tokens : numeric
        Queries and keys ``N``. [tokens]
    head_dim : numeric
        Width of the head ``d``. [elements]
    on_chip : numeric
        On-chip memory ``M``. [elements]

    Returns
    -------
    numeric
        Elements of one head, read and written. [elements]

    References
    ----------
    dao-2022

    Examples
    --------
    >>> flash1_elements(8192, 128, 51_200) * 2 / 2**20
    501.125
    """
    blocks = ceil_div(tokens, maximum(on_chip // (4 * head_dim), 1))
    return 2 * tokens * head_dim + blocks * (3 * tokens * head_dim + 4 * tokens)


def streamed_keys(tokens: Numeric, tile: Tile, *, causal: bool) -> Numeric:
    r"""Return the keys that stream past all tiles of queries together.

    .. math::
        \sum_i \min(N, \lceil h_i / B_c \rceil B_c), \quad h_i = (i+1) B_r \text{ if causal else } N

    Parameters
    ----------
    tokens : numeric
        Queries and keys ``N``. [tokens]
    tile : Tile
        Rows of queries ``B_r`` and of keys ``B_c``. [tokens]
    causal : bool
        Whether tiles beyond the diagonal are skipped.

    Returns
    -------
    numeric
        Keys, each as often as it is read. [tokens]

    References
    ----------
    dao-2023

    Examples
    --------
    >>> streamed_keys(8192, Tile(query_rows=128, key_rows=64), causal=True)
    266240
    """
    queries, keys = tile.query_rows, tile.key_rows
    tiles = ceil_div(tokens, queries)
    if not causal:
        return tiles * tokens
    shared = gcd(queries, keys)
    period, advance = keys // shared, queries // shared
    total: Numeric = 0
    for first in range(1, period + 1):
        rounds = maximum((tiles - 1 - first) // period + 1, 0)
        total = total + advance * rounds * (rounds - 1) // 2 + rounds * -(-first * queries // keys)
    return minimum(total * keys + tokens, tiles * tokens)


def flash2_elements(tokens: Numeric, head_dim: Numeric, tile: Tile, *, causal: bool) -> Numeric:
    """Return what FlashAttention-2 and -3 move where no cache helps: queries outside.

    Parameters
    ----------
    tokens : numeric
        Queries and keys. [tokens]
    head_dim : numeric
        Width of the head. [elements]
    tile : Tile
        Rows of queries and of keys. [tokens]
    causal : bool
        Whether tiles beyond the diagonal are skipped.

    Returns
    -------
    numeric
        Elements of one head, read and written: queries and outputs once, keys and values once for
        every tile of queries that sees them. [elements]

    References
    ----------
    dao-2023, shah-2024

    Examples
    --------
    >>> tile = Tile(query_rows=128, key_rows=64)
    >>> [round(flash2_elements(8192, 128, tile, causal=c) * 2 / 2**20) for c in (False, True)]
    [260, 134]
    """
    return 2 * tokens * head_dim + 2 * head_dim * streamed_keys(tokens, tile, causal=causal)
