"""From a model's caches to the pages of vLLM."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from planner.engines.vllm.backends import Backend, Need, block_tokens, choose_backend
from planner.engines.vllm.specs import Kind, LayerSpec
from planner.engines.vllm.states import StateRules, align_block, pad_states
from planner.errors import ScenarioError
from planner.model import Execution, Model
from planner.model.cache import Cache, StateCache, TokenCache
from planner.model.encoder_cache import EncoderCache
from planner.model.latent_cache import LatentCache
from planner.model.mixers.compressed import CompressedAttention
from planner.model.part import Part

_TOKEN_KINDS: dict[str, Kind] = {"full": "full", "sliding": "sliding", "chunked": "chunked"}
_COMPRESSED_PAGE_BYTES = 576
_WINDOW_TOKENS = 64
_NARROW_STRIDE = 4


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
    """

    execution: Execution
    major: int
    block_size: int | None
    states: StateRules
    token_ranks: int

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
    needs = tuple(dict.fromkeys(_needs(model)))
    widest = max(
        (c.key_dim for _, c, _ in model.caches if isinstance(c, TokenCache)), default=0
    )
    backends = [
        choose_backend(need, rules.major, fp8=rules.fp8, widest_head=widest) for need in needs
    ]
    specs = [
        spec
        for index, layer in enumerate(model.layers)
        for part in layer.parts
        for spec in _part_specs(index, part, rules, backends)
    ]
    if not backends:
        return tuple(specs)
    block = block_tokens(backends, rules.block_size)
    mixers = [part for _, part, _ in model.parts if _keeps_state(part)]
    block = align_block(specs, block, backends, rules.states.alignment_tokens(mixers))
    return pad_states([_in_blocks(spec, block) for spec in specs])


def _needs(model: Model) -> Iterator[Need]:
    """Yield what the attention of a model asks of backends."""
    indexed = any(cache.kind == "indexer" for _, cache, _ in model.caches)
    for _, part, _ in model.parts:
        kinds = {cache.kind for cache in part.caches()}
        if isinstance(part, CompressedAttention):
            yield "compressed"
        elif "latent" in kinds:
            yield "sparse_latent" if indexed else "latent"
        elif kinds & {"full", "sliding", "chunked", "encoder"}:
            yield "selected" if "indexer" in kinds else "attention"


def _keeps_state(part: Part) -> bool:
    return any(cache.kind in ("state", "convolution") for cache in part.caches())


def _part_specs(
    layer: int, part: Part, rules: CacheRules, backends: list[Backend]
) -> Iterator[LayerSpec]:
    caches = part.caches()
    states = [c for c in caches if isinstance(c, StateCache) and c.kind != "compressor"]
    if states:
        size = sum(c.sequence_bytes(1, rules.execution, tp=rules.tp) for c in states)
        yield LayerSpec(
            layer=layer, kind="state", block_tokens=1, entry_bytes=size,
            state_blocks=rules.states.blocks(part),
        )  # fmt: skip
    if isinstance(part, CompressedAttention) or any(c.kind == "compressor" for c in caches):
        yield from _compressed(layer, part, rules)
        return
    for cache in caches:
        if cache not in states:
            yield _spec(layer, cache, rules, backends)


def _spec(layer: int, cache: Cache, rules: CacheRules, backends: list[Backend]) -> LayerSpec:
    execution, tp = rules.execution, rules.tp
    if isinstance(cache, TokenCache):
        kind = _TOKEN_KINDS[cache.kind]
        return LayerSpec(
            layer=layer, kind=kind, block_tokens=1, window=cache.window,
            entry_bytes=cache.token_bytes(execution, tp=tp),
            shape=(cache.heads.units_on_rank(tp), cache.key_dim, cache.value_dim),
            token_ranks=rules.token_ranks if kind == "full" else 1,
        )  # fmt: skip
    if isinstance(cache, EncoderCache):
        return LayerSpec(
            layer=layer, kind="cross", block_tokens=1,
            entry_bytes=cache.encoder_token_bytes(execution, tp=tp),
            shape=(cache.heads.units_on_rank(tp), cache.key_dim, cache.value_dim),
        )  # fmt: skip
    if isinstance(cache, LatentCache) and cache.stride == 1 and cache.window is None:
        packed = any(backend.packed_latent for backend in backends)
        plain = cache if packed else replace(cache, packing=None)
        return LayerSpec(
            layer=layer, kind="latent", block_tokens=1, entry_bytes=plain.entry_bytes(execution),
            shape=(1, cache.dim), token_ranks=rules.token_ranks,
        )  # fmt: skip
    raise ScenarioError(
        "vLLM has no rule for this kind of cache",
        where="--engine",
        got=cache.kind,
        allowed="keys and values, windows, chunks, latents, indexers, states, encoder caches",
    )


def _compressed(layer: int, part: Part, rules: CacheRules) -> Iterator[LayerSpec]:
    """Window, entries and what the next entry is made of, each padded to rows of its kernel."""
    stride = 1
    for cache in part.caches():
        if isinstance(cache, LatentCache):
            stride = cache.stride
            windowed = cache.window is not None
            yield LayerSpec(
                layer=layer, kind="latent_window" if windowed else "latent",
                block_tokens=_WINDOW_TOKENS if windowed else 1,
                entry_bytes=_packed_bytes(cache), shape=(1, cache.dim), stride=stride,
                window=cache.window, align_bytes=_COMPRESSED_PAGE_BYTES,
            )  # fmt: skip
        elif isinstance(cache, StateCache):
            (tokens,) = cache.shape
            size = cache.sequence_bytes(1, rules.execution, tp=rules.tp) // tokens
            yield LayerSpec(
                layer=layer, kind="latent_window",
                block_tokens=4 if stride == _NARROW_STRIDE else 8, entry_bytes=size,
                shape=(1, size // 4), window=tokens, align_bytes=_COMPRESSED_PAGE_BYTES,
            )  # fmt: skip


def _packed_bytes(cache: LatentCache) -> int:
    """Entries are kept packed in fp8 whatever the format of the cache."""
    if cache.packing is not None:
        return cache.packing.vector_bytes(cache.dim)
    if cache.format is not None:
        return int(cache.format.vector_bytes(cache.dim))
    raise ScenarioError("a compressed cache without a packing", where="--engine", got=cache.kind)


def _in_blocks(spec: LayerSpec, block: int) -> LayerSpec:
    if spec.kind == "state" or spec.block_tokens > 1:
        return spec
    return replace(spec, block_tokens=block)
