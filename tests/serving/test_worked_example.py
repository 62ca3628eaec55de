"""The worked example of docs/serving.md: its predictions are those of the code."""

from __future__ import annotations

from scripts import worked_example


def test_the_page_says_what_the_simulator_says() -> None:
    page = worked_example.PAGE.read_text(encoding="utf-8")
    assert worked_example.written(page) == page, "python -m scripts.worked_example writes it"
