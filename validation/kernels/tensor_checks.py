"""What a kernel asks of its tensors, and the error where it does not get it."""

from __future__ import annotations

import torch

from validation.kernels.kernel import KernelInputError


def require(condition: bool, where: str, what: str, got: object, allowed: str) -> None:
    """Raise unless a condition on a kernel's inputs holds.

    Parameters
    ----------
    condition : bool
        What must hold.
    where, what : str
        The argument and what is wrong with it.
    got : object
        What was given.
    allowed : str
        What is allowed.

    Raises
    ------
    KernelInputError
        It does not hold.
    """
    if not condition:
        raise KernelInputError(what, where=where, got=got, allowed=allowed)


def require_shape(where: str, tensor: torch.Tensor, shape: tuple[int, ...]) -> None:
    """Raise unless a tensor has a shape.

    Parameters
    ----------
    where : str
        The argument.
    tensor : torch.Tensor
        Its value.
    shape : tuple of int
        What it must have. [elements]

    Raises
    ------
    KernelInputError
        It has another.
    """
    require(tuple(tensor.shape) == shape, where, "wrong shape", tuple(tensor.shape), str(shape))


def require_floating(where: str, *given: torch.Tensor) -> None:
    """Raise unless tensors are of one floating dtype that tensor cores or fp32 units take.

    Parameters
    ----------
    where : str
        The arguments.
    *given : torch.Tensor
        Their values.

    Raises
    ------
    KernelInputError
        They differ, or are of another dtype.
    """
    allowed = (torch.bfloat16, torch.float16, torch.float32)
    found = {tensor.dtype for tensor in given}
    require(
        len(found) == 1 and given[0].dtype in allowed,
        where,
        "dtypes that do not go together",
        ", ".join(sorted(str(each) for each in found)),
        "one of bfloat16, float16, float32",
    )


def require_last_axis_contiguous(where: str, *given: torch.Tensor) -> None:
    """Raise unless the last axis of every tensor is dense in memory.

    Parameters
    ----------
    where : str
        The arguments.
    *given : torch.Tensor
        Their values.

    Raises
    ------
    KernelInputError
        One has a stride there.
    """
    strides = [tensor.stride(-1) for tensor in given]
    require(set(strides) == {1}, where, "last axis is strided", strides, "stride 1")
