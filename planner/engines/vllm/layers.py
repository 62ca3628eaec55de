"""From a model's caches to the pages of vLLM."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice

from planner.arrays import ceil_div
from planner.engines.vllm.architectures import Exceptions
from planner.engines.vllm.backends import SELECTED, Backend, Need, block_tokens, choose_backend
from planner.engines.vllm.specs import Kind, LayerSpec
from planner.engines.vllm.states import StateRules, align_block, place_states
from planner.errors import ScenarioError
from planner.model import Execution, Model
from planner.model.cache import Cache, StateCache, TokenCache
from planner.model.encoder_cache import EncoderCache
from planner.model.latent_cache import COMPRESSED_ENTRY, LatentCache
from planner.model.mixers.compressed import CompressedAttention
from planner.model.part import Part

_TOKEN_KINDS: dict[str, Kind] = {"full": "full", "sliding": "sliding", "chunked": "chunked"}
_COMPRESSED_PAGE_BYTES = 576
_WINDOW_TOKENS = 64
_NARROW_STRIDE = 4
_SCALED, _SCALE_BYTES = 128, 4


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheRules:
    """What turns caches into pages.

    Parameters
    ----------
    execution : Execution
        Formats and layout.
    major : int
        Major compute capability of the device. [1]
    block_size : int or None
        Block that a person asked for. [tokens]
    states : StateRules
        How states are kept.
    token_ranks : int
        Ranks that share the tokens of caches that keep all of them. [1]
    brought : bool
        Whether the format of the cache is what the checkpoint asks for.
    """

    execution: Execution
    major: int
    block_size: int | None
    states: StateRules
    token_ranks: int
    brought: bool = False

    @property
    def tp(self) -> int:
        """Tensor-parallel ranks. [1]."""
        return self.execution.layout.tp

    @property
    def fp8(self) -> bool:
        """Whether keys and values are kept in fp8."""
        return self.execution.cache.precision == "fp8"


def layer_specs(model: Model, rules: CacheRules) -> tuple[LayerSpec, ...]:
    """Return every cache of a model as vLLM plans it, on one rank.

    Parameters
    ----------
    model : Model
        The model.
    rules : CacheRules
        Formats, device, flags.

    Returns
    -------
    tuple of LayerSpec
        In the order of the stack; attention in its final block, states padded to its pages.

    Raises
    ------
    ScenarioError
        A kind of cache that vLLM does not plan for, or a block that a backend does not serve.
    """
    exceptions = Exceptions.of(model)
    if exceptions.plain_cache:
        execution = replace(rules.execution, cache=rules.execution.stream)
        rules = replace(rules, execution=execution)
    kept = {part: exceptions.caches(part) for _, part, _ in model.parts}
    backends = _backends(kept, rules)
    own = {part: [*_part_specs(part, caches, rules, backends)] for part, caches in kept.items()}
    if backends:
        own = _placed(own, kept, rules, backends)
    return tuple(
        replace(spec, layer=index)
        for index, layer in enumerate(model.layers)
        for part in layer.parts
        for spec in own[part]
    )


def _placed(
    own: Mapping[Part, list[LayerSpec]], kept: Mapping[Part, tuple[Cache, ...]],
    rules: CacheRules, backends: list[Backend],
) -> dict[Part, list[LayerSpec]]:  # fmt: skip
    """Attention in the block that all of it shares, states in its pages."""
    specs = [spec for of_part in own.values() for spec in of_part]
    block = block_tokens(backends, rules.block_size)
    mixers = [part for part, caches in kept.items() if _keeps_state(caches)]
    block = align_block(specs, block, backends, rules.states, mixers)
    placed = iter(place_states([_in_blocks(spec, block) for spec in specs]))
    return {part: [*islice(placed, len(of_part))] for part, of_part in own.items()}


def _backends(kept: Mapping[Part, tuple[Cache, ...]], rules: CacheRules) -> list[Backend]:
    """What the attention of each part runs on, once each."""
    every = [cache for caches in kept.values() for cache in caches]
    kinds = {cache.kind for cache in every}
    latent = "latent" in kinds
    widest = max((c.key_dim for c in every if isinstance(c, TokenCache)), default=0)
    needs: list[Need] = []
    if any(isinstance(part, CompressedAttention) for part in kept):
        needs.append("compressed")
    elif latent:
        needs.append("sparse_latent" if "indexer" in kinds else "latent")
    if kinds & {"full", "sliding", "chunked", "encoder"} and "compressed" not in needs:
        needs.append("selected" if "indexer" in kinds and not latent else "attention")
    return [
        choose_backend(
            need,
            rules.major,
            fp8=rules.fp8,
            widest_head=widest,
            given=rules.block_size,
            brought=rules.brought,
        )
        for need in needs
    ]


def _keeps_state(caches: Iterable[Cache]) -> bool:
    return any(cache.kind in ("state", "convolution") for cache in caches)


def _part_specs(
    part: Part, caches: tuple[Cache, ...], rules: CacheRules, backends: list[Backend]
) -> Iterator[LayerSpec]:
    """What a part keeps in its layer, as if that were the first one."""
    states = [c for c in caches if isinstance(c, StateCache) and c.kind != "compressor"]
    if states:
        size = sum(c.sequence_bytes(1, rules.execution, tp=rules.tp) for c in states)
        yield LayerSpec(
            layer=0, kind="state", block_tokens=1, entry_bytes=size,
            state_blocks=rules.states.blocks(part),
            everywhere=rules.states.mode(part) == "all",
        )  # fmt: skip
    if isinstance(part, CompressedAttention) or any(c.kind == "compressor" for c in caches):
        yield from _compressed(caches, rules)
        return
    for cache in caches:
        if cache not in states:
            yield _spec(cache, rules, backends)


def _spec(cache: Cache, rules: CacheRules, backends: list[Backend]) -> LayerSpec:
    execution, tp = rules.execution, rules.tp
    if isinstance(cache, TokenCache):
        kind = _TOKEN_KINDS[cache.kind]
        return LayerSpec(
            layer=0, kind=kind, block_tokens=1, window=cache.window,
            entry_bytes=cache.token_bytes(execution, tp=tp),
            shape=(cache.heads.units_on_rank(tp), cache.key_dim, cache.value_dim),
            token_ranks=rules.token_ranks if kind == "full" else 1,
        )  # fmt: skip
    if isinstance(cache, EncoderCache):
        return LayerSpec(
            layer=0, kind="cross", block_tokens=1,
            entry_bytes=cache.encoder_token_bytes(execution, tp=tp),
            shape=(cache.heads.units_on_rank(tp), cache.key_dim, cache.value_dim),
        )  # fmt: skip
    if isinstance(cache, LatentCache) and cache.stride == 1 and cache.window is None:
        return LayerSpec(
            layer=0, kind="latent", block_tokens=1,
            entry_bytes=_vector_bytes(cache, execution, backends),
            shape=(1, cache.dim), token_ranks=rules.token_ranks,
        )  # fmt: skip
    raise ScenarioError(
        "vLLM has no rule for this kind of cache",
        where="--engine",
        got=cache.kind,
        allowed="keys and values, windows, chunks, latents, indexers, states, encoder caches",
    )


def _compressed(caches: Iterable[Cache], rules: CacheRules) -> Iterator[LayerSpec]:
    """Window, entries and what the next entry is made of, each padded to rows of its kernel."""
    stride = 1
    for cache in caches:
        if isinstance(cache, LatentCache):
            stride = cache.stride
            windowed = cache.window is not None
            yield LayerSpec(
                layer=0, kind="latent_window" if windowed else "latent",
                block_tokens=_WINDOW_TOKENS if windowed else 1,
                entry_bytes=_packed_bytes(cache), shape=(1, cache.dim), stride=stride,
                window=cache.window, align_bytes=_COMPRESSED_PAGE_BYTES,
            )  # fmt: skip
        elif isinstance(cache, StateCache):
            (tokens,) = cache.shape
            size = cache.sequence_bytes(1, rules.execution, tp=rules.tp) // tokens
            yield LayerSpec(
                layer=0, kind="latent_window",
                block_tokens=4 if stride == _NARROW_STRIDE else 8, entry_bytes=size,
                shape=(1, size // 4), window=tokens, align_bytes=_COMPRESSED_PAGE_BYTES,
            )  # fmt: skip


def _vector_bytes(cache: LatentCache, execution: Execution, backends: list[Backend]) -> int:
    """A latent is packed where its kernel wants it so; an indexer's key is kept in fp8 with a
    scale by kernels for latents, in 16 bits by those that select among heads.
    """
    if cache.kind == "indexer":
        selected = any(backend.name == SELECTED for backend in backends)
        return 2 * cache.dim if selected else _index_bytes(cache)
    packed = any(backend.packed_latent for backend in backends)
    return (cache if packed else replace(cache, packing=None)).entry_bytes(execution)


def _index_bytes(cache: LatentCache) -> int:
    return cache.dim + int(ceil_div(cache.dim, _SCALED)) * _SCALE_BYTES


def _packed_bytes(cache: LatentCache) -> int:
    """Compressed entries are packed in fp8 whatever the format of the cache."""
    packing = cache.packing or COMPRESSED_ENTRY
    return _index_bytes(cache) if cache.kind == "indexer" else packing.vector_bytes(cache.dim)


def _in_blocks(spec: LayerSpec, block: int) -> LayerSpec:
    if spec.kind == "state" or spec.block_tokens > 1:
        return spec
    return replace(spec, block_tokens=block)
