"""A model's parts under a storage scheme: equal layers that are stored differently stand apart."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from planner.model.multi_token import MultiTokenProjection
from planner.model.part import Part
from planner.model.storage import WeightScheme
from planner.model.tensor import Tensor

if TYPE_CHECKING:
    from planner.model.layer import Layer
    from planner.model.model import Model


class StoredPart(NamedTuple):
    """A distinct part under a storage scheme.

    ``layer`` names its layer, ``times`` says how often it occurs [1], ``scheme`` how its weights
    are stored there.
    """

    layer: str
    part: Part
    times: int
    scheme: WeightScheme


class StoredTensor(NamedTuple):
    """A distinct tensor under a storage scheme.

    ``layer`` names its layer, ``times`` says how often it occurs [1], ``scheme`` how it is stored
    there.
    """

    layer: str
    tensor: Tensor
    times: int
    scheme: WeightScheme


def split_by(model: Model, scheme: WeightScheme) -> Iterator[StoredPart]:
    """Yield every distinct part under a storage scheme.

    Parameters
    ----------
    model : Model
        The model.
    scheme : WeightScheme
        How weights are stored.

    Yields
    ------
    StoredPart
        In the order of the model's parts.
    """
    outside = scheme.in_layer(None)
    views: dict[Layer, dict[WeightScheme, int]] = {}
    for index, layer in enumerate(model.layers if scheme.rules else (), model.first_layer):
        counts = views.setdefault(layer, {})
        view = scheme.in_layer(index)
        counts[view] = counts.get(view, 0) + 1
    groups = iter(model.parts)
    for name, part, count in islice(groups, len(model.entry)):
        yield StoredPart(name, part, count, outside)
    for layer, count in model.groups:
        for name, part, _ in islice(groups, len(layer.parts)):
            for view, times in views.get(layer, {scheme: count}).items():
                yield StoredPart(name, part, times, view)
    for name, part, count in groups:
        yield StoredPart(name, part, count, outside)


@lru_cache(maxsize=64)
def stored_tensors(model: Model, scheme: WeightScheme) -> tuple[StoredTensor, ...]:
    """Return every distinct tensor under a storage scheme, towers included.

    Parameters
    ----------
    model : Model
        The model.
    scheme : WeightScheme
        How weights are stored.

    Returns
    -------
    tuple of StoredTensor
        In the order of the model's parts, towers last.
    """
    main = (
        StoredTensor(layer, tensor, count, own)
        for layer, part, count, own in model.stored_parts(scheme)
        for tensor in part.tensors()
    )
    outside = scheme.in_layer(None)
    towers = (
        StoredTensor(layer, tensor, count, outside)
        for tower in model.towers
        for layer, tensor, count in tower.tensors()
    )
    return (*main, *towers)


@lru_cache(maxsize=64)
def counted_tensors(
    model: Model, scheme: WeightScheme
) -> tuple[tuple[Tensor, WeightScheme, int], ...]:
    """Return what :func:`stored_tensors` does, equal tensors that are stored alike together.

    Parameters
    ----------
    model : Model
        The model.
    scheme : WeightScheme
        How weights are stored.

    Returns
    -------
    tuple of tuple
        A tensor, the scheme within its layers, and how often it occurs.
    """
    counts: dict[tuple[Tensor, WeightScheme], int] = {}
    for _, tensor, count, own in stored_tensors(model, scheme):
        counts[tensor, own] = counts.get((tensor, own), 0) + count
    return tuple((tensor, own, count) for (tensor, own), count in counts.items())


def multi_token_bytes(model: Model, scheme: WeightScheme) -> int:
    """Return the bytes of the layers for multi-token prediction that stand beside the stack.

    Parameters
    ----------
    model : Model
        The model.
    scheme : WeightScheme
        How weights are stored.

    Returns
    -------
    int
        Exact size; 0 where the model brings none, or has them loaded. [bytes]

    References
    ----------
    deepseek-v3-2024
    """
    return sum(
        scheme.in_layer(index).tensor_bytes(tensor)
        for index, layer in enumerate(model.mtp, start=len(model.layers))
        for part in layer.parts
        for tensor in part.tensors()
    )


def copied_bytes(model: Model, scheme: WeightScheme) -> int:
    """Return the bytes of copies that a checkpoint holds of tables that nothing loads twice.

    Parameters
    ----------
    model : Model
        The model.
    scheme : WeightScheme
        How weights are stored.

    Returns
    -------
    int
        Exact size. [bytes]

    References
    ----------
    deepseek-v3-2024
    """
    stacks = (*model.groups, *((layer, 1) for layer in model.mtp))
    copies = sum(
        part.copied_elements * count
        for layer, count in stacks
        for part in layer.parts
        if isinstance(part, MultiTokenProjection)
    )
    return int(copies * scheme.base.bits // 8)


def checkpoint_bytes(model: Model, scheme: WeightScheme) -> int:
    """Return the bytes of a whole checkpoint, without the headers of its files.

    Parameters
    ----------
    model : Model
        The model.
    scheme : WeightScheme
        How weights are stored.

    Returns
    -------
    int
        The weights, and what it brings for multi-token prediction, loaded or not. [bytes]

    Examples
    --------
    >>> from planner import load_model
    >>> from planner.model.schemes import weight_scheme
    >>> model = load_model("deepseek-v3")
    >>> checkpoint_bytes(model, weight_scheme(model, None))
    688574839360
    """
    weights = scheme.extra_bytes + sum(
        own.tensor_bytes(tensor) * count for _, tensor, count, own in stored_tensors(model, scheme)
    )
    return weights + multi_token_bytes(model, scheme) + copied_bytes(model, scheme)
