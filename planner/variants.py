"""The same backbone with its sequence mixer exchanged, everything else equal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from planner.errors import ScenarioError, UnknownNameError
from planner.model import Layer, Model
from planner.model.mixers.attention import Attention
from planner.model.mixers.latent import LatentAttention
from planner.model.mixers.state_space import Mamba1, Mamba2
from planner.model.part import Part
from planner.units import parse_count

VariantName = Literal["MHA", "GQA", "MQA", "MLA", "SWA", "SSM", "HYBRID"]
VARIANTS: tuple[VariantName, ...] = get_args(VariantName)

_KV_HEADS = (8, 4, 2, 1)
_WINDOW_TOKENS = 4096
_SSM_PER_ATTENTION = 7
_HEAD_DIM = 128
_SSM_HEAD_DIM = 64
_SSM_STATE_DIM = 128
_LATENT_PER_HEAD_DIM = 4
_MOST_VARIANTS = 12
_KEPT = frozenset({"cross_attention"})
"""Mixers that read another sequence: no exchange of what a sequence remembers of itself."""
_SELECTS = "indexer"
"""What selects keys for a mixer leaves with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """Which mixer to put in, and its one free size.

    Parameters
    ----------
    name : {"MHA", "GQA", "MQA", "MLA", "SWA", "SSM", "HYBRID"}
        Family of the mixer.
    size : int, optional
        KV heads of GQA [1], rank of MLA's latent [elements], window of SWA [tokens], width of the
        state of SSM [elements], state-space layers per attention layer of HYBRID [1]. MHA and MQA
        have none.
    """

    name: VariantName
    size: int | None = None

    @property
    def label(self) -> str:
        """Name with its size, as people and command lines write it."""
        return self.name if self.size is None else f"{self.name}:{self.size}"


def parse_exchange(text: str) -> Exchange:
    """Read a variant as a command line names it.

    Parameters
    ----------
    text : str
        A name, and after a colon its size: ``GQA:4``, ``MLA:512``, ``SWA:1K``, ``SSM:64``,
        ``HYBRID:7`` (seven state-space layers to one of attention).

    Returns
    -------
    Exchange
        With the size, where one was given.

    Raises
    ------
    UnknownNameError
        No such variant.
    ScenarioError
        The size is no whole number, or the variant has none.

    Examples
    --------
    >>> parse_exchange("swa:1K"), parse_exchange("hybrid:7:1").label
    (Exchange(name='SWA', size=1024), 'HYBRID:7')
    """
    word, _, size = text.strip().partition(":")
    name = next((known for known in VARIANTS if known == word.strip().upper()), None)
    if name is None:
        raise UnknownNameError("variant", word[:40], VARIANTS)
    if not size:
        return Exchange(name=name)
    if name in {"MHA", "MQA"}:
        raise ScenarioError(f"{name} has no size to set", where="--variants", got=text)
    if name == "HYBRID":
        size = size.removesuffix(":1")
    return Exchange(name=name, size=parse_count(size, where=f"--variants {name}", most=2**24))


def parse_exchanges(text: str) -> tuple[Exchange, ...]:
    """Read a list of variants.

    Parameters
    ----------
    text : str
        Names with their sizes, joined by commas.

    Returns
    -------
    tuple of Exchange
        In the order given, each once.

    Raises
    ------
    UnknownNameError
        No such variant.
    ScenarioError
        None, too many, or a size that is no number.

    Examples
    --------
    >>> [each.label for each in parse_exchanges("MHA, gqa:4,MLA")]
    ['MHA', 'GQA:4', 'MLA']
    """
    words = [word for word in text[:1000].split(",") if word.strip()]
    found = tuple(dict.fromkeys(parse_exchange(word) for word in words))
    if not 1 <= len(found) <= _MOST_VARIANTS:
        raise ScenarioError(
            "not a list of variants",
            where="--variants",
            got=text,
            allowed=f"1 to {_MOST_VARIANTS} of {', '.join(VARIANTS)}, joined by commas",
        )
    return found


