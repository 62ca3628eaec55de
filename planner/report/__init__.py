"""Reports: one document made from a plan, written as PDF, XLSX, HTML, Markdown and JSON.

The libraries that draw and set are imported when a report is written, not before.
"""

from planner.report.formats import FORMATS, MEDIA_TYPES, file_name, format_of
from planner.report.writers import write, write_fleet

__all__ = ["FORMATS", "MEDIA_TYPES", "file_name", "format_of", "write", "write_fleet"]
