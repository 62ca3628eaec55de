"""A model as plain data, the way catalog files hold it, and back.

A part's fields and their ranges are declared once, on the part itself; this file adds only how
parts stand together: named blocks, and the stack as a list of runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from itertools import groupby
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from planner.errors import SpecError
from planner.model.bounds import MOST_CONTEXT_TOKENS, MOST_LAYERS, Name
from planner.model.consistency import check_model
from planner.model.embedding import Embedding, Head
from planner.model.layer import Layer, count_layers
from planner.model.model import Checkpoint, Model
from planner.model.part import Part
from planner.model.part_kinds import AnyPart
from planner.model.position import Positions
from planner.model.tower import Tower
from planner.sources import Identifier, Source
from planner.spec_folders import validate

SCHEMA_VERSION = 1

_MOST_PERIOD = 16
_MOST_TOWERS = 8
_IN_ROWS = {
    "checkpoint", "positions", "embedding", "initial", "blocks", "layers", "mtp", "final", "head",
    "towers",
}  # fmt: skip

Blocks = Annotated[
    dict[Name, Annotated[tuple[AnyPart, ...], Field(min_length=1, max_length=100)]],
    Field(min_length=1, max_length=MOST_LAYERS),
]
HuggingFaceId = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9_.\-]{1,96}/[A-Za-z0-9_.\-]{1,96}$")
]
Text = Annotated[str, StringConstraints(min_length=1, max_length=400)]


class _Written(BaseModel):
    """Base of what a file holds; its checks are built when a file is first read."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Run(_Written):
    """Blocks that follow one another, the whole row of them ``repeat`` times."""

    blocks: Annotated[tuple[Name, ...], Field(min_length=1, max_length=MOST_LAYERS)]
    repeat: Annotated[int, Field(strict=True, ge=1, le=MOST_LAYERS)] = 1


Runs = Annotated[tuple[Run, ...], Field(min_length=1, max_length=MOST_LAYERS)]


class StackDescription(_Written):
    """Layers beside the stack, with blocks of their own."""

    blocks: Blocks
    layers: Runs


class TowerDescription(StackDescription):
    """A stack beside the main one, with a name and the tokens it sees."""

    name: Name
    tokens: Annotated[int, Field(strict=True, ge=0, le=MOST_CONTEXT_TOKENS)] = 0


class ModelDescription(_Written):
    """The content of a catalog file."""

    schema_version: Literal[1]
    id: Identifier
    name: Text
    architecture: Name | None = None
    hf_id: HuggingFaceId | None = None
    aliases: tuple[HuggingFaceId, ...] = ()
    parameters: Annotated[int, Field(strict=True, ge=1)]
    usable_context: Annotated[int, Field(strict=True, ge=1, le=MOST_CONTEXT_TOKENS)] | None
    positions: Positions | None = None
    warnings: tuple[Text, ...] = ()
    checkpoint: Checkpoint
    embedding: Embedding
    initial: Annotated[tuple[AnyPart, ...], Field(max_length=100)] = ()
    blocks: Blocks
    layers: Runs
    mtp: StackDescription | None = None
    final: Annotated[tuple[AnyPart, ...], Field(max_length=100)] = ()
    head: Head
    towers: Annotated[tuple[TowerDescription, ...], Field(max_length=_MOST_TOWERS)] = ()
    sources: dict[Identifier, Source]


def model_from_description(data: Mapping[str, Any], where: str) -> Model:
    """Return the model that plain data describe.

    Parameters
    ----------
    data : mapping
        The content of a catalog file.
    where : str
        The file, for errors.

    Returns
    -------
    Model
        Its parameters add up to the stated count.

    Raises
    ------
    SpecError
        Names file and field; also raised if the tensors do not add up to ``parameters``.
    """
    said = validate(ModelDescription, data, where)
    model = Model(
        id=said.id,
        name=said.name,
        embedding=said.embedding,
        initial=said.initial,
        layers=_unrolled(said.blocks, said.layers, where),
        mtp=_unrolled(said.mtp.blocks, said.mtp.layers, f"{where}: mtp") if said.mtp else (),
        final=said.final,
        head=said.head,
        towers=tuple(
            Tower(
                name=tower.name,
                layers=_unrolled(tower.blocks, tower.layers, f"{where}: {tower.name}"),
                tokens=tower.tokens,
            )
            for tower in said.towers
        ),
        usable_context=said.usable_context,
        positions=said.positions,
        checkpoint=said.checkpoint,
        architecture=said.architecture,
        hf_id=said.hf_id,
        aliases=said.aliases,
        sources=dict(said.sources),
        warnings=said.warnings,
    )
    check_model(model, where)
    if model.parameters != said.parameters:
        raise SpecError(
            f"the tensors add up to {model.parameters:,} parameters",
            where=f"{where}: parameters",
            got=said.parameters,
            fix="Correct the count, or the dimensions that give it.",
        )
    return model


