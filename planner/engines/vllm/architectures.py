"""Architectures that vLLM runs otherwise than their layers alone would say.

Everything else follows from the caches of a model's layers; these are the engine's own exceptions,
read in its model classes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from planner.model import Model
from planner.model.cache import Cache, StateCache, TokenCache
from planner.model.latent_cache import LatentCache
from planner.model.layout import Section
from planner.model.mixers.latent import LatentAttention
from planner.model.mixers.linear_kda import KimiDeltaAttention
from planner.model.mixers.state_space import Mamba1, Mamba2
from planner.model.part import Part

EXPANDED_LATENT = frozenset({"MiniCPM3ForCausalLM"})
"""Latent attention that is run as plain attention, values padded to the width of keys."""
LIGHTNING = frozenset({"BailingMoeV2_5ForCausalLM"})
"""Linear layers that are run as lightning attention: one matrix per query head, as wide as the
rotated part of a key, and no convolution."""
WIDE_STATES = frozenset({"NemotronHForCausalLM", "NemotronHPuzzleForCausalLM"})
"""States of Mamba that are kept as the configuration says, in fp32 without a word; others take the
format of the model."""

EXPORTED_STATES = frozenset({"KimiK3ForConditionalGeneration"})
"""Kimi delta attention on a kernel that gives the state inside a prompt; other classes lack it."""
PLAIN_CACHE = frozenset({"FalconForCausalLM", "RWForCausalLM"})
"""Attention that is not told of the cache format, and keeps that of the model."""


@dataclass(frozen=True, slots=True)
class Exceptions:
    """What the engine makes of a model's caches.

    Parameters
    ----------
    architecture : str or None
        Class that the configuration names.
    heads, width : int
        Query heads and rotated width of the model's latent attention; 0 without it.
    """

    architecture: str | None
    heads: int = 0
    width: int = 0

    @classmethod
    def of(cls, model: Model) -> Exceptions:
        """Return those of a model.

        Parameters
        ----------
        model : Model
            The model.

        Returns
        -------
        Exceptions
            None that apply, for most.
        """
        for _, part, _ in model.parts:
            if isinstance(part, LatentAttention):
                return cls(model.architecture, part.query_heads, part.qk_rope_head_dim)
        return cls(model.architecture)

    def caches(self, part: Part) -> tuple[Cache, ...]:
        """Return what the engine keeps for a part.

        Parameters
        ----------
        part : Part
            Any part of a layer.

        Returns
        -------
        tuple of Cache
            The part's own, but for the exceptions.
        """
        caches = part.caches()
        if isinstance(part, LatentAttention) and self.architecture in EXPANDED_LATENT:
            return tuple(self._expanded(cache, part) for cache in caches)
        if isinstance(part, KimiDeltaAttention) and self.architecture in LIGHTNING:
            heads = Section(self.heads, self.width, "linear heads")
            return (StateCache(kind="state", sections=(heads,), shape=(self.width,)),)
        if isinstance(part, Mamba1 | Mamba2) and self.architecture not in WIDE_STATES:
            return tuple(
                replace(cache, format=None) if isinstance(cache, StateCache) else cache
                for cache in caches
            )
        return caches

    @property
    def plain_cache(self) -> bool:
        """Whether keys and values stay in the format of the model whatever is asked for."""
        return self.architecture in PLAIN_CACHE

    @staticmethod
    def _expanded(cache: Cache, part: LatentAttention) -> Cache:
        if not isinstance(cache, LatentCache) or cache.kind != "latent":
            return cache
        width = part.qk_nope_head_dim + part.qk_rope_head_dim
        heads = Section(part.query_heads, 1, "KV heads", "replicate")
        return TokenCache(kind="full", heads=heads, key_dim=width, value_dim=width)
