"""The formats of a report: names, suffixes, media types."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING, Literal, get_args

from planner.errors import PlannerError

if TYPE_CHECKING:
    from planner.plan import Plan

Format = Literal["pdf", "xlsx", "html", "md", "json"]
FORMATS: tuple[Format, ...] = get_args(Format)

MEDIA_TYPES: Mapping[Format, str] = {
    "pdf": "application/pdf",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "html": "text/html",
    "md": "text/markdown",
    "json": "application/json",
}
"""Format → media type."""


class ReportError(PlannerError):
    """A report that cannot be written: unknown format, or a library that is not installed."""


def check_format(name: str, *, where: str = "format") -> Format:
    """Return a format, if it is one.

    Parameters
    ----------
    name : str
        Such as ``"pdf"``.
    where : str
        The argument, for the error.

    Returns
    -------
    str
        The format.

    Raises
    ------
    ReportError
        It is none of :data:`FORMATS`.

    Examples
    --------
    >>> check_format("md")
    'md'
    """
    for known in FORMATS:
        if name == known:
            return known
    raise ReportError("not a format of reports", where=where, got=name, allowed=", ".join(FORMATS))


def format_of(path: str | PurePath) -> Format:
    """Return the format that the suffix of a file name stands for.

    Parameters
    ----------
    path : str or Path
        Name of the file to write.

    Returns
    -------
    str
        The format.

    Raises
    ------
    ReportError
        No suffix, or one that stands for no format.

    Examples
    --------
    >>> format_of("plan.PDF")
    'pdf'
    """
    suffix = PurePath(path).suffix.removeprefix(".").lower()
    for known in FORMATS:
        if suffix == known:
            return known
    raise ReportError(
        "the suffix stands for no format of reports",
        where="file name",
        got=str(path),
        allowed=", ".join(f".{name}" for name in FORMATS),
    )


def file_name(plan: Plan, form: str) -> str:
    """Return a name for the file of a report.

    Parameters
    ----------
    plan : Plan
        The answer.
    form : str
        One of :data:`FORMATS`.

    Returns
    -------
    str
        Model, devices and suffix; letters, digits, points and hyphens only.

    Raises
    ------
    ReportError
        The format is unknown.
    """
    suffix = check_format(form)
    hardware = plan.deployment.scenario.hardware
    stem = f"{plan.model.id}-{hardware.devices}x-{hardware.device.id}"
    safe = re.sub(r"[^A-Za-z0-9.]+", "-", stem).strip("-.")[:100] or "plan"
    return f"{safe}.{suffix}"
