"""Which layers own blocks together, and what a block takes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from planner.arrays import Numeric, maximum
from planner.engines.vllm.packing import pack_layers
from planner.engines.vllm.specs import Demand, LayerSpec
from planner.errors import ScenarioError

_UNEVEN = 1.5
"""Buckets that are larger than the smallest by less are padded to the largest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Layers that take each block together.

    Parameters
    ----------
    layers : tuple of LayerSpec
        In the order of the stack.
    """

    layers: tuple[LayerSpec, ...]

    def page_bytes(self, layers: range) -> int:
        """Return what a block takes for the layers of one pipeline stage.

        Parameters
        ----------
        layers : range
            Layers of the stage. [1]

        Returns
        -------
        int
            Sum of the layers' pages. [bytes]
        """
        return sum(spec.page_bytes for spec in self.layers if spec.layer in layers)

    @property
    def block_tokens(self) -> int:
        """Tokens of a block. [tokens]."""
        return min(spec.block_tokens for spec in self.layers)

    def blocks(self, length: Numeric, demand: Demand) -> Numeric:
        """Return the blocks that one request may take at most.

        Parameters
        ----------
        length : numeric
            Prompt and output. [tokens]
        demand : Demand
            What is in flight.

        Returns
        -------
        numeric
            That of the layer that asks for most. [1]
        """
        most: Numeric = 0
        for spec in dict.fromkeys(self.layers):
            most = maximum(most, spec.blocks(length, demand))
        return most


def group_layers(
    specs: Sequence[LayerSpec],
    *,
    hybrid: bool = True,
    packed: bool = False,
    even: bool = True,
) -> tuple[Group, ...]:
    """Return the groups that vLLM makes of a model's caches.

    Parameters
    ----------
    specs : sequence of LayerSpec
        Every cache of the whole model, in the order of the stack.
    hybrid : bool
        Whether layers may keep different numbers of tokens; without, all keep every token.
    packed : bool
        Whether pages of different sizes stand side by side in a block.
    even : bool
        Whether kinds of layers that are nearly as many are padded to the larger number.

    Returns
    -------
    tuple of Group
        Each takes blocks of its own from one pool.

    Raises
    ------
    ScenarioError
        The pages of the layers cannot be brought to one size.

    Examples
    --------
    >>> window = [
    ...     LayerSpec(layer=n, kind="sliding", block_tokens=16, entry_bytes=64, window=128)
    ...     for n in range(29)
    ... ]
    >>> full = [LayerSpec(layer=n, kind="full", block_tokens=16, entry_bytes=64) for n in range(5)]
    >>> [len(group.layers) for group in group_layers([*window, *full])]
    [5, 5, 5, 5, 5, 4, 5]
    """
    if not hybrid:
        specs = _promoted(specs)
    if is_uniform(specs):
        return (Group(layers=tuple(specs)),)
    sizes = {spec.page_bytes for spec in specs}
    if packed and len(sizes) > 1:
        return tuple(Group(layers=layers) for layers in pack_layers(specs, is_uniform))
    unified = _one_page_size(specs)
    if unified is None:
        promoted = _promoted(specs)
        if not is_uniform(promoted):
            raise ScenarioError(
                "no rule of vLLM brings the pages of these layers to one size",
                where="--engine",
                got=", ".join(f"{size:,} B" for size in sorted(sizes)),
            )
        return (Group(layers=tuple(promoted)),)
    return tuple(Group(layers=layers) for layers in _split(unified, even=even))


def is_uniform(specs: Sequence[LayerSpec]) -> bool:
    """Return whether layers always need as many blocks of as many tokens as one another.

    Parameters
    ----------
    specs : sequence of LayerSpec
        At least one.

    Returns
    -------
    bool
        True where they may stand in one group whatever the size of their pages.
    """
    first = specs[0]
    if len({(spec.block_tokens, spec.token_ranks) for spec in specs}) > 1:
        return False
    kinds = {spec.kind for spec in specs}
    if kinds <= {"full", "latent"}:
        return True
    if len(kinds) > 1:
        return False
    if first.kind == "state":
        return len({(spec.state_blocks, spec.page_bytes) for spec in specs}) == 1
    return len({spec.window for spec in specs}) == 1


def _promoted(specs: Sequence[LayerSpec]) -> list[LayerSpec]:
    blocks = {spec.block_tokens for spec in specs if spec.kind in ("full", "latent")}
    if not blocks:
        return list(specs)
    block = blocks.pop() if len(blocks) == 1 else None
    return [spec.promoted(block) for spec in specs]


def _one_page_size(specs: Sequence[LayerSpec]) -> list[LayerSpec] | None:
    """Specs with the largest page for all: longer blocks where that divides, else padding."""
    largest = max(spec.page_bytes for spec in specs)
    found = []
    for spec in specs:
        size = spec.page_bytes
        if size == largest:
            found.append(spec)
        elif spec.kind == "state":
            found.append(replace(spec, padded_bytes=largest))
        elif largest % size == 0:
            longer = replace(spec, block_tokens=spec.block_tokens * (largest // size))
            found.append(replace(longer, padded_bytes=largest))
        elif spec.kind in ("latent", "latent_window"):
            return None
        else:
            found.append(replace(spec, padded_bytes=largest))
    return found


def _split(specs: Iterable[LayerSpec], *, even: bool) -> list[tuple[LayerSpec, ...]]:
    """Equal layers in groups of one size; the last of each kind may be short of it."""
    buckets: dict[LayerSpec, list[LayerSpec]] = {}
    for spec in specs:
        buckets.setdefault(spec, []).append(spec)
    counts = [len(layers) for layers in buckets.values()]
    nearly = even and max(counts) < _UNEVEN * min(counts)
    size = max(counts) if nearly else min(counts)
    found = []
    for layers in buckets.values():
        groups = -(-len(layers) // size)
        found += [tuple(layers[start::groups]) for start in range(groups)]
    return found
