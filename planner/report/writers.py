"""The writers by format; each makes bytes from the same document."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from planner.fleet import Fleet
from planner.output import as_json
from planner.plan import Plan
from planner.report.blocks import Document
from planner.report.document import document
from planner.report.fleet_document import fleet_document
from planner.report.formats import FORMATS, Format, ReportError, check_format

LIBRARIES = frozenset({"jinja2", "markupsafe", "typst", "xlsxwriter"})
"""What the extra ``report`` installs and the planner itself does without."""


def write(
    plan: Plan, format: str, share_link: str | None = None, fleet: Fleet | None = None
) -> bytes:
    """Write the report of a plan. No network, no clock: equal plans give equal bytes.

    Parameters
    ----------
    plan : Plan
        The answer.
    format : {"pdf", "xlsx", "html", "md", "json"}
        What to write.
    share_link : str, optional
        Where the page shows the same scenario.
    fleet : Fleet, optional
        What bears a load on the same devices.

    Returns
    -------
    bytes
        The file.

    Raises
    ------
    ReportError
        The format is unknown, or a library for it is not installed.

    Examples
    --------
    >>> from planner import Scenario, load_hardware, load_model, plan
    >>> answer = plan(
    ...     Scenario(model=load_model("llama-3.1-8b"), hardware=load_hardware("h100-sxm"))
    ... )
    >>> write(answer, "md").decode().splitlines()[0]
    '# Llama 3.1 8B on 1 × NVIDIA H100 80GB HBM3 (SXM5)'
    """
    form = check_format(format)
    with _libraries(form):
        if form == "json":
            from planner.report.json_format import write_json

            return write_json(plan, share_link=share_link, fleet=fleet)
        return _write(document(plan, share_link=share_link, fleet=fleet), form)


def write_fleet(fleet: Fleet, format: str) -> bytes:
    """Write the report of a fleet.

    Parameters
    ----------
    fleet : Fleet
        The answer.
    format : {"pdf", "xlsx", "html", "md", "json"}
        What to write.

    Returns
    -------
    bytes
        The file.

    Raises
    ------
    ReportError
        The format is unknown, or a library for it is not installed.
    """
    form = check_format(format)
    with _libraries(form):
        if form == "json":
            return as_json(fleet.to_dict()).encode()
        return _write(fleet_document(fleet), form)


@contextmanager
def _libraries(form: Format) -> Iterator[None]:
    """Say which library is not installed."""
    try:
        yield
    except ImportError as error:
        library = (error.name or "").partition(".")[0]
        if library not in LIBRARIES:
            raise
        raise ReportError(
            f"{library} is not installed",
            where=f"{form} report",
            fix="Install it: pip install 'llm-capacity-planner[report]'",
        ) from error


def _write(made: Document, form: Format) -> bytes:
    if form == "pdf":
        from planner.report.pdf import write_pdf

        return write_pdf(made)
    if form == "xlsx":
        from planner.report.xlsx import write_xlsx

        return write_xlsx(made)
    if form == "html":
        from planner.report.html import write_html

        return write_html(made)
    from planner.report.markdown import write_markdown

    return write_markdown(made)


__all__ = ["FORMATS", "write", "write_fleet"]
