"""Blocks of any mixers and feed-forward parts: names, norms, and layers beside the stack."""

from __future__ import annotations

from collections.abc import Sequence

from planner.importers.config import Config
from planner.importers.decoder import NormKind
from planner.model import Layer
from planner.model.bounds import MOST_LAYERS
from planner.model.feed_forward import MixtureOfExperts
from planner.model.mixers.attention import Attention
from planner.model.mixers.compressed import CompressedAttention
from planner.model.multi_token import MultiTokenProjection
from planner.model.norm import Norm
from planner.model.part import Part

_WORDS = {
    "latent_attention": "latent",
    "selected_attention": "selected",
    "factorised_attention": "factorised",
    "indexer": "indexed",
    "mamba1": "mamba",
    "mamba2": "mamba2",
    "gated_delta_net": "linear",
    "kda": "linear",
    "lightning": "linear",
    "gla": "linear",
    "rg_lru": "recurrent",
    "rwkv4": "rwkv",
    "rwkv5": "rwkv",
    "rwkv6": "rwkv",
    "rwkv7": "rwkv",
    "mlstm": "mlstm",
    "slstm": "slstm",
    "short_convolution": "convolution",
    "hyena": "hyena",
    "modal_hyena": "hyena",
    "longformer": "band",
    "shared_block": "hybrid",
    "dense": "dense",
}
_COMPRESSED = {"CSA": "csa", "HCA": "hca"}


def pre_norm_layers(
    mixers: Sequence[tuple[Part, ...]],
    feed_forward: Sequence[Part],
    hidden: int,
    kind: NormKind = "rms_norm",
) -> list[Layer]:
    """Return blocks with a norm before the mixer and one before the feed-forward part.

    Parameters
    ----------
    mixers : sequence of tuple of Part
        What mixes tokens in each layer, in order: an attention, and an indexer before it.
    feed_forward : sequence of Part
        Feed-forward part of each layer.
    hidden : int
        Width of the residual stream. [elements]
    kind : {"rms_norm", "layer_norm"}
        Kind of the norms.

    Returns
    -------
    list of Layer
        Named after their parts.

    Examples
    --------
    >>> from planner.model.feed_forward import Dense
    >>> from planner.model.mixers.attention import Attention
    >>> attention = Attention(hidden=8, query_heads=1, kv_heads=1, head_dim=8)
    >>> layers = pre_norm_layers([(attention,)], [Dense(hidden=8, intermediate=8)], 8)
    >>> layers[0].name, len(layers[0].parts)
    ('full-dense', 4)
    """
    before = Norm(kind=kind, width=hidden, name="input_layernorm")
    between = Norm(kind=kind, width=hidden, name="post_attention_layernorm")
    return named(
        [(before, *mixer, between, part) for mixer, part in zip(mixers, feed_forward, strict=True)]
    )


def named(stack: Sequence[tuple[Part, ...]]) -> list[Layer]:
    """Return layers with names that tell their kinds apart.

    Parameters
    ----------
    stack : sequence of tuple of Part
        The parts of each layer, in order.

    Returns
    -------
    list of Layer
        Equal layers have one name, different ones never.

    Examples
    --------
    >>> from planner.model.feed_forward import Dense
    >>> narrow, wide = (Dense(hidden=8, intermediate=n) for n in (8, 16))
    >>> [layer.name for layer in named([(narrow,), (wide,), (narrow,)])]
    ['dense', 'dense-2', 'dense']
    """
    names: dict[tuple[Part, ...], str] = {}
    for parts in stack:
        if parts in names:
            continue
        plain = "-".join(filter(None, map(_word, parts))) or "block"
        taken, name = 1, plain
        while name in names.values():
            taken += 1
            name = f"{plain}-{taken}"
        names[parts] = name
    return [Layer(names[parts], parts) for parts in stack]


def _word(part: Part) -> str:
    """Return what a part adds to the name of its layer; nothing for norms and joins."""
    match part:
        case Attention():
            return "full" if part.window is None and part.chunk is None else "sliding"
        case CompressedAttention():
            return _COMPRESSED.get(part.variant, "sliding")
        case MixtureOfExperts():
            return "hashed-moe" if part.hash_vocabulary else "moe"
    return _WORDS.get(getattr(part, "kind", ""), "")


def read_mtp(config: Config, layer: Layer, hidden: int, *names: str) -> tuple[Layer, ...]:
    """Return the layers for multi-token prediction that a checkpoint brings.

    Parameters
    ----------
    config : Config
        The configuration.
    layer : Layer
        A layer of the stack that they are built like.
    hidden : int
        Width of the residual stream. [elements]
    *names : str
        Fields that count them; ``num_nextn_predict_layers`` without any.

    Returns
    -------
    tuple of Layer
        As DeepSeek-V3 has them: norms and a projection in front of the layer, a norm behind it.
        Where the field is DeepSeek's too, the checkpoint holds a copy of token table and head.

    Raises
    ------
    SpecError
        The count is unusable.

    Examples
    --------
    >>> config = Config({"num_nextn_predict_layers": 1}, "config.json")
    >>> [layer.name for layer in read_mtp(config, Layer("latent-moe", ()), 8)]
    ['mtp-latent-moe']
    """
    fields = names or ("num_nextn_predict_layers",)
    count = config.optional_size(*fields, least=0, most=MOST_LAYERS)
    behind = Norm(kind="rms_norm", width=hidden, name="shared_head.norm")
    rows = 0 if names else config.optional_size("vocab_size") or 0
    parts = (MultiTokenProjection(hidden=hidden, copied_vocabulary=rows), *layer.parts, behind)
    return (Layer(f"mtp-{layer.name}", parts),) * (count or 0)


def warn_of_mtp(config: Config, *names: str) -> None:
    """Leave a note where a checkpoint brings layers for multi-token prediction of unknown shape.

    Parameters
    ----------
    config : Config
        The configuration.
    *names : str
        Fields that count them.

    Raises
    ------
    SpecError
        A count is unusable.

    Examples
    --------
    >>> config = Config({"num_mtp_modules": 3}, "config.json")
    >>> warn_of_mtp(config, "num_mtp_modules")
    >>> config.warnings[0].partition(";")[0]
    'The checkpoint may bring layers for multi-token prediction (num_mtp_modules: 3)'
    """
    for name in names:
        count = config.optional_size(name, least=0, most=MOST_LAYERS)
        if count:
            config.warn(
                f"The checkpoint may bring layers for multi-token prediction ({name}: {count}); "
                f"they are not counted."
            )
