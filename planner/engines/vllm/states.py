"""Recurrent states in vLLM: how many blocks each takes, and the block that holds one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from planner.arrays import ceil_div
from planner.engines.version import Version
from planner.engines.vllm import versions
from planner.engines.vllm.architectures import EXPORTED_STATES
from planner.engines.vllm.backends import Backend
from planner.engines.vllm.specs import LayerSpec
from planner.model.mixers.linear_delta import GatedDeltaNet
from planner.model.mixers.linear_kda import KimiDeltaAttention
from planner.model.mixers.state_space import Mamba1, Mamba2
from planner.model.part import Part

CacheMode = Literal["none", "align", "all"]

_LATENT_TOKENS = 128
_KERNEL_HEAD = 128
_DELTA_TOKENS = 64
_CHUNK_TOKENS = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class StateRules:
    """How states are kept.

    Parameters
    ----------
    caching : bool
        Whether prefixes are cached.
    speculative_blocks : int
        Blocks for states of drafted tokens. [1]
    major : int
        Major compute capability of the device. [1]
    version : Version
        Of the engine.
    architecture : str or None
        Class that the configuration names.
    """

    caching: bool
    speculative_blocks: int
    major: int
    version: Version
    architecture: str | None = None

    def mode(self, part: Part) -> CacheMode:
        """Return at which ends of blocks a state is kept.

        Parameters
        ----------
        part : Part
            The mixer whose state it is.

        Returns
        -------
        {"none", "align", "all"}
            Only the running one, the last ones, or one at the end of every block.
        """
        if not self.caching:
            return "none"
        everywhere = isinstance(part, Mamba1 | Mamba2) and self.version < versions.ALWAYS_ALIGNED
        if everywhere or self.version < versions.ALIGNED_STATES:
            return "all"
        return "align"

    def blocks(self, part: Part) -> int:
        """Return the blocks that a state takes for each request whatever its length.

        Parameters
        ----------
        part : Part
            The mixer whose state it is.

        Returns
        -------
        int
            The running one, and in mode ``align`` the last kept and one from inside a prefill. [1]
        """
        mode = self.mode(part)
        if mode == "align":
            return 2 + self.speculative_blocks + self._exports(part)
        return self.speculative_blocks + (mode == "none")

    def _exports(self, part: Part) -> bool:
        """Whether the prefill kernel gives the state at the end of a block on the way."""
        if isinstance(part, KimiDeltaAttention):
            named = self.architecture in EXPORTED_STATES
            return named and self.version >= versions.KDA_EXPORTS
        if isinstance(part, Mamba2):
            return self.version >= versions.MAMBA2_EXPORTS
        return self._delta_kernel(part)

    def _delta_kernel(self, part: Part) -> bool:
        """Whether gated DeltaNet runs on the kernel that gives states every 64 tokens."""
        return (
            isinstance(part, GatedDeltaNet)
            and part.key_dim == part.value_dim == _KERNEL_HEAD
            and self.major in (9, 10, 12)
            and self.version >= versions.DELTA_EXPORTS
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
            1 unless states are kept at the end of every chunk of a kernel. [tokens]
        """
        if self.caching and parts and all(map(self._delta_kernel, parts)):
            return _DELTA_TOKENS
        chunks = [
            part.chunk if isinstance(part, Mamba2) else _CHUNK_TOKENS
            for part in parts
            if self.mode(part) == "all"
        ]
        return math.lcm(1, *chunks)


def align_block(
    specs: Sequence[LayerSpec],
    block_tokens: int,
    backends: Sequence[Backend],
    rules: StateRules,
    parts: Sequence[Part],
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
    rules : StateRules
        How states are kept.
    parts : sequence of Part
        Every mixer that keeps a state.

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
        wide = rules.version >= versions.LATENT_128
        grain = max(grain, _LATENT_TOKENS if wide else _LATENT_TOKENS // 2)
    grain = math.lcm(grain, rules.alignment_tokens(parts))
    token_bytes = max(spec.entry_bytes for spec in attention)
    state_bytes = max(spec.entry_bytes for spec in states)
    needed = grain * int(ceil_div(state_bytes, grain * token_bytes))
    kernels = math.lcm(*(backend.kernel_tokens for backend in backends))
    return max(block_tokens, kernels * int(ceil_div(needed, kernels)))


def place_states(specs: Sequence[LayerSpec]) -> tuple[LayerSpec, ...]:
    """Return specs whose states take a page and a block of attention, where there is attention.

    Parameters
    ----------
    specs : sequence of LayerSpec
        Every cache, attention in its final block.

    Returns
    -------
    tuple of LayerSpec
        In the same order.
    """
    attention = [spec for spec in specs if spec.kind != "state"]
    if not attention:
        return tuple(specs)
    page = max(spec.page_bytes for spec in attention)
    block = max(spec.block_tokens for spec in attention)
    return tuple(
        replace(spec, padded_bytes=page, block_tokens=block) if spec.kind == "state" else spec
        for spec in specs
    )
