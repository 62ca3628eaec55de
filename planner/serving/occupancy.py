"""How many sequences a replica can have in flight: by its pool, and by the tokens of its steps."""

from __future__ import annotations

from planner.serving.load_shape import LoadShape
from planner.serving.paged_pool import CachePool


def resident_blocks(shape: LoadShape, pool: CachePool) -> float:
    """Return the mean blocks of a decoding request.

    Parameters
    ----------
    shape : LoadShape
        The load.
    pool : CachePool
        Gives the block.

    Returns
    -------
    float
        Half a block more than its tokens fill: the last block is half full in the mean. [1]
    """
    private = shape.resident_tokens * shape.private_fraction
    return pool.sequence_blocks + private / pool.block_tokens + 0.5 * (1 - 1 / pool.block_tokens)


def pool_limit(shape: LoadShape, pool: CachePool) -> float:
    """Return how many sequences the pool holds when prompts are admitted as soon as they fit.

    Parameters
    ----------
    shape : LoadShape
        The load.
    pool : CachePool
        The pool.

    Returns
    -------
    float
        The pool less what the next prompt in line is short of, E[P²] / 2 E[P] in the mean, over
        the mean resident. Good to a tenth where ten or more sequences fit. [1]
    """
    if pool.blocks is None:
        return float("inf")
    new = shape.new_tokens
    short = pool.sequence_blocks + float((new**2).mean() / (2 * new.mean())) / pool.block_tokens
    room = pool.blocks - short
    return max(room / resident_blocks(shape, pool), 1.0)


def tokens_limit(shape: LoadShape, max_num_batched_tokens: int) -> float:
    """Return the batch at which every step is full of tokens.

    Parameters
    ----------
    shape : LoadShape
        The load.
    max_num_batched_tokens : int
        Most tokens in one step. [tokens]

    Returns
    -------
    float
        Prompts bring so many tokens for each decode step of a request, and no step has room for
        more; exact where prompts can be cut anywhere, as chunked prefill does. [1]
    """
    steps = shape.decode_steps
    return max_num_batched_tokens * steps / (steps + float(shape.new_tokens.mean()))


def rereads_bound(shape: LoadShape) -> float:
    r"""Return how often a sequence is put back at most, in the mean, while the pool is full.

    An end frees a prompt and an output, and prompts are let in until less than one is free. The
    caches then grow by an output, the mean, until the next end, and each sequence that is put back
    makes room for a prompt at least: :math:`O / P` of them.

    Parameters
    ----------
    shape : LoadShape
        The load.

    Returns
    -------
    float
        Times per request. [1]
    """
    return max(shape.decode_steps, 0.0) / float(shape.new_tokens.mean())


def rereads(shape: LoadShape) -> float:
    """Return an estimate of how often a sequence is put back while the pool is full.

    The room that growth finds is the residual of an output, (1 + c²) / 2 of its mean, half of
    which those that are put back had grown into.

    Parameters
    ----------
    shape : LoadShape
        The load.

    Returns
    -------
    float
        Times per request, at most the bound. Within a factor of two in simulation. [1]
    """
    return min((1 + shape.output_cv2) / 4, 1.0) * rereads_bound(shape)


__all__ = ["pool_limit", "rereads", "rereads_bound", "resident_blocks", "tokens_limit"]