def _unrolled(
    blocks: Mapping[str, tuple[Part, ...]], runs: tuple[Run, ...], where: str
) -> tuple[Layer, ...]:
    if sum(len(run.blocks) * run.repeat for run in runs) > MOST_LAYERS:
        raise SpecError(
            "too many layers", where=f"{where}: layers", allowed=f"at most {MOST_LAYERS:,}"
        )
    layers = {name: Layer(name, parts) for name, parts in blocks.items()}
    named = [name for run in runs for name in run.blocks * run.repeat]
    for name in named:
        if name not in layers:
            raise SpecError(
                "no such block", where=f"{where}: layers", got=name, allowed=", ".join(layers)
            )
    unused = set(layers).difference(named)
    if unused:
        raise SpecError(f"a block that no layer uses: {min(unused)}", where=f"{where}: blocks")
    return tuple(layers[name] for name in named)


def model_to_description(model: Model) -> dict[str, Any]:
    """Return a model as plain data.

    Parameters
    ----------
    model : Model
        The model.

    Returns
    -------
    dict
        What :func:`model_from_description` reads; fields at their defaults are left out.

    Raises
    ------
    SpecError
        Two different kinds of layer have one name.
    """
    description: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "id": model.id,
        "name": model.name,
        "architecture": model.architecture,
        "hf_id": model.hf_id,
        "aliases": list(model.aliases),
        "parameters": model.parameters,
        "usable_context": model.usable_context,
        "positions": _plain(model.positions) if model.positions else None,
        "warnings": list(model.warnings),
        "checkpoint": _plain(model.checkpoint),
        "embedding": _plain(model.embedding),
        "initial": [_plain(part) for part in model.initial],
        **_stack(model.layers, model.id),
        "mtp": _stack(model.mtp, model.id) if model.mtp else None,
        "final": [_plain(part) for part in model.final],
        "head": _plain(model.head),
        "towers": [
            {"name": tower.name, **_stack(tower.layers, model.id), "tokens": tower.tokens}
            for tower in model.towers
        ],
        "sources": {
            name: source.model_dump(exclude_none=True) for name, source in model.sources.items()
        },
    }
    optional = (
        "architecture", "hf_id", "aliases", "warnings", "mtp", "final", "initial", "towers",
        "positions",
    )  # fmt: skip
    return {key: value for key, value in description.items() if value or key not in optional}


def _stack(layers: tuple[Layer, ...], where: str) -> dict[str, Any]:
    blocks: dict[str, list[dict[str, Any]]] = {}
    for layer, _ in count_layers(layers):
        if layer.name in blocks:
            raise SpecError("two kinds of layer have one name", where=where, got=layer.name)
        blocks[layer.name] = [_plain(part) for part in layer.parts]
    return {"blocks": blocks, "layers": _runs([layer.name for layer in layers])}


def _plain(part: Any) -> dict[str, Any]:
    """Return the fields of a part that differ from their defaults, and what kind it is."""
    plain: dict[str, Any] = {}
    for entry in fields(part):
        value = getattr(part, entry.name)
        chooses = entry.name in {"kind", "dtype"} and not isinstance(part, Embedding | Head)
        if chooses or entry.default is MISSING or value != entry.default:
            plain[entry.name] = _plain_value(value)
    return plain


def _plain_value(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain_value(item) for item in value]
    return _plain(value) if is_dataclass(value) else value


def _runs(names: list[str]) -> list[dict[str, Any]]:
    """Write a stack as repetitions of its shortest period, or failing that of single blocks."""
    total = len(names)
    for period in range(1, min(_MOST_PERIOD, total) + 1):
        if all(names[i] == names[i % period] for i in range(total)):
            whole, rest = divmod(total, period)
            last = [{"blocks": names[:rest], "repeat": 1}] if rest else []
            return [{"blocks": names[:period], "repeat": whole}, *last]
    return [{"blocks": [name], "repeat": len(list(run))} for name, run in groupby(names)]


def description_to_yaml(description: Mapping[str, Any]) -> str:
    r"""Return plain data as the text of a catalog file.

    Parameters
    ----------
    description : mapping
        What :func:`model_to_description` returns.

    Returns
    -------
    str
        One part per line.

    Examples
    --------
    >>> description_to_yaml({"id": "gpt2", "embedding": {"vocabulary": 50257, "width": 768}})
    'id: gpt2\nembedding: {vocabulary: 50257, width: 768}\n'
    """
    return "".join(
        yaml.safe_dump(
            {key: value},
            sort_keys=False,
            allow_unicode=True,
            width=100,
            default_flow_style=None if key in _IN_ROWS else False,
        )
        for key, value in description.items()
    )
