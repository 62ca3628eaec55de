"""Device memory that is taken outside the model: driver context and collective buffers."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from planner.errors import SpecError
from planner.explanation import Explanation, Term
from planner.hardware.catalog import FOLDER
from planner.hardware.quantity import cite, convert, explain_figure
from planner.hardware.spec import Text
from planner.sources import Figure, Identifier, Source
from planner.spec_folders import folders, read_spec, shown_path, validate

Ranks = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,4}$")]


class RuntimeSpec(BaseModel):
    """The form of the runtime file; observations are kept to show how uncertain the rest is."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)

    schema_version: Literal[1]
    kind: Literal["runtime"]
    name: Text
    note: Annotated[str, Field(max_length=2000)] | None = None
    context: Figure
    collectives: Annotated[dict[Ranks, Figure], Field(min_length=1)]
    observations: dict[Identifier, Figure] = {}
    sources: dict[Identifier, Source]


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """What a process takes of device memory before any weight is loaded.

    Parameters
    ----------
    context_bytes : int
        Driver context and first library handles of one process. [bytes]
    collectives : tuple of (int, int)
        Ranks and bytes of collective buffers, ascending. [1], [bytes]
    note : str or None
        How far to trust it.
    figures : Mapping
        Printed figure by key: ``"context.default"``, ``"collectives.2"``, ``"observations.…"``.
    sources : Mapping
        Source by id.
    """

    context_bytes: int
    collectives: tuple[tuple[int, int], ...]
    note: str | None = None
    figures: Mapping[str, Figure] = field(hash=False, repr=False)
    sources: Mapping[str, Source] = field(hash=False, repr=False)

    def collective_bytes(self, ranks: int) -> int:
        """Return the buffers that a group of ranks keeps on each device.

        Parameters
        ----------
        ranks : int
            Devices in the group. [1]

        Returns
        -------
        int
            Of the smallest tabulated group that is no smaller; of the largest beyond. [bytes]

        Examples
        --------
        >>> runtime = load_runtime()
        >>> [runtime.collective_bytes(ranks) // 2**20 for ranks in (1, 2, 3, 8, 64)]
        [0, 1024, 1044, 1044, 1044]
        """
        return self._collective(ranks)[1]

    def explain(self, ranks: int) -> Explanation:
        """Return what the runtime takes on one device, and where the figures come from.

        Parameters
        ----------
        ranks : int
            Devices in the group. [1]

        Returns
        -------
        Explanation
            With one term for the context and one for the collectives.
        """
        group, collective = self._collective(ranks)
        keys = ("context.default", f"collectives.{group}")
        return Explanation(
            figure="runtime_bytes",
            meaning="Device memory taken outside the model by the driver and the collectives. "
            + (self.note or ""),
            formula="context + collective buffers of a rank",
            substituted=f"{self.context_bytes:,} + {collective:,}",
            value=self.context_bytes + collective,
            unit="bytes",
            terms=tuple(
                Term(label=label, value=value, detail=self._detail(key))
                for label, key, value in (
                    ("context", keys[0], self.context_bytes),
                    (f"collectives of {ranks} ranks", keys[1], collective),
                )
            ),
            sources=tuple(dict.fromkeys(self.figures[key].source for key in keys)),
        )

    def explain_figure(self, key: str) -> Explanation:
        """Return where one figure comes from.

        Parameters
        ----------
        key : str
            A key of ``figures``.

        Returns
        -------
        Explanation
            With the printed figure, its conversion and its source.

        Raises
        ------
        SpecError
            There is no such figure.
        """
        return explain_figure("runtime", key, self.figures, self.sources)

    def _collective(self, ranks: int) -> tuple[int, int]:
        return next((pair for pair in self.collectives if pair[0] >= ranks), self.collectives[-1])

    def _detail(self, key: str) -> str:
        figure = self.figures[key]
        text = f"{figure.value:g} {figure.unit}, {cite(figure, self.sources)}"
        return f"{text}. {figure.note}" if figure.note else text


def load_runtime() -> Runtime:
    """Return the figures for memory outside the model.

    Returns
    -------
    Runtime
        From ``runtime.yaml`` among the hardware files.

    Raises
    ------
    SpecError
        The file cannot be used.

    Examples
    --------
    >>> load_runtime().collective_bytes(2)
    1073741824
    """
    path = next((p for root in folders(FOLDER) if (p := root / "runtime.yaml").is_file()), None)
    if path is None:
        raise SpecError("the file is missing", where="hardware_specs/runtime.yaml")
    read_spec(path)
    stat = path.stat()
    return _built(path, stat.st_mtime_ns, stat.st_size)


@functools.lru_cache(maxsize=8)
def _built(path: Path, mtime_ns: int, size: int) -> Runtime:
    where = shown_path(path)
    spec = validate(RuntimeSpec, read_spec(path), where)
    figures = {
        "context.default": spec.context,
        **{f"collectives.{ranks}": figure for ranks, figure in spec.collectives.items()},
        **{f"observations.{name}": figure for name, figure in spec.observations.items()},
    }
    for key, figure in figures.items():
        if figure.source not in spec.sources:
            raise SpecError(
                "the source is not in the file's list of sources",
                where=f"{where}: {key}.source",
                got=figure.source,
                allowed=", ".join(spec.sources),
            )
    values = {key: int(convert(key, figure, where)) for key, figure in figures.items()}
    ranks = sorted(int(count) for count in spec.collectives)
    return Runtime(
        context_bytes=values["context.default"],
        collectives=tuple((count, values[f"collectives.{count}"]) for count in ranks),
        note=spec.note,
        figures=MappingProxyType(figures),
        sources=MappingProxyType(dict(spec.sources)),
    )
