"""Attention backends: which sizes of block each serves, and how it packs a latent cache."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from planner.errors import ScenarioError
from planner.hardware import Device

Need = Literal["attention", "latent", "sparse_latent", "selected", "compressed"]
"""What a layer's attention asks of a backend."""

DEFAULT_BLOCK_TOKENS = 16
SELECTED = "MINIMAX_M3_SPARSE"
_WIDE_HEAD = 512


@dataclass(frozen=True, slots=True)
class Backend:
    """A kernel for the attention of some layers.

    Parameters
    ----------
    name : str
        As the engine calls it.
    kernel_tokens : int
        Smallest block that it serves; it serves multiples as well. [tokens]
    preferred_tokens : int
        Block that it asks for where none was given. [tokens]
    packed_latent : bool
        Whether an fp8 latent keeps its rotated part in bf16, with scales beside it.
    """

    name: str
    kernel_tokens: int
    preferred_tokens: int
    packed_latent: bool = False


def capability(device: Device) -> int:
    """Return the major compute capability of a device.

    Parameters
    ----------
    device : Device
        The device.

    Returns
    -------
    int
        Such as 9 for Hopper; 0 for what is not from NVIDIA. [1]

    Examples
    --------
    >>> from planner.hardware import load_device
    >>> capability(load_device("h100-sxm")), capability(load_device("mi300x"))
    (9, 0)
    """
    text = device.compute_capability or ""
    major, dot, _ = text.partition(".")
    return int(major) if dot and major.isdigit() else 0


def choose_backend(
    need: Need,
    major: int,
    *,
    fp8: bool,
    widest_head: int,
    given: int | None = None,
    brought: bool = False,
) -> Backend:
    """Return the backend that vLLM takes first among those that can serve a layer.

    Parameters
    ----------
    need : str
        What the layer asks for.
    major : int
        Major compute capability. [1]
    fp8 : bool
        Whether the cache is kept in fp8.
    widest_head : int
        Widest head of the model. [elements]
    given : int, optional
        Block that a person asked for; a backend that does not serve it is passed over where
        another can take its place. [tokens]
    brought : bool
        Whether the checkpoint asks for fp8, and not a person.

    Returns
    -------
    Backend
        With the sizes of block that it serves.

    Raises
    ------
    ScenarioError
        No backend can serve the layer.

    References
    ----------
    vllm-kv-planning

    Examples
    --------
    >>> choose_backend("latent", 9, fp8=True, widest_head=576).preferred_tokens
    64
    """
    if need == "compressed":
        return Backend("FLASHMLA_SPARSE_DSV4", 256, 256, packed_latent=True)
    if need == "selected":
        return Backend(SELECTED, 128, 128)
    if need == "sparse_latent":
        if brought and fp8 and major == 9:
            raise ScenarioError(
                "no sparse backend of this device takes the fp8 cache that the checkpoint asks for",
                where="--kv-cache-dtype",
                got="auto",
                allowed="fp8, which is packed otherwise, or bf16",
                fix="Name the format with --kv-cache-dtype.",
            )
        return _sparse(major, fp8=fp8)
    if need == "latent":
        first, other = _latent(major, fp8=fp8), Backend("TRITON_MLA", 16, 16)
    elif fp8 and major == 9 and widest_head == _WIDE_HEAD:
        first, other = Backend("FLASH_ATTN", 64, 64), Backend("TRITON_ATTN", 16, 16)
    else:
        return Backend("FLASHINFER" if major == 10 else "FLASH_ATTN", 16, 16)
    return first if given is None or given % first.kernel_tokens == 0 else other


def _latent(major: int, *, fp8: bool) -> Backend:
    if major == 10:
        return Backend("FLASHINFER_MLA", 32, 32)
    if major == 9:
        return Backend("FLASHMLA", 64, 64) if fp8 else Backend("FLASH_ATTN_MLA", 16, 16)
    return Backend("TRITON_MLA", 16, 16)


def _sparse(major: int, *, fp8: bool) -> Backend:
    if fp8 and major == 9:
        return Backend("FLASHMLA_SPARSE", 64, 64, packed_latent=True)
    return Backend("FLASHINFER_MLA_SPARSE" if fp8 else "FLASH_ATTN_MLA_SPARSE", 64, 64)


def block_tokens(backends: Iterable[Backend], given: int | None) -> int:
    """Return the block that all backends serve.

    Parameters
    ----------
    backends : iterable of Backend
        Those in use.
    given : int or None
        Block that a person asked for. [tokens]

    Returns
    -------
    int
        The given one, else the preferred one. [tokens]

    Raises
    ------
    ScenarioError
        A backend does not serve the given one.

    Examples
    --------
    >>> block_tokens([Backend("FLASHMLA", 64, 64)], None)
    64
    """
    found = tuple(backends)
    if given is None:
        return math.lcm(DEFAULT_BLOCK_TOKENS, *(backend.preferred_tokens for backend in found))
    for backend in found:
        if given % backend.kernel_tokens:
            raise ScenarioError(
                f"the attention backend {backend.name} does not serve blocks of this size",
                where="--block-size",
                got=given,
                allowed=f"multiples of {backend.kernel_tokens}",
                fix="Leave --block-size away to let the engine choose.",
            )
    return given
