"""What every Triton kernel here needs: the interpreter, products, rounding, device classes.

Without a CUDA device Triton's interpreter runs the kernels on the host, for correctness on small
shapes. It must be asked for before Triton is imported, so every kernel takes ``triton``, ``tl`` and
``TensorDescriptor`` from here and never imports Triton itself.
"""

import os
import sys
from typing import Literal

import torch

if "triton" not in sys.modules and not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")

import triton
import triton.language as tl
from triton.tools.tensor_descriptor import TensorDescriptor

from validation.kernels.kernel import Answer

__all__ = [
    "DeviceClass", "INTERPRETED", "LOG2_E", "TensorDescriptor", "device_class", "dot", "fit_tile",
    "multiprocessors", "narrow", "tl", "triton", "triton_available",
]  # fmt: skip

DeviceClass = Literal["interpreter", "small", "ampere", "hopper", "blackwell"]

LOG2_E = 1.4426950408889634
# Triton's own functions were made when it was first imported, for the interpreter or the compiler.
INTERPRETED = tl.constexpr(not isinstance(tl.cdiv, triton.JITFunction))

_OLDEST_CAPABILITY = (8, 0)
_HOST_MULTIPROCESSORS = 4
# Programs per multiprocessor that keep enough of a state in flight to saturate memory.
_STATE_PROGRAMS = 8


@triton.jit
def narrow(values, dtype: tl.constexpr):
    """Round fp32 to a dtype, to nearest even also where the interpreter would cut bits off."""
    if INTERPRETED and dtype == tl.bfloat16:
        bits = values.to(tl.uint32, bitcast=True)
        bits = (bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000
        rounded = bits.to(tl.float32, bitcast=True).to(tl.bfloat16)
    else:
        rounded = values.to(dtype)
    return rounded


@triton.jit
def dot(left, right, total):
    """Add a product of matrices to an fp32 total.

    fp32 operands are multiplied as fp32, never as TF32. The interpreter multiplies the bit
    patterns of bf16, so there the operands are widened first, which loses nothing.
    """
    if INTERPRETED:
        left = left.to(tl.float32)
        right = right.to(tl.float32)
    return tl.dot(left, right, total, input_precision="ieee")


def triton_available(device: torch.device) -> Answer:
    """Return whether Triton kernels run on a device.

    Parameters
    ----------
    device : torch.device
        Where they would run.

    Returns
    -------
    (bool, str)
        Yes or no, and why not.
    """
    if device.type == "cpu":
        if INTERPRETED.value:
            return True, ""
        return False, (
            "Triton runs on the CPU only in its interpreter, and was imported before "
            "TRITON_INTERPRET=1 was set"
        )
    if device.type != "cuda" or not torch.cuda.is_available():
        return False, f"no Triton kernels for {device}"
    if torch.version.hip is not None:
        return False, "the tiles are chosen for NVIDIA devices only"
    if INTERPRETED.value:
        return False, "TRITON_INTERPRET is set: a time would be the interpreter's"
    capability = torch.cuda.get_device_capability(device)
    if capability < _OLDEST_CAPABILITY:
        return False, f"needs compute capability 8.0 or newer, not {capability[0]}.{capability[1]}"
    return True, ""


def device_class(device: torch.device) -> DeviceClass:
    """Return the class of devices whose tile table applies.

    Parameters
    ----------
    device : torch.device
        Where the kernel runs.

    Returns
    -------
    str
        ``hopper`` and ``blackwell`` (of data centres) have 227 KiB of shared memory per block and
        load tiles by descriptor, ``ampere`` has 163 KiB, ``small`` 99 KiB (consumer devices).
    """
    if device.type == "cpu":
        return "interpreter"
    major, minor = torch.cuda.get_device_capability(device)
    if major == 9:
        return "hopper"
    if major in (10, 11):
        return "blackwell"
    return "ampere" if (major, minor) in ((8, 0), (8, 7)) else "small"


def multiprocessors(device: torch.device) -> int:
    """Return how many multiprocessors share the work.

    Parameters
    ----------
    device : torch.device
        Where the kernel runs.

    Returns
    -------
    int
        A token number on the host, so that splitting is exercised there. [1]
    """
    if device.type == "cpu":
        return _HOST_MULTIPROCESSORS
    return int(torch.cuda.get_device_properties(device).multi_processor_count)


def fit_tile(width: int, programs: int, device: torch.device, least: int, most: int) -> int:
    """Return how wide a slice of a state one program updates.

    Parameters
    ----------
    width : int
        Width of the state along the axis that is sliced. [elements]
    programs : int
        Programs without slicing. [1]
    device : torch.device
        Where the kernel runs.
    least, most : int
        Bounds, powers of two. [elements]

    Returns
    -------
    int
        The widest power of two that still gives each multiprocessor several programs. [elements]
    """
    tile = min(most, max(least, triton.next_power_of_2(width)))
    wanted = _STATE_PROGRAMS * multiprocessors(device)
    while tile > least and programs * triton.cdiv(width, tile) < wanted:
        tile //= 2
    return tile
