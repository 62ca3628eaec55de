"""Multi-head latent attention and its indexers in configuration files."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from planner.importers.config import Config
from planner.model.mixers.indexer import Indexer
from planner.model.mixers.latent import LatentAttention

_NO_DEFAULTS: Mapping[str, int | None] = MappingProxyType({})
_ARITHMETIC = (
    "rope_interleave",
    "indexer_rope_interleave",
    "index_share_for_mtp_iteration",
    "num_key_value_heads",
    "head_dim",
    "qk_head_dim",
)
"""What says nothing new: KV heads and head widths that latents do not have, orders of rotation."""

_FULL, _SHARED = "full", "shared"
_LETTERS = {"F": _FULL, "S": _SHARED}


def read_latent_attention(
    config: Config,
    hidden: int,
    *,
    defaults: Mapping[str, int | None] = _NO_DEFAULTS,
    index_topk: int | None = None,
    bias: bool = False,
) -> LatentAttention:
    """Return multi-head latent attention.

    A missing ``q_lora_rank`` is the family's default and null a direct projection; a ``head_dim``
    means nothing here.

    Parameters
    ----------
    config : Config
        The configuration.
    hidden : int
        Width of the residual stream. [elements]
    defaults : mapping
        Figures where fields are missing. [elements]
    index_topk : int, optional
        Keys that a query attends to. [tokens]
    bias : bool
        Whether projections have biases where the file does not say so.

    Returns
    -------
    LatentAttention
        The same in every layer.

    Raises
    ------
    SpecError
        A figure is missing or out of range.

    Examples
    --------
    >>> figures = {
    ...     "num_attention_heads": 16,
    ...     "q_lora_rank": None,
    ...     "kv_lora_rank": 512,
    ...     "qk_nope_head_dim": 128,
    ...     "qk_rope_head_dim": 64,
    ...     "v_head_dim": 128,
    ... }
    >>> read_latent_attention(Config(figures, "config.json"), 2048).latent_dim
    576
    """
    config.ignore(*_ARITHMETIC)
    query = config.optional_size("q_lora_rank")
    if "q_lora_rank" not in config:
        query = defaults.get("q_lora_rank")

    def size(name: str) -> int:
        return config.size(name, default=defaults.get(name))

    return LatentAttention(
        hidden=hidden,
        query_heads=size("num_attention_heads"),
        q_lora_rank=query,
        kv_lora_rank=size("kv_lora_rank"),
        qk_nope_head_dim=size("qk_nope_head_dim"),
        qk_rope_head_dim=size("qk_rope_head_dim"),
        v_head_dim=size("v_head_dim"),
        index_topk=index_topk,
        bias=config.flag("attention_bias", bias),
    )


def read_indexer(config: Config, hidden: int, query_dim: int) -> Indexer:
    """Return the indexer of DeepSeek sparse attention.

    Parameters
    ----------
    config : Config
        The configuration.
    hidden, query_dim : int
        Width of the residual stream, and of what its queries are made of. [elements]

    Returns
    -------
    Indexer
        Keys in fp8, one per token.

    Raises
    ------
    SpecError
        A figure is missing or out of range.

    Examples
    --------
    >>> read_indexer(
    ...     Config({"index_n_heads": 64, "index_head_dim": 128}, "config.json"), 7168, 1536
    ... ).heads
    64
    """
    return Indexer(
        hidden=hidden,
        query_dim=query_dim,
        heads=config.size("index_n_heads"),
        head_dim=config.size("index_head_dim"),
    )


def read_index_sharing(config: Config, layers: int) -> list[bool]:
    """Return which layers have an indexer; the others use the selection of the one before them.

    ``indexer_types`` lists them, or ``index_topk_pattern`` does in letters; else every
    ``index_topk_freq``-th layer after the first ``index_skip_topk_offset`` has one.

    Parameters
    ----------
    config : Config
        The configuration.
    layers : int
        Number of layers. [1]

    Returns
    -------
    list of bool
        One per layer; all of them where the file says nothing.

    Raises
    ------
    SpecError
        A list has another length or other entries, or starts with a layer that has nothing to use.

    Examples
    --------
    >>> config = Config({"index_topk_freq": 4, "index_skip_topk_offset": 3}, "config.json")
    >>> read_index_sharing(config, 8)
    [True, True, True, False, False, False, True, False]
    """
    frequency = config.optional_size("index_topk_freq", least=0) or 1
    offset = config.optional_size("index_skip_topk_offset", least=0)
    start = 2 if offset is None else offset
    kinds = config.listed("indexer_types", (_FULL, _SHARED), layers)
    if kinds is None and config.is_list("index_topk_pattern"):
        kinds = config.listed("index_topk_pattern", (_FULL, _SHARED), layers)
    letters = None if config.is_list("index_topk_pattern") else config.text("index_topk_pattern")
    if kinds is None and letters is not None:
        kinds = tuple(_LETTERS.get(letter) for letter in letters)
        if len(kinds) != layers or None in kinds:
            config.refuse("index_topk_pattern", f"a letter F or S for each of {layers:,} layers")
    if kinds is None:
        return [max(layer - start + 1, 0) % frequency == 0 for layer in range(layers)]
    if kinds[0] != _FULL:
        config.refuse("indexer_types", "full in the first layer, which has nothing to share")
    config.ignore("index_topk_pattern")
    return [kind == _FULL for kind in kinds]
