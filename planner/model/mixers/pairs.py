"""Which keys a query sees, counted: causal, windowed, chunked, and from both sides."""

from __future__ import annotations

from planner.arrays import Numeric, maximum, minimum


def causal_pairs(new_tokens: Numeric, cached_tokens: Numeric, window: int | None) -> Numeric:
    r"""Return the query-key pairs of one sequence that a causal mask admits.

    .. math::
        \sum_{i=0}^{S-1} \min(C + i + 1, W) = aC + a(a+1)/2 + (S-a)W, \quad
        a = \mathrm{clamp}(W - C, 0, S)

    Parameters
    ----------
    new_tokens : numeric
        Queries ``S``. [tokens]
    cached_tokens : numeric
        Keys before the first query ``C``. [tokens]
    window : int or None
        Keys a query may see, itself included ``W``; None for all. [tokens]

    Returns
    -------
    numeric
        Pairs. [1]

    References
    ----------
    jiang-2023

    Examples
    --------
    >>> causal_pairs(8192, 0, None), causal_pairs(8192, 0, 4096)
    (33558528.0, 25167872.0)
    """
    if window is None:
        return new_tokens * cached_tokens + new_tokens * (new_tokens + 1) / 2
    growing = minimum(maximum(window - cached_tokens, 0), new_tokens)
    return growing * cached_tokens + growing * (growing + 1) / 2 + (new_tokens - growing) * window


def chunked_pairs(new_tokens: Numeric, cached_tokens: Numeric, chunk: int) -> Numeric:
    r"""Return the pairs where a query sees the keys of its own chunk up to itself.

    .. math::
        P(C + S) - P(C), \quad P(n) = q\,c(c+1)/2 + r(r+1)/2, \quad n = qc + r

    Parameters
    ----------
    new_tokens : numeric
        Queries ``S``. [tokens]
    cached_tokens : numeric
        Keys before the first query ``C``. [tokens]
    chunk : int
        Tokens of a chunk ``c``. [tokens]

    Returns
    -------
    numeric
        Pairs. [1]

    References
    ----------
    meta-2025

    Examples
    --------
    >>> chunked_pairs(20000, 0, 8192), chunked_pairs(1, 8192, 8192)
    (73656592.0, 1.0)
    """

    def first(tokens: Numeric) -> Numeric:
        rest = tokens % chunk
        return tokens // chunk * (chunk * (chunk + 1) / 2) + rest * (rest + 1) / 2

    return first(cached_tokens + new_tokens) - first(cached_tokens)


def mutual_pairs(tokens: Numeric, window: int | None = None, chunk: int | None = None) -> Numeric:
    r"""Return the pairs of a sequence that is read in both directions at once.

    .. math::
        n^2 \quad\text{or}\quad \sum_{i=0}^{n-1} |\{j : |i - j| < W\}| = 2 \sum_i \min(i+1, W) - n

    Parameters
    ----------
    tokens : numeric
        Length of the sequence ``n``. [tokens]
    window : int, optional
        Keys a query may see on either side, itself included ``W``; all without it. [tokens]
    chunk : int, optional
        Tokens of a chunk, where a query sees its own only. [tokens]

    Returns
    -------
    numeric
        Pairs. [1]

    References
    ----------
    devlin-2019, warner-2024

    Examples
    --------
    >>> mutual_pairs(512), mutual_pairs(8192, 65), mutual_pairs(1024, chunk=64)
    (262144, 1052608.0, 65536)
    """
    if chunk is not None:
        return tokens // chunk * chunk**2 + (tokens % chunk) ** 2
    if window is None:
        return tokens * tokens
    return 2 * causal_pairs(tokens, 0, window) - tokens


def visible_keys(
    new_tokens: Numeric, cached_tokens: Numeric, window: int | None, chunk: int | None = None
) -> Numeric:
    """Return the keys of one sequence that at least one new query sees.

    Parameters
    ----------
    new_tokens : numeric
        Queries. [tokens]
    cached_tokens : numeric
        Keys before the first query. [tokens]
    window : int or None
        Keys a query may see, itself included. [tokens]
    chunk : int, optional
        Tokens of a chunk, where a query sees its own only. [tokens]

    Returns
    -------
    numeric
        ``min(C + S, W - 1 + S)``; with chunks, from the start of the first query's on. [tokens]

    Examples
    --------
    >>> visible_keys(1, 8191, None), visible_keys(1, 8191, 128), visible_keys(1, 8192, None, 8192)
    (8192, 128, 1)
    """
    if chunk is not None:
        return cached_tokens % chunk + new_tokens
    if window is None:
        return cached_tokens + new_tokens
    return minimum(cached_tokens, window - 1) + new_tokens
