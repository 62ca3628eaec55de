"""Where results of commands go: stdout, or a file."""

from __future__ import annotations

import json
from pathlib import Path

import click

from planner.errors import ScenarioError


def write_text(text: str, output: str | None) -> None:
    """Write a result as text.

    Parameters
    ----------
    text : str
        The result, without a final newline.
    output : str or None
        A file; stdout without it.

    Raises
    ------
    ScenarioError
        The file cannot be written.
    """
    if output is None:
        click.echo(text)
        return
    write_file(output, (text + "\n").encode())


def write_file(output: str, content: bytes) -> None:
    """Write a result to a file and say so.

    Parameters
    ----------
    output : str
        The file.
    content : bytes
        The result.

    Raises
    ------
    ScenarioError
        The file cannot be written.
    """
    try:
        Path(output).write_bytes(content)
    except OSError as error:
        raise ScenarioError(
            f"cannot be written: {error.strerror}", where="-o", got=output
        ) from error
    click.echo(f"wrote {output}", err=True)


def as_json(data: object) -> str:
    """Return data as JSON for people and programs.

    Parameters
    ----------
    data : object
        Plain data without infinities.

    Returns
    -------
    str
        Indented.
    """
    return json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False)


__all__ = ["as_json", "write_file", "write_text"]
