"""What each layer keeps, as pages of vLLM."""

from __future__ import annotations

from dataclasses import dataclass

from planner.arrays import Numeric, ceil_div
from planner.engines.engine import Site
from planner.errors import ScenarioError
from planner.model.cache import TokenCache


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerSpec:
    """One layer's cache.

    Parameters
    ----------
    block_tokens : int
        Tokens of a block. [tokens]
    page_bytes : int
        One block of this layer on one rank. [bytes]
    """

    block_tokens: int
    page_bytes: int

    def blocks(self, length: Numeric, in_flight_tokens: int) -> Numeric:
        """Return the blocks that one request may take at most.

        Parameters
        ----------
        length : numeric
            Prompt and output. [tokens]
        in_flight_tokens : int
            Tokens scheduled but not yet computed. [tokens]

        Returns
        -------
        numeric
            Whole blocks. [1]
        """
        del in_flight_tokens
        return ceil_div(length, self.block_tokens)


def layer_specs(site: Site) -> tuple[LayerSpec, ...]:
    """Return the caches of all layers, in order.

    Parameters
    ----------
    site : Site
        Model, formats, device and flags.

    Returns
    -------
    tuple of LayerSpec
        One for each cache of each layer.

    Raises
    ------
    ScenarioError
        A kind of cache that vLLM's rules are not yet written for.
    """
    found = []
    block = site.settings.block_size or 16
    for layer in site.model.layers:
        for cache in (cache for part in layer.parts for cache in part.caches()):
            if not isinstance(cache, TokenCache) or cache.kind != "full":
                raise ScenarioError(
                    f"no rule for a {cache.kind} cache in vLLM", where="--engine", got=cache.kind
                )
            size = cache.token_bytes(site.execution, tp=site.execution.layout.tp)
            found.append(LayerSpec(block_tokens=block, page_bytes=block * size))
    return tuple(found)
