"""The writers by format; each makes bytes from the same document."""

from __future__ import annotations

from planner.plan import Plan
from planner.report.document import document
from planner.report.formats import FORMATS, Format, ReportError, check_format

LIBRARIES = frozenset({"jinja2", "markupsafe", "typst", "xlsxwriter"})
"""What the extra ``report`` installs and the planner itself does without."""


def write(plan: Plan, format: str, share_link: str | None = None) -> bytes:
    """Write the report of a plan. No network, no clock: equal plans give equal bytes.

    Parameters
    ----------
    plan : Plan
        The answer.
    format : {"pdf", "xlsx", "html", "md", "json"}
        What to write.
    share_link : str, optional
        Where the page shows the same scenario.

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
    try:
        return _write(plan, form, share_link)
    except ImportError as error:
        library = (error.name or "").partition(".")[0]
        if library not in LIBRARIES:
            raise
        raise ReportError(
            f"{library} is not installed",
            where=f"{form} report",
            fix="Install it: pip install 'llm-capacity-planner[report]'",
        ) from error


def _write(plan: Plan, form: Format, share_link: str | None) -> bytes:
    if form == "json":
        from planner.report.json_format import write_json

        return write_json(plan, share_link=share_link)
    made = document(plan, share_link=share_link)
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


__all__ = ["FORMATS", "write"]
