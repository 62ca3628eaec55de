"""Models cut down to what fits: fewer layers, a smaller vocabulary, fewer experts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from planner import load_model
from planner.model import Layer, Model
from planner.model.feed_forward import MixtureOfExperts

CUTS = ("layers", "vocabulary", "experts")
"""Shape columns that cut a model down."""


def cut(
    model: Model,
    *,
    layers: int | None = None,
    vocabulary: int | None = None,
    experts: int | None = None,
) -> Model:
    """Return a model of the same parts with fewer of them.

    Parameters
    ----------
    model : Model
        The whole model.
    layers : int, optional
        Layers to keep; one of each kind comes first. [1]
    vocabulary : int, optional
        Rows of the token table and of the head. [1]
    experts : int, optional
        Routed experts of each mixture. [1]

    Returns
    -------
    Model
        Every width as it was.
    """
    kinds = [layer for layer, _ in model.groups]
    kept: list[Layer] = list(model.layers)
    if layers is not None and layers < len(model.layers):
        kept = (kinds + [kinds[i % len(kinds)] for i in range(layers)])[:layers]
    size = min(vocabulary or model.embedding.vocabulary, model.embedding.vocabulary)
    return replace(
        model,
        layers=tuple(_with_experts(layer, experts) for layer in kept),
        embedding=replace(model.embedding, vocabulary=size),
        head=replace(model.head, vocabulary=min(size, model.head.vocabulary)),
    )


def _with_experts(layer: Layer, experts: int | None) -> Layer:
    parts = tuple(
        replace(part, experts=max(min(experts, part.experts), part.top_k))
        if experts is not None and isinstance(part, MixtureOfExperts)
        else part
        for part in layer.parts
    )
    return Layer(layer.name, parts)


def model_of(shape: Mapping[str, Any]) -> Model:
    """Return the model that a shape names, cut down as it says.

    Parameters
    ----------
    shape : mapping
        ``model``, and ``layers``, ``vocabulary`` and ``experts`` where it is cut down.

    Returns
    -------
    Model
        From the catalog.

    Raises
    ------
    UnknownNameError
        The catalog has no such model.
    """
    whole = load_model(str(shape["model"]))
    return cut(whole, **{name: int(shape[name]) for name in CUTS if shape.get(name)})
