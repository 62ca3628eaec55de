"""Weights as files hold them: exact bytes of each tensor, laid upon a model's own tensors.

Files name, split and fuse tensors in ways of their own. What can be matched by name is; the rest
of a layer is shared by the rest of its tensors, so that every layer and the whole are exact.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from planner.errors import SpecError
from planner.importers.module_patterns import spellings
from planner.model import Checkpoint, Model
from planner.model.formats.number_format import Format
from planner.model.placement import stored_tensors
from planner.model.schemes import Stored, assign, standing, weight_scheme
from planner.model.storage import WeightScheme, format_bytes_of, weight_format
from planner.model.tensor import Tensor
from planner.model.tower import ENCODER

_STACK = re.compile(r"(?:^|\.)(?:layers|layer|h|blocks|block|blk)\.(\d{1,6})\.")
_EXPERT = re.compile(r"\.experts\.\d+(?=\.)")
_FOREIGN = re.compile(
    r"(?:^|\.|_)(?:vision|visual|image|audio|speech|mm|multi_modal|mtp|projector|tower)(?:$|\.|_)"
)
_ENCODER = re.compile(r"(?:model\.)?encoder\.")
_WRAPPERS = frozenset({"model", "language_model", "transformer", "backbone", "decoder", "llm"})
_PARTS = (
    ".qweight", ".qzeros", ".scales", ".g_idx", ".weight_scale_inv", ".weight_scale_2",
    ".weight_scale", ".weight_global_scale", ".input_global_scale", ".input_scale",
    ".weight_packed", ".weight_shape", ".weight_zero_point", ".weight_g_idx", ".weight.absmax",
    ".weight.quant_map",
    ".weight.nested_absmax", ".weight.nested_quant_map", ".weight.quant_state.bitsandbytes__nf4",
    ".weight.quant_state.bitsandbytes__fp4", ".weight_format", ".SCB", ".codes", ".codebooks",
    ".trellis", ".suh", ".svh", ".mcg", ".mul1", ".W_q", ".meta", "_blocks", "_scales", ".weight",
)  # fmt: skip
_ALIKE = {"gate_up_proj_bias": "in_bias", "down_proj_bias": "out_bias"}
_MISFIT = 0.01
_Key = TypeVar("_Key", bound=Hashable)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileTensor:
    """A tensor of a file.

    Parameters
    ----------
    name : str
        Its name there.
    format : str or None
        A format of weights; None for packed integers whose meaning the file does not say.
    elements : int
        Entries of the stored array. [1]
    stored_bytes : int
        What it takes in the file. [bytes]
    """

    name: str
    format: str | None
    elements: int
    stored_bytes: int


@dataclass(slots=True)
class _Bucket:
    """The tensors of one layer, or around the stack: the model's and the file's."""

    own: list[Tensor] = field(default_factory=list)
    found: list[FileTensor] = field(default_factory=list)


def measured(model: Model, tensors: Sequence[FileTensor], where: str) -> Model:
    """Return a model with the storage that its files have.

    Parameters
    ----------
    model : Model
        The model as its configuration says.
    tensors : sequence of FileTensor
        What the files hold.
    where : str
        The file, for errors.

    Returns
    -------
    Model
        Its weights take exactly the bytes of the files' tensors.

    Raises
    ------
    SpecError
        The files hold less than the model.
    """
    scheme = weight_scheme(model, None)
    buckets = _buckets(model, tensors)
    told_apart = all(bucket.found for layer, bucket in buckets.items() if layer is not None)
    if told_apart:
        stored, extra = _by_layer(buckets, scheme)
    else:
        total = sum(entry.stored_bytes for entry in tensors)
        stored, extra = _in_proportion(buckets, scheme, total - _tower_bytes(model)), 0
    found = assign(model, model.checkpoint.dtype, stored)
    checkpoint = Checkpoint(
        dtype=model.checkpoint.dtype,
        quantised=found.quantised,
        roles=found.roles,
        rules=found.rules,
        extra_bytes=extra,
    )
    result, beside = _with_towers(replace(model, checkpoint=checkpoint), told_apart=told_apart)
    notes = _notes(model, tensors, result.checkpoint.extra_bytes, told_apart)
    result = replace(result, warnings=(*model.warnings, *beside, *notes))
    _check_sum(result, tensors, where)
    return result


def _tower_bytes(model: Model) -> int:
    outside = weight_scheme(model, None).in_layer(None)
    return sum(
        outside.tensor_bytes(tensor) * times
        for tower in model.towers
        for _, tensor, times in tower.tensors()
    )


def _with_towers(model: Model, *, told_apart: bool) -> tuple[Model, tuple[str, ...]]:
    """Return the model with towers where the file holds them, and what there is to say of it.

    They are among the bytes beside the stack; a file with fewer of these is one without towers.
    """
    extra, held = model.checkpoint.extra_bytes, _tower_bytes(model)
    if not told_apart or not model.towers:
        return model, ()
    if extra >= held:
        checkpoint = replace(model.checkpoint, extra_bytes=extra - held)
        return replace(model, checkpoint=checkpoint), ()
    names = ", ".join(tower.name for tower in model.towers)
    note = f"The file does not hold these towers as the configuration has them: {names}."
    return replace(model, towers=()), (note,)


def _by_layer(
    buckets: Mapping[int | None, _Bucket], scheme: WeightScheme
) -> tuple[dict[tuple[int | None, str], Stored], int]:
    stored = {}
    extra = 0
    for layer, bucket in buckets.items():
        own = scheme.in_layer(layer)
        shares, left = _shares(bucket, own)
        extra += left
        for tensor in bucket.own:
            size, formats = shares[tensor.name]
            stored[layer, tensor.name] = _stored(tensor, size, own.format_of(tensor), formats)
    return stored, extra


def _in_proportion(
    buckets: Mapping[int | None, _Bucket], scheme: WeightScheme, total: int
) -> dict[tuple[int | None, str], Stored]:
    """Share the whole by what each tensor takes as the configuration says."""
    own = {
        (layer, tensor.name): (tensor, scheme.in_layer(layer))
        for layer, bucket in buckets.items()
        for tensor in bucket.own
    }
    sizes = {key: view.tensor_bytes(tensor) for key, (tensor, view) in own.items()}
    divided = _divided(max(total, 0), sizes)
    return {
        key: _stored(tensor, divided[key], view.format_of(tensor), Counter())
        for key, (tensor, view) in own.items()
    }


def _buckets(model: Model, tensors: Iterable[FileTensor]) -> dict[int | None, _Bucket]:
    """Sort tensors by layer."""
    buckets: dict[int | None, _Bucket] = {}
    for layer, tensor in standing(model):
        buckets.setdefault(layer, _Bucket()).own.append(tensor)
    around = buckets.setdefault(None, _Bucket())
    encoder = any(tower.name == ENCODER for tower in model.towers)
    for entry in tensors:
        layer = layer_of(entry.name)
        if (encoder and _ENCODER.match(entry.name)) or (layer is not None and layer not in buckets):
            around.found.append(replace(entry, name=f"mtp.{entry.name}"))
        else:
            buckets[layer].found.append(entry)
    return buckets


def layer_of(name: str) -> int | None:
    """Return the layer in which a file's tensor stands.

    Parameters
    ----------
    name : str
        Its name.

    Returns
    -------
    int or None
        None for what stands around the stack or in a tower beside it.

    Examples
    --------
    >>> layer_of("model.layers.3.mlp.up_proj.weight"), layer_of("vision_tower.layers.3.mlp.fc1")
    (3, None)
    """
    found = _STACK.search(name)
    if found is None or _FOREIGN.search(name[: found.start()]):
        return None
    return int(found.group(1))


def _module(entry: FileTensor) -> str | None:
    """Return the module of a file's tensor below its layer; None for towers."""
    found = _STACK.search(entry.name)
    if _FOREIGN.search(entry.name[: found.start()] if found else entry.name):
        return None
    words = (entry.name[found.end() :] if found else entry.name).split(".")
    while len(words) > 1 and words[0] in _WRAPPERS:
        words = words[1:]
    name = _EXPERT.sub(".experts", ".".join(words))
    for part in _PARTS:
        if name.endswith(part):
            name = name.removesuffix(part)
            break
    head, _, last = name.rpartition(".")
    return f"{head}.{_ALIKE[last]}" if last in _ALIKE else name


