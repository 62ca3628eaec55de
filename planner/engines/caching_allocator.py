"""What PyTorch's caching allocator counts for a tensor: the whole block that it stands in."""

from __future__ import annotations

from planner.units import MIB

_SMALL = 512
_LARGEST_SMALL = MIB
_OWN_SEGMENT = 10 * MIB
_SEGMENT_STEP = 2 * MIB


def block_bytes(size: int) -> int:
    """Return the block that a tensor is given on a device.

    Tensors of 10 MiB and more get a segment of their own in steps of 2 MiB; what is left of it goes
    to others only where it is more than 1 MiB.

    Parameters
    ----------
    size : int
        The tensor. [bytes]

    Returns
    -------
    int
        Its block. [bytes]

    References
    ----------
    pytorch-allocator

    Examples
    --------
    >>> [block_bytes(int(size * 2**20)) / 2**20 for size in (24.5, 31.5, 259, 260)]
    [24.5, 32.0, 260.0, 260.0]
    """
    own = -(-size // _SMALL) * _SMALL
    if size < _OWN_SEGMENT:
        return own
    segment = -(-size // _SEGMENT_STEP) * _SEGMENT_STEP
    return segment if segment - own <= _LARGEST_SMALL else own
