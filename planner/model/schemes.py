"""From a name, or from what each tensor is stored in, to the storage scheme of a whole model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from planner.errors import PrecisionError
from planner.model.formats.ggml import GGML_TYPES
from planner.model.formats.mixes import MIXES, Mix, Place, Stack, find_mix, mixed_type
from planner.model.formats.names import weight_name
from planner.model.formats.number_format import Format
from planner.model.formats.weights import SHOWN, weight_format
from planner.model.storage import LayerRanges, TensorRule, WeightScheme
from planner.model.tensor import Role, Tensor

if TYPE_CHECKING:
    from planner.model.model import Model
    from planner.model.part import Part

QUANTISED_ROLES: tuple[Role, ...] = ("linear", "expert")
_HEAD = "lm_head.weight"
_EXL_HEAD_BITS = "6"


class Stored(NamedTuple):
    """How one tensor is stored: a format by name and, where measured, its bytes."""

    format: str
    stored_bytes: int | None = None


class Standing(NamedTuple):
    """A tensor and where it stands: the layer's index, None around the stack."""

    layer: int | None
    tensor: Tensor


def standing(model: Model) -> Iterator[Standing]:
    """Yield every tensor of a model, one entry per layer.

    Parameters
    ----------
    model : Model
        The model.

    Yields
    ------
    Standing
        What stands around the stack first, then layer by layer.
    """
    around: tuple[Part, ...] = (model.embedding, *model.initial, *model.final, model.head)
    for part in around:
        for tensor in part.tensors():
            yield Standing(None, tensor)
    held = {
        layer: [tensor for part in layer.parts for tensor in part.tensors()]
        for layer, _ in model.groups
    }
    for index, layer in enumerate(model.layers):
        for tensor in held[layer]:
            yield Standing(index, tensor)


class Assignment(NamedTuple):
    """A scheme as data: the format of most matrices, and the rules for the others."""

    quantised: str | None
    roles: tuple[Role, ...]
    rules: tuple[TensorRule, ...]


def assign(model: Model, dtype: str, stored: Mapping[tuple[int | None, str], Stored]) -> Assignment:
    """Return the shortest description of how each tensor is stored.

    Parameters
    ----------
    model : Model
        The model.
    dtype : str
        Format of what is not quantised.
    stored : mapping
        By layer and name; nothing for tensors that are stored as their role says.

    Returns
    -------
    Assignment
        The format of most elements of the matrices as the default, rules for the exceptions.
    """
    plain = Stored(dtype)
    weights: Counter[tuple[Role, str]] = Counter()
    for layer, tensor in standing(model):
        if tensor.role in QUANTISED_ROLES and len(tensor.shape) >= 2:
            found = stored.get((layer, tensor.name), plain)
            weights[tensor.role, found.format] += tensor.elements
    default = _most_common(weights, except_for=dtype)
    present = {role for role, _ in weights}
    roles = tuple(
        role
        for role in QUANTISED_ROLES
        if role not in present or _most_common(weights, of_role=role) == default
    )
    base = weight_format(dtype)
    usual = WeightScheme(
        base=base,
        quantised=weight_format(default) if default else base,
        roles=frozenset(roles),
    )
    exceptions: dict[tuple[Stored, str, bool], list[int]] = {}
    for layer, tensor in standing(model):
        said = stored.get((layer, tensor.name))
        if said is not None and said != Stored(usual.format_of(tensor).name):
            layers = exceptions.setdefault((said, tensor.name, layer is None), [])
            if layer is not None and layer not in layers[-1:]:
                layers.append(layer)
    return Assignment(
        default, roles if default else QUANTISED_ROLES, _rules(exceptions, tied=model.head.tied)
    )


def _most_common(
    weights: Counter[tuple[Role, str]], *, of_role: Role | None = None, except_for: str = ""
) -> str | None:
    """Return the format of most elements."""
    formats: Counter[str] = Counter()
    for (role, name), elements in weights.items():
        if of_role in (None, role) and name != except_for:
            formats[name] += elements
    return formats.most_common(1)[0][0] if formats else None


def _rules(
    exceptions: Mapping[tuple[Stored, str, bool], list[int]], *, tied: bool
) -> tuple[TensorRule, ...]:
    """Put tensors together that are stored alike in the same layers."""
    together: dict[tuple[Stored, LayerRanges], list[str]] = {}
    for (found, name, _), layers in exceptions.items():
        together.setdefault((found, layer_ranges(layers)), []).append(name)
        if tied and not layers and name == "embed_tokens.weight":
            together[found, ()].append(_HEAD)
    return tuple(
        TensorRule(
            tensors=tuple(names),
            format=found.format,
            layers=layers,
            stored_bytes=found.stored_bytes,
        )
        for (found, layers), names in together.items()
    )


def layer_ranges(layers: list[int]) -> LayerRanges:
    """Return ascending indices as runs.

    Parameters
    ----------
    layers : list of int
        Indices of layers.

    Returns
    -------
    tuple of pairs
        First and last of each run.

    Examples
    --------
    >>> layer_ranges([0, 1, 2, 7])
    ((0, 2), (7, 7))
    """
    runs = groupby(enumerate(layers), key=lambda pair: pair[1] - pair[0])
    found = [[index for _, index in run] for _, run in runs]
    return tuple((run[0], run[-1]) for run in found)