def variant(model: Model, name: VariantName | Exchange) -> Model:
    """Return a model with every sequence mixer exchanged for one of another family.

    MHA gives every query head its own keys and values, GQA shares them among the model's own
    groups (8 KV heads where it has none), MQA among all. MLA keeps one latent of four head widths
    and a rotated key of half of one, as DeepSeek-V2 does. SWA is GQA that sees 4,096 tokens. SSM
    is Mamba-2 with an inner width of twice the hidden one, heads of 64 and a state of 128. HYBRID
    keeps the model's own attention in every eighth layer and puts SSM into the other seven. Blocks
    that several layers share stay as they are.

    Parameters
    ----------
    model : Model
        The backbone.
    name : str or Exchange
        The mixer to put in; an :class:`Exchange` sets its size too.

    Returns
    -------
    Model
        Same depth, widths, feed-forward blocks and vocabulary.

    Raises
    ------
    UnknownNameError
        No such variant.
    ScenarioError
        A size that the backbone does not admit.

    References
    ----------
    shazeer-2019, ainslie-2023, jiang-2023, deepseek-v2-2024, dao-2024, waleffe-2024

    Examples
    --------
    >>> from planner import load_model
    >>> from planner.model.execution import half
    >>> model = load_model("llama-3.1-8b")
    >>> names = ("MHA", "GQA", "MQA", "MLA", "HYBRID")
    >>> [variant(model, name).cache_bytes_per_token(half()) for name in names]
    [524288, 131072, 16384, 36864, 16384]
    """
    exchange = name if isinstance(name, Exchange) else Exchange(name=name)
    if exchange.name not in VARIANTS:
        raise UnknownNameError("variant", str(exchange.name), VARIANTS)
    return replace(
        model,
        id=f"{model.id}-{exchange.label.lower().replace(':', '-')}",
        name=f"{model.name} as {exchange.label}",
        layers=_stack(model, exchange),
    )


def _stack(model: Model, exchange: Exchange) -> tuple[Layer, ...]:
    """Exchange the mixers layer by layer; equal layers stay one object."""
    template = _template(model)
    made: dict[tuple[Layer, bool], Layer] = {}
    layers = []
    mixed = 0
    period = (exchange.size or _SSM_PER_ATTENTION) + 1
    for layer in model.layers:
        attends = exchange.name != "HYBRID" or mixed % period == period - 1
        mixed += any(_is_mixer(part) for part in layer.parts)
        key = (layer, attends)
        if key not in made:
            made[key] = _exchanged(layer, exchange, attends, template)
        layers.append(made[key])
    return tuple(layers)


def _exchanged(layer: Layer, exchange: Exchange, attends: bool, template: Attention) -> Layer:
    """Put one mixer in the place of a layer's first, and none in that of its others."""
    hybrid = exchange.name == "HYBRID"
    if hybrid and attends and any(_attends(part) for part in layer.parts):
        return layer
    parts: list[Part] = []
    found = False
    for part in layer.parts:
        if not _is_mixer(part):
            parts.append(part)
        elif not found:
            found = True
            parts.append(_mixer(part, exchange, attends, template))
    name = layer.name if attends or not found else f"{layer.name}-ssm"
    return Layer(name, tuple(parts))


def _is_mixer(part: Part) -> bool:
    """Whether a part lets tokens of one sequence meet, or selects which do."""
    if not type(part).__module__.startswith("planner.model.mixers."):
        return False
    kind = getattr(part, "kind", "")
    return kind == _SELECTS or (hasattr(part, "variant") and kind not in _KEPT)


def _attends(part: Part) -> bool:
    """Whether a part looks back at tokens, rather than at a state."""
    kind = getattr(part, "kind", "")
    return _is_mixer(part) and (kind.endswith("attention") or kind in {"longformer", "reformer"})


