"""The pages "Architectures", "Claims" and "Catalog" in a real browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect
pytestmark = pytest.mark.browser

NARROW = {"width": 390, "height": 844}


def go(page: Page, url: str) -> None:
    page.goto(url)
    page.locator("h1").first.wait_for()
    settle(page)


def settle(page: Page) -> None:
    page.locator('[data-testid="stApp"][data-test-script-state="notRunning"]').wait_for()


def test_an_assumption_redraws_its_card(page: Page, app_url: str) -> None:
    go(page, f"{app_url}/claims?claims_q=tokens")
    cards = page.locator('[class*="st-key-card_"]')
    before = cards.count()
    gpt3 = page.locator(".st-key-card_a")
    expect(gpt3).to_contain_text("154.6 GB")
    others = page.locator(".st-key-card_b").inner_text()
    gpt3.get_by_text("Assumptions").click()
    gpt3.get_by_role("textbox").first.fill("2K")
    page.keyboard.press("Enter")
    expect(gpt3).to_contain_text("9.664 GB")
    expect(gpt3).not_to_contain_text("154.6 GB")
    assert page.locator(".st-key-card_b").inner_text() == others
    assert cards.count() == before


def test_a_bad_assumption_leaves_the_card(page: Page, app_url: str) -> None:
    go(page, f"{app_url}/claims?claims_q=GPT-3")
    card = page.locator(".st-key-card_a")
    card.get_by_text("Assumptions").click()
    card.get_by_role("textbox").first.fill("-1")
    page.keyboard.press("Enter")
    expect(card.get_by_role("alert")).to_contain_text("last valid assumptions")
    expect(card).to_contain_text("154.6 GB")


def test_every_mixer_is_in_the_legend_and_no_mark(page: Page, app_url: str) -> None:
    go(page, f"{app_url}/architectures?m=llama-3.1-8b&d=h100-sxm&n=1")
    chart = page.get_by_test_id("stPlotlyChart").first
    chart.locator(".legendtext").first.wait_for()
    names = chart.locator(".legendtext").all_text_contents()
    assert names == ["Llama 3.1 8B", "MHA", "GQA", "MQA", "MLA", "SWA", "SSM", "hybrid 7:1"]
    expect(page.get_by_text("What a fused kernel saves")).to_be_visible()


@pytest.mark.parametrize("name", ["architectures", "claims", "catalog", "catalog?kind=Models"])
def test_no_page_scrolls_sideways_on_a_phone(page: Page, app_url: str, name: str) -> None:
    page.set_viewport_size(NARROW)  # type: ignore[arg-type]
    go(page, f"{app_url}/{name}")
    main = page.get_by_test_id("stMain")
    expect(main.locator("table, .js-plotly-plot").first).to_be_visible()
    expect(page.get_by_test_id("stStatusWidget")).to_have_count(0)
    narrow = "e => e.scrollWidth <= e.clientWidth"
    page.wait_for_function(narrow, arg=main.element_handle(), timeout=10_000)
