"""Outputs and workspaces, full of NaN where an unwritten element must show."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

_poison = False


@contextmanager
def poisoned_workspaces() -> Iterator[None]:
    """Fill workspaces with NaN inside this context, so that reading an unwritten one shows."""
    global _poison  # noqa: PLW0603
    before, _poison = _poison, True
    try:
        yield
    finally:
        _poison = before


def workspace(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """Return memory between two kernels of one launch.

    Parameters
    ----------
    shape : tuple of int
        Its shape. [elements]
    dtype : torch.dtype
        A floating dtype.
    device : torch.device
        Where the kernels run.

    Returns
    -------
    torch.Tensor
        Uninitialised, or NaN within :func:`poisoned_workspaces`.
    """
    if _poison:
        return torch.full(shape, float("nan"), dtype=dtype, device=device)
    return torch.empty(shape, dtype=dtype, device=device)


def poisoned(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """Return an output full of NaN.

    Parameters
    ----------
    shape : tuple of int
        Its shape. [elements]
    dtype : torch.dtype
        A floating dtype.
    device : torch.device
        Where the kernel runs.

    Returns
    -------
    torch.Tensor
        An element that the kernel does not write stays NaN.
    """
    return torch.full(shape, float("nan"), dtype=dtype, device=device)
