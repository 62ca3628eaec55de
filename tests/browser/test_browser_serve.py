"""The pages "Serve" and "Compare" in a real browser: a link opens them, an input changes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser


def test_serve_answers_a_link_and_follows_an_input(page: Page, app_url: str) -> None:
    page.goto(f"{app_url}/serve?sm=llama-3.1-8b&rps=20")
    page.get_by_text("for 20 requests/s, all objectives held").wait_for()
    page.get_by_role("figure").first.wait_for()
    rate = page.get_by_role("textbox", name="Requests per second")
    rate.fill("200")
    rate.press("Enter")
    page.get_by_text("for 200 requests/s, all objectives held").wait_for()
    assert "rps=200" in page.url


def test_compare_has_a_row_for_each_model(page: Page, app_url: str) -> None:
    page.goto(f"{app_url}/compare")
    page.get_by_role("heading", name="Fewest devices within the objectives").wait_for()
    page.get_by_role("cell", name="llama-3.1-70b", exact=True).wait_for()
