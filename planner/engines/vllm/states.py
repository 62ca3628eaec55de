"""Recurrent states in vLLM: how many blocks each takes, and the block that holds one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from planner.arrays import ceil_div
from planner.engines.vllm.architectures import EXPORTED_STATES
from planner.engines.vllm.backends import Backend
from planner.engines.vllm.specs import LayerSpec
from planner.model.mixers.linear_delta import GatedDeltaNet
from planner.model.mixers.linear_kda import KimiDeltaAttention
from planner.model.mixers.state_space import Mamba2
from planner.model.part import Part

CacheMode = Literal["none", "align"]

_LATENT_TOKENS = 128
_KERNEL_HEAD = 128
_DELTA_TOKENS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class StateRules:
    """How states are kept.

    Parameters
    ----------
    mode : {"none", "align"}
        One state per request, or one at every end of a block that prefix caching may need.
    speculative_blocks : int
        Blocks for states of drafted tokens. [1]
    major : int
        Major compute capability of the device. [1]
    checkpoints : bool
        Whether the engine's version exports states from inside a prefill.
    architecture : str or None
        Class that the configuration names.
    """

    mode: CacheMode
    speculative_blocks: int
    major: int
    checkpoints: bool
    architecture: str | None = None

    def blocks(self, part: Part) -> int:
        """Return the blocks that a state takes for each request.

        Parameters
        ----------
        part : Part
            The mixer whose state it is.

        Returns
        -------
        int
            The running one, and in mode ``align`` the last kept and one from inside a prefill. [1]
        """
        if self.mode == "none":
            return 1 + self.speculative_blocks
        return 2 + self.speculative_blocks + (self.checkpoints and self._exports(part))

    def _exports(self, part: Part) -> bool:
        """Whether the prefill kernel gives the state at the end of a block on the way."""
        if isinstance(part, KimiDeltaAttention):
            return self.architecture in EXPORTED_STATES
        return isinstance(part, Mamba2) or self._delta_kernel(part)

    def _delta_kernel(self, part: Part) -> bool:
        """Whether gated DeltaNet runs on the kernel that gives states every 64 tokens."""
        return (
            isinstance(part, GatedDeltaNet)
            and part.key_dim == part.value_dim == _KERNEL_HEAD
            and self.major in (9, 10, 12)
        )

    def alignment_tokens(self, parts: Sequence[Part]) -> int:
        """Return what the ends of blocks must be a multiple of.

        Parameters
        ----------
        parts : sequence of Part
            Every mixer that keeps a state.

        Returns
        -------
        int
            1 unless all of them run on a kernel that wants more. [tokens]
        """
        aligned = self.mode == "align" and self.checkpoints
        return _DELTA_TOKENS if aligned and all(map(self._delta_kernel, parts)) else 1


def align_block(
    specs: Sequence[LayerSpec],
    block_tokens: int,
    backends: Sequence[Backend],
    alignment_tokens: int,
) -> int:
    """Return the block of attention whose page holds a state.

    Parameters
    ----------
    specs : sequence of LayerSpec
        Every cache; those of attention with any block.
    block_tokens : int
        Block given or preferred, the grain of the result. [tokens]
    backends : sequence of Backend
        Those of attention; the first sets the grain.
    alignment_tokens : int
        What the ends of blocks must be a multiple of. [tokens]

    Returns
    -------
    int
        At least ``block_tokens``. [tokens]

    References
    ----------
    vllm-kv-planning
    """
    states = [spec for spec in specs if spec.kind == "state"]
    attention = [spec for spec in specs if spec.kind != "state"]
    if not states or not attention:
        return block_tokens
    grain = max(backends[0].kernel_tokens, block_tokens)
    if any(spec.kind == "latent" for spec in attention):
        grain = max(grain, _LATENT_TOKENS)
    grain = math.lcm(grain, alignment_tokens)
    token_bytes = max(spec.entry_bytes for spec in attention)
    state_bytes = max(spec.entry_bytes for spec in states)
    needed = grain * int(ceil_div(state_bytes, grain * token_bytes))
    kernels = math.lcm(*(backend.kernel_tokens for backend in backends))
    return max(block_tokens, kernels * int(ceil_div(needed, kernels)))


def pad_states(specs: Sequence[LayerSpec]) -> tuple[LayerSpec, ...]:
    """Return specs whose states take a page of attention each, where there is attention.

    Parameters
    ----------
    specs : sequence of LayerSpec
        Every cache, attention in its final block.

    Returns
    -------
    tuple of LayerSpec
        In the same order.
    """
    pages = [spec.page_bytes for spec in specs if spec.kind != "state"]
    if not pages:
        return tuple(specs)
    return tuple(
        replace(spec, padded_bytes=max(pages)) if spec.kind == "state" else spec for spec in specs
    )
