"""The same backbone with its sequence mixer exchanged, everything else equal."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, get_args

from planner.errors import UnknownNameError
from planner.model import Layer, Model
from planner.model.mixers.attention import Attention
from planner.model.mixers.state_space import Mamba2
from planner.model.part import Part

VariantName = Literal["MHA", "GQA", "MQA", "SWA", "SSM"]
VARIANTS: tuple[VariantName, ...] = get_args(VariantName)

_GROUPS = 8
_WINDOW_TOKENS = 4096
_HEAD_DIM = 128
_SSM_HEAD_DIM = 64
_SSM_STATE_DIM = 128


def variant(model: Model, name: VariantName) -> Model:
    """Return a model with every sequence mixer exchanged for one of another family.

    MHA gives every query head its own keys and values, GQA shares them among the model's own
    groups (8 KV heads where it has none), MQA among all; SWA is GQA that sees 4,096 tokens; SSM is
    Mamba-2 with an inner width of twice the hidden one, heads of 64 and a state of 128.

    Parameters
    ----------
    model : Model
        The backbone.
    name : {"MHA", "GQA", "MQA", "SWA", "SSM"}
        The mixer to put in.

    Returns
    -------
    Model
        Same depth, widths, feed-forward blocks and vocabulary.

    Raises
    ------
    UnknownNameError
        No such variant.

    References
    ----------
    shazeer-2019, ainslie-2023, jiang-2023, dao-2024

    Examples
    --------
    >>> from planner import load_model
    >>> from planner.model.execution import half
    >>> model = load_model("llama-3.1-8b")
    >>> [variant(model, name).cache_bytes_per_token(half()) for name in ("MHA", "GQA", "MQA")]
    [524288, 131072, 16384]
    """
    if name not in VARIANTS:
        raise UnknownNameError("variant", name, VARIANTS)
    layers = {layer: _exchanged(layer, name) for layer, _ in model.groups}
    return replace(
        model,
        id=f"{model.id}+{name.lower()}",
        name=f"{model.name} as {name}",
        layers=tuple(layers[layer] for layer in model.layers),
    )


def _exchanged(layer: Layer, name: VariantName) -> Layer:
    parts = tuple(
        _mixer(part, name) if isinstance(part, Attention | Mamba2) else part for part in layer.parts
    )
    return Layer(layer.name, parts)


def _mixer(part: Attention | Mamba2, name: VariantName) -> Part:
    if name == "SSM":
        return part if isinstance(part, Mamba2) else _state_space(part.hidden)
    attention = part if isinstance(part, Attention) else _attention(part.hidden)
    kv_heads = {
        "MHA": attention.query_heads,
        "MQA": 1,
        "GQA": _grouped(attention),
        "SWA": _grouped(attention),
    }[name]
    window = (attention.window or _WINDOW_TOKENS) if name == "SWA" else None
    return replace(attention, kv_heads=kv_heads, window=window)


def _grouped(attention: Attention) -> int:
    if 1 < attention.kv_heads < attention.query_heads:
        return attention.kv_heads
    return next(n for n in range(_GROUPS, 0, -1) if attention.query_heads % n == 0)


def _attention(hidden: int) -> Attention:
    heads = max(1, hidden // _HEAD_DIM)
    return Attention(hidden=hidden, query_heads=heads, kv_heads=heads, head_dim=_HEAD_DIM)


def _state_space(hidden: int) -> Mamba2:
    return Mamba2(
        hidden=hidden,
        heads=max(1, 2 * hidden // _SSM_HEAD_DIM),
        head_dim=_SSM_HEAD_DIM,
        groups=1,
        state_dim=_SSM_STATE_DIM,
    )