Share = tuple[int, Counter[str | None]]


def _shares(bucket: _Bucket, scheme: WeightScheme) -> tuple[dict[str, Share], int]:
    """Return the bytes of each own tensor with the formats found, and what is left over."""
    sizes = {tensor.name: scheme.tensor_bytes(tensor) for tensor in bucket.own}
    by_name: dict[str, list[str]] = {}
    for tensor in bucket.own:
        for name in spellings(tensor.name):
            by_name.setdefault(name, []).append(tensor.name)
    together: dict[tuple[str, ...], list[FileTensor]] = {}
    rest: list[FileTensor] = []
    extra = 0
    for entry in bucket.found:
        module = _module(entry)
        if module is None:
            extra += entry.stored_bytes
        elif module in by_name:
            together.setdefault(tuple(by_name[module]), []).append(entry)
        else:
            rest.append(entry)
    named = {name for names in together for name in names}
    rest = _paired(together, [t for t in bucket.own if t.name not in named], rest)
    named = {name for names in together for name in names}
    unmatched = tuple(name for name in sizes if name not in named)
    if unmatched and rest:
        together[unmatched] = rest
    else:
        extra += sum(entry.stored_bytes for entry in rest)
    shares: dict[str, Share] = {name: (0, Counter()) for name in sizes}
    for names, entries in together.items():
        formats: Counter[str | None] = Counter()
        for entry in entries:
            formats[entry.format] += entry.stored_bytes
        total = sum(entry.stored_bytes for entry in entries)
        for name, size in _divided(total, {name: sizes[name] for name in names}).items():
            shares[name] = (shares[name][0] + size, shares[name][1] + formats)
    return shares, extra


