"""Splitting the keys of one sequence over programs, and putting the parts together.

In decoding a sequence has few queries, so batch and KV heads alone rarely fill a device. Each split
attends to a part of the keys on its own and leaves its output and the log-sum-exp of its scores;
the second kernel weighs the parts.

References
----------
Dao, Haziza, Massa and Sizov (2023), Flash-Decoding for long-context inference
"""

from dataclasses import dataclass

import torch

from validation.kernels.buffers import workspace
from validation.kernels.launch import narrow, tl, triton

# Starting a program, filling its pipeline and writing its part cost about as much as this many
# tiles of keys.
_SPLIT_COST_TILES = 2
_MOST_SPLITS = 128


def choose_splits(programs: int, tiles: int, resident: int) -> int:
    """Return over how many programs the keys of a sequence are split.

    The time is waves of programs times the tiles that one walks over; the number with the
    shortest wins, the smallest of equals. It depends on shapes alone, never on data on the device,
    so a launch can be recorded in a CUDA graph.

    Parameters
    ----------
    programs : int
        Programs without splitting: sequences × KV heads × tiles of queries. [1]
    tiles : int
        Tiles of keys of the longest sequence. [1]
    resident : int
        Programs that the device holds at once. [1]

    Returns
    -------
    int
        From 1 to ``min(tiles, 128)``. [1]

    Examples
    --------
    >>> choose_splits(8, 128, 264), choose_splits(1024, 128, 264), choose_splits(1, 1, 264)
    (32, 1, 1)
    """

    def cost(splits: int) -> int:
        waves = -(-programs * splits // resident)
        return waves * (-(-tiles // splits) + _SPLIT_COST_TILES)

    return min(range(1, max(1, min(tiles, _MOST_SPLITS)) + 1), key=cost)


@triton.jit
def split_range(length, oldest, split, splits, block_n: tl.constexpr):
    """Return where a split starts and stops among the keys from the oldest one seen."""
    tiles = tl.cdiv(length, block_n) - oldest // block_n
    tiles_per_split = tl.cdiv(tiles, splits)
    start = (oldest // block_n + split * tiles_per_split) * block_n
    return start, tl.minimum(start + tiles_per_split * block_n, length)


@dataclass(frozen=True, slots=True)
class Parts:
    """What the splits leave for the second kernel.

    Parameters
    ----------
    out : torch.Tensor
        Outputs, shape ``(splits, rows, width)``, fp32; or the result itself where there is one
        split.
    peak : torch.Tensor
        Base-2 logarithms of the sums of exponentials, shape ``(splits, rows)``, fp32.
    """

    out: torch.Tensor
    peak: torch.Tensor


def make_parts(splits: int, out: torch.Tensor) -> Parts:
    """Return room for what the splits leave.

    Parameters
    ----------
    splits : int
        How many there are. [1]
    out : torch.Tensor
        The result, contiguous, shape ``(…, width)``.

    Returns
    -------
    Parts
        One split writes the result itself.
    """
    width = out.shape[-1]
    rows = out.numel() // width
    peak = workspace((splits, rows), torch.float32, out.device)
    if splits == 1:
        return Parts(out, peak)
    return Parts(workspace((splits, rows, width), torch.float32, out.device), peak)


@triton.jit
def store_part(
    parts, peaks, attended, peak, total, split, row, rows, real, width: tl.constexpr
):  # fmt: skip
    """Store a split's output and log-sum-exp; a split without keys weighs nothing."""
    some = total > 0
    attended = attended / tl.where(some, total, 1.0)[:, None]
    place = split.to(tl.int64) * rows + row
    dims = tl.arange(0, width)
    result = narrow(attended, parts.dtype.element_ty)
    tl.store(parts + place[:, None] * width + dims[None, :], result, mask=real[:, None])
    weight = peak + tl.log2(tl.where(some, total, 1.0))
    tl.store(peaks + place, tl.where(some, weight, float("-inf")), mask=real)


@triton.jit
def _combine(
    parts, peaks, out, rows, splits,
    width: tl.constexpr, splits_padded: tl.constexpr, block: tl.constexpr,
):  # fmt: skip
    """Weigh the splits' outputs of one row by their sums of exponentials."""
    row = tl.program_id(0)
    every = tl.arange(0, splits_padded)
    weights = tl.load(peaks + every * rows + row, mask=every < splits, other=float("-inf"))
    highest = tl.max(weights, 0)
    total = tl.sum(tl.exp2(weights - highest), 0)

    dims = tl.arange(0, width)
    attended = tl.zeros([width], dtype=tl.float32)
    for first in tl.range(0, splits, block):
        some = first + tl.arange(0, block)
        inside = some < splits
        weight = tl.load(peaks + some * rows + row, mask=inside, other=float("-inf"))
        place = some.to(tl.int64) * rows + row
        part = tl.load(
            parts + place[:, None] * width + dims[None, :], mask=inside[:, None], other=0.0
        )
        attended += tl.sum(part * tl.exp2(weight - highest)[:, None], 0)
    result = narrow(attended / total, out.dtype.element_ty)
    tl.store(out + row.to(tl.int64) * width + dims, result)


def combine(parts: Parts, out: torch.Tensor) -> None:
    """Put the splits together; nothing to do where there is one.

    Parameters
    ----------
    parts : Parts
        What the splits left.
    out : torch.Tensor
        The result, contiguous, shape ``(…, width)``; written here.
    """
    splits, rows = parts.peak.shape
    if splits == 1:
        return
    width = out.shape[-1]
    _combine[(rows,)](
        parts.out,
        parts.peak,
        out,
        rows,
        splits,
        width=width,
        splits_padded=triton.next_power_of_2(splits),
        block=min(triton.next_power_of_2(splits), max(1, 2048 // width)),
        num_warps=4 if width > 128 else 2,
    )
