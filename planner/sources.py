"""Where a figure comes from: bibliographic sources and figures that cite them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Identifier = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.\-]{0,79}$")]
Date = Annotated[str, StringConstraints(pattern=r"^\d{4}(-\d{2}(-\d{2})?)?$")]


class Source(BaseModel):
    """One publication, repository, log or computation that figures rest on."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)

    kind: Literal["datasheet", "paper", "documentation", "repository", "log", "article", "derived"]
    title: str
    publisher: str | None = None
    url: str | None = None
    date: Date | None = None
    accessed: Date | None = None
    locator: str | None = None
    note: str | None = None


class Figure(BaseModel):
    """A number as printed in its source; the loader converts it to base units.

    ``verified: false`` marks a figure that nobody has re-read in its source.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)

    value: Annotated[float, Field(allow_inf_nan=False)] | int
    unit: str
    source: Identifier
    note: str | None = None
    verified: bool = True
