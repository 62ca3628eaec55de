"""Text for Streamlit's Markdown: what a person wrote stays as written, tables align."""

from __future__ import annotations

import re
from collections.abc import Sequence

_SPECIAL = re.compile(r"([\\`*_\[\]<>|~$#])")
_BREAK = re.compile(r"\s+")


def plain(text: str) -> str:
    r"""Return text that Markdown shows as it is, on one line.

    Parameters
    ----------
    text : str
        Anything, such as a name from an uploaded file.

    Returns
    -------
    str
        With Markdown's own signs escaped.

    Examples
    --------
    >>> print(plain("fp8_block [x] $1$"))
    fp8\_block \[x\] \$1\$
    """
    return _SPECIAL.sub(r"\\\1", _BREAK.sub(" ", text))


def table(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()
) -> str:
    """Return a Markdown table; cells must already be Markdown.

    Parameters
    ----------
    header : sequence of str
        Column heads.
    rows : sequence of sequence of str
        Cells.
    right : sequence of int
        Columns aligned to the right.

    Returns
    -------
    str
        A table in GitHub's dialect.

    Examples
    --------
    >>> print(table(["part", "GiB"], [["weights", "32.9"]], right=[1]))
    | part | GiB |
    | :--- | ---: |
    | weights | 32.9 |
    """
    rule = ["---:" if column in right else ":---" for column in range(len(header))]
    lines = [header, rule, *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