def _mixer(part: Part, exchange: Exchange, attends: bool, template: Attention) -> Part:
    state_space = exchange.name == "SSM" or not attends
    if state_space:
        keeps = isinstance(part, Mamba1 | Mamba2) and exchange.size is None
        return part if keeps else _state_space(template.hidden, exchange)
    attention = _attention_of(part, template)
    match exchange.name:
        case "MHA":
            return replace(attention, kv_heads=attention.query_heads, window=None)
        case "MQA":
            return replace(attention, kv_heads=1, window=None)
        case "MLA":
            return _latent(part, attention, exchange.size)
        case "SWA":
            window = exchange.size or attention.window or _WINDOW_TOKENS
            return replace(attention, kv_heads=_grouped(attention, None), window=window)
    size = exchange.size if exchange.name == "GQA" else None
    return replace(attention, kv_heads=_grouped(attention, size), window=None)


def _template(model: Model) -> Attention:
    """Attention as the model has it in its first such layer, or as its width suggests."""
    for layer, _ in model.groups:
        for part in layer.parts:
            if isinstance(part, Attention | LatentAttention):
                return _attention_of(part, _attention(model.hidden))
    return _attention(model.hidden)


def _attention_of(part: Part, template: Attention) -> Attention:
    """Plain attention over the whole sequence with the heads of a part."""
    if isinstance(part, Attention):
        return replace(part, chunk=None, sink_tokens=0, own_kv=True, value_projection=True)
    if isinstance(part, LatentAttention):
        return Attention(
            hidden=part.hidden,
            query_heads=part.query_heads,
            kv_heads=part.query_heads,
            head_dim=part.qk_nope_head_dim,
            value_dim=part.v_head_dim,
        )
    return template


def _grouped(attention: Attention, wanted: int | None) -> int:
    if wanted is not None and attention.query_heads % wanted:
        raise ScenarioError(
            f"{wanted:,} KV heads do not divide the {attention.query_heads:,} query heads",
            where="--variants GQA",
            got=wanted,
            allowed=f"a divisor of {attention.query_heads:,}",
        )
    if wanted is not None:
        return wanted
    if 1 < attention.kv_heads < attention.query_heads:
        return attention.kv_heads
    return next(n for n in _KV_HEADS if attention.query_heads % n == 0)


def _attention(hidden: int) -> Attention:
    heads = max(1, hidden // _HEAD_DIM)
    return Attention(hidden=hidden, query_heads=heads, kv_heads=heads, head_dim=_HEAD_DIM)


def _latent(part: Part, attention: Attention, rank: int | None) -> LatentAttention:
    if isinstance(part, LatentAttention):
        whole = replace(part, index_topk=None, owns_latent=True)
        return whole if rank is None else replace(whole, kv_lora_rank=rank)
    return LatentAttention(
        hidden=attention.hidden,
        query_heads=attention.query_heads,
        kv_lora_rank=rank or _LATENT_PER_HEAD_DIM * attention.head_dim,
        qk_nope_head_dim=attention.head_dim,
        qk_rope_head_dim=max(attention.head_dim // 2, 1),
        v_head_dim=attention.values,
        rotary=attention.rotary,
    )


def _state_space(hidden: int, exchange: Exchange) -> Mamba2:
    return Mamba2(
        hidden=hidden,
        heads=max(1, 2 * hidden // _SSM_HEAD_DIM),
        head_dim=_SSM_HEAD_DIM,
        groups=1,
        state_dim=(exchange.size if exchange.name == "SSM" else None) or _SSM_STATE_DIM,
    )


def labels(exchanges: Sequence[Exchange]) -> tuple[str, ...]:
    """Return the names of variants as charts and tables print them.

    Parameters
    ----------
    exchanges : sequence of Exchange
        Variants.

    Returns
    -------
    tuple of str
        One each.

    Examples
    --------
    >>> labels((Exchange(name="SWA", size=1024), Exchange(name="HYBRID", size=7)))
    ('SWA 1,024', 'hybrid 7:1')
    """
    return tuple(_printed(each) for each in exchanges)


def _printed(exchange: Exchange) -> str:
    size = exchange.size
    if exchange.name == "HYBRID":
        return f"hybrid {size or _SSM_PER_ATTENTION}:1"
    return exchange.name if size is None else f"{exchange.name} {size:,}"
