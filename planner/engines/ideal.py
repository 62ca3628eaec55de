"""No engine: caches lie one after the other, and nothing is set aside."""

from __future__ import annotations


def ideal_answer(
    *, pool_bytes: int, concurrency: float | None, context: int, longest: int | None
) -> dict[str, object]:
    """Return what an engine's answer looks like where none was named.

    Parameters
    ----------
    pool_bytes : int
        Room for caches on one device. [bytes]
    concurrency : float or None
        Sequences of the given context that the pool holds. [1]
    context : int
        Tokens of each. [tokens]
    longest : int or None
        Longest context at which the load fits. [tokens]

    Returns
    -------
    dict
        The same keys that an engine gives.

    Examples
    --------
    >>> ideal_answer(pool_bytes=1, concurrency=2.5, context=100, longest=400)["blocks"]
    250
    """
    tokens = None if concurrency is None else int(concurrency * context)
    return {
        "name": "ideal",
        "version": None,
        "cache_pool_bytes": pool_bytes,
        "block_tokens": 1,
        "blocks": tokens,
        "reported_cache_tokens": tokens,
        "max_concurrency": concurrency,
        "max_context_tokens": longest,
    }