def weight_scheme(model: Model, name: str | None) -> WeightScheme:
    """Return how weights are stored.

    Parameters
    ----------
    model : Model
        Gives the checkpoint's own storage.
    name : str or None
        A weight format or a mix; the checkpoint's own without it.

    Returns
    -------
    WeightScheme
        Scalar formats hold for all tensors, quantised ones for matrices, mixes tensor by tensor;
        where the checkpoint is in the named format, what it says of each tensor.

    Raises
    ------
    PrecisionError
        No such format.
    """
    checkpoint = model.checkpoint
    base = weight_format(checkpoint.dtype)
    wanted = None if name is None else weight_name(name)
    if wanted is None or wanted == checkpoint.quantised:
        own = checkpoint.quantised
        return WeightScheme(
            base=base,
            quantised=base if own is None else weight_format(own),
            roles=frozenset(checkpoint.roles),
            rules=checkpoint.rules,
            label=checkpoint.label,
            extra_bytes=checkpoint.extra_bytes,
        )
    mix = find_mix(wanted)
    if mix is not None:
        return _mixed(model, base, wanted, *mix)
    found = _found(wanted)
    if found.is_scalar and found.bits >= 16:
        return WeightScheme(base=found, quantised=found)
    return WeightScheme(base=base, quantised=found, rules=_head_rules(wanted, found.name))


def _found(name: str) -> Format:
    stem = name.partition("_h")[0] if name.startswith("exl") else name
    unknown = PrecisionError(
        "unknown format of weights", got=name, allowed=", ".join((*SHOWN, *MIXES))
    )
    try:
        found = weight_format(stem)
    except PrecisionError as error:
        raise unknown from error
    kind = GGML_TYPES.get(stem.removeprefix("ggml_"))
    if kind is not None and kind.block_elements == 1 and stem != "bf16":
        raise unknown  # numbers beside the weights of a GGUF file
    return found


def _head_rules(name: str, stem: str) -> tuple[TensorRule, ...]:
    """Return what EXL formats do with the head: six bits unless ``_h`` says otherwise."""
    kind = stem.partition("_")[0]
    if kind not in ("exl2", "exl3"):
        return ()
    bits = name.partition("_h")[2] or _EXL_HEAD_BITS
    _found(f"{kind}_{bits}")
    return (TensorRule(tensors=(_HEAD,), format=f"{kind}_{bits}"),)


def _mixed(model: Model, base: Format, name: str, mix: Mix, imatrix: bool) -> WeightScheme:
    stack = _stack_of(model)
    all_tensors = list(standing(model))
    attending = sorted(
        {
            layer
            for layer, tensor in all_tensors
            if layer is not None and tensor.name.endswith("v_proj.weight")
        }
    )
    order = {layer: index for index, layer in enumerate(attending)}
    stored: dict[tuple[int | None, str], Stored] = {}
    for layer, tensor in all_tensors:
        place = Place(index=layer or 0, count=stack.layers, stack=stack, imatrix=imatrix)
        if layer is not None and tensor.name.endswith("v_proj.weight"):
            place = Place(index=order[layer], count=len(attending), stack=stack, imatrix=imatrix)
        kind = GGML_TYPES[mixed_type(mix, tensor, place)]
        stored[layer, tensor.name] = Stored(kind.format_name)
    found = assign(model, base.name, stored)
    return WeightScheme(
        base=base,
        quantised=base if found.quantised is None else weight_format(found.quantised),
        roles=frozenset(found.roles),
        rules=found.rules,
        label=name,
        extra_bytes=_rotary_factors_bytes(model),
    )


def _rotary_factors_bytes(model: Model) -> int:
    """Return the divisors of rotary angles that GGUF files hold beside the weights, in fp32."""
    tables = {"llama3": 1, "longrope": 2}
    rotations = model.positions.rotations if model.positions else ()
    return sum(4 * (each.dim // 2) * tables.get(each.scaling, 0) for each in rotations)


def _stack_of(model: Model) -> Stack:
    rows: dict[str, int] = {}
    experts = 1
    for _, tensor, _ in model.tensors:
        kind = tensor.name.removesuffix(".weight").rpartition(".")[2]
        rows.setdefault(kind, tensor.shape[0])
        if tensor.role == "expert":
            experts = max(experts, tensor.shape[0])
    return Stack(
        layers=len(model.layers),
        grouped=rows.get("q_proj", 1) // rows.get("k_proj", rows.get("q_proj", 1)) or 1,
        experts=experts,
        tied=model.head.tied,
        fused_qkv=model.checkpoint.fused_qkv,
    )


__all__ = [
    "QUANTISED_ROLES",
    "Assignment",
    "Standing",
    "Stored",
    "assign",
    "layer_ranges",
    "standing",
    "weight_scheme",
]