def _paired(
    together: dict[tuple[str, ...], list[FileTensor]],
    own: Sequence[Tensor],
    found: Sequence[FileTensor],
) -> list[FileTensor]:
    """Pair tensors of one size where both sides have as many of them; return what is left."""
    sizes = {entry.elements for entry in found}
    left: list[FileTensor] = []
    for size in sorted(sizes):
        mine = [tensor for tensor in own if tensor.elements == size]
        theirs = [entry for entry in found if entry.elements == size]
        if len(mine) == len(theirs):
            together.update(
                {(tensor.name,): [entry] for tensor, entry in zip(mine, theirs, strict=True)}
            )
        else:
            left += theirs
    return left


def _divided(total: int, weights: Mapping[_Key, int]) -> dict[_Key, int]:
    """Divide bytes in proportion, the last share taking what rounding leaves."""
    whole, done, seen = sum(weights.values()) or 1, 0, 0
    shares: dict[_Key, int] = {}
    for name, weight in weights.items():
        seen += weight
        shares[name] = total * seen // whole - done
        done += shares[name]
    return shares


def _stored(tensor: Tensor, size: int, said: Format, formats: Counter[str | None]) -> Stored:
    """Return the format of a tensor: the configuration's if the bytes agree, else the file's."""
    if format_bytes_of(said, tensor) == size:
        return Stored(said.name)
    common = formats.most_common(1)[0][0] if formats else None
    if common is not None:
        found = weight_format(common)
        if format_bytes_of(found, tensor) == size:
            return Stored(common)
        if found.bits * tensor.elements <= 8 * size:
            return Stored(common, size)
    if said.bits < 16:
        return Stored(said.name, size)
    wide = 8 * size >= 7 * tensor.elements
    return Stored("packed8_gall" if wide else "packed4_gall", size)


def _notes(
    model: Model, tensors: Sequence[FileTensor], extra: int, told_apart: bool
) -> tuple[str, ...]:
    notes = []
    if not told_apart and any(entry.elements for entry in tensors):
        notes.append(
            "The layers of the file could not be told apart; its bytes are shared by the model's "
            "tensors in proportion."
        )
    held = sum(entry.stored_bytes for entry in tensors)
    if extra > _MISFIT * held:
        notes.append(
            f"{extra:,} bytes of the file belong to tensors that the model does not compute with, "
            "such as towers; they are counted on every rank."
        )
    scalar = sum(
        entry.elements
        for entry in tensors
        if entry.format and weight_format(entry.format).is_scalar
    )
    whole = sum(entry.elements for entry in tensors)
    if whole and scalar == whole and abs(whole - model.parameters) > _MISFIT * model.parameters:
        notes.append(
            f"The file holds {whole:,} weights, its configuration describes {model.parameters:,}."
        )
    return tuple(notes)


def _check_sum(model: Model, tensors: Sequence[FileTensor], where: str) -> None:
    scheme = weight_scheme(model, None)
    held = sum(entry.stored_bytes for entry in tensors)
    counted = scheme.extra_bytes + sum(
        own.tensor_bytes(tensor) * times for _, tensor, times, own in stored_tensors(model, scheme)
    )
    if counted != held:
        raise SpecError(
            "the file holds other tensors than the model",
            where=where,
            got=f"{held:,} bytes",
            allowed=f"{counted:,} bytes",
        )
