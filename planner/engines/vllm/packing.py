"""Groups whose layers' pages of different sizes stand side by side in each block."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from planner.engines.vllm.specs import LayerSpec

Uniform = Callable[[Sequence[LayerSpec]], bool]


@dataclass(frozen=True, slots=True)
class _Bucket:
    """Layers that need as many blocks as one another, by the size of their pages."""

    layers: list[LayerSpec]
    by_page: dict[int, list[LayerSpec]]

    @property
    def repeats(self) -> int:
        """Most layers of one page size: how often the pattern of layers repeats. [1]."""
        return max(len(layers) for layers in self.by_page.values())

    @property
    def balanced(self) -> bool:
        """Whether every page size has as many layers."""
        return len({len(layers) for layers in self.by_page.values()}) == 1

    def widest_bytes(self, groups: int) -> int:
        """Return the block of the widest of so many groups. [bytes]."""
        return sum(-(-len(layers) // groups) * page for page, layers in self.by_page.items())

    def is_state(self, repeats: int | None) -> bool:
        """Whether a group takes so few blocks that it may be narrow."""
        return self.layers[0].kind == "state" or (
            repeats is None and self.layers[0].kind in ("sliding", "latent_window")
        )

    def groups(self, repeats: int | None) -> int:
        """Return into how many groups the repeats are dealt. [1]."""
        return -(-self.repeats // repeats) if self.balanced and repeats else 1


def pack_layers(specs: Sequence[LayerSpec], uniform: Uniform) -> list[tuple[LayerSpec, ...]]:
    """Return groups of layers whose blocks are packed page by page.

    Layers that need as many blocks are put together; buckets in which every page size occurs as
    often are dealt to groups of as many repeats, so many that the padding is least.

    Parameters
    ----------
    specs : sequence of LayerSpec
        Every cache of the model.
    uniform : callable
        Whether layers may stand in one group.

    Returns
    -------
    list of tuple of LayerSpec
        The layers of each group.
    """
    buckets = _buckets(specs, uniform)
    least = max((b.repeats for b in buckets if b.balanced and len(b.by_page) > 1), default=0)
    repeats = _least_padding([b.repeats for b in buckets if b.balanced], least) if least else None
    anchor = max(
        b.widest_bytes(len(b.layers) if b.is_state(repeats) else b.groups(repeats)) for b in buckets
    )
    found: list[tuple[LayerSpec, ...]] = []
    for bucket in buckets:
        count = bucket.groups(repeats)
        if bucket.is_state(repeats):
            per_block = max(anchor // bucket.layers[0].page_bytes, 1)
            count = max(count, -(-len(bucket.layers) // per_block))
        if count == 1:
            found.append(tuple(bucket.layers))
            continue
        rows = list(zip(*bucket.by_page.values(), strict=True))
        found += [
            tuple(spec for row in rows[start::count] for spec in row) for start in range(count)
        ]
    return found


def _buckets(specs: Sequence[LayerSpec], uniform: Uniform) -> list[_Bucket]:
    joined: list[list[LayerSpec]] = []
    for spec in specs:
        for layers in joined:
            if uniform([layers[0], spec]):
                layers.append(spec)
                break
        else:
            joined.append([spec])
    found = []
    for layers in joined:
        by_page: dict[int, list[LayerSpec]] = {}
        for spec in layers:
            by_page.setdefault(spec.page_bytes, []).append(spec)
        found.append(_Bucket(layers, by_page))
    return found


def _least_padding(counts: Sequence[int], least: int) -> int:
    """Return the size of at least ``least`` to which counts are rounded up at least cost."""
    sizes = range(max(least, 1), max(*counts, least) + 1)
    return min(sizes, key=lambda size: (sum(-count % size for count in counts), -size))
