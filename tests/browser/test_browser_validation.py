"""The page "Validation" in a real browser."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.browser

RECORD = Path(__file__).resolve().parents[1] / "data" / "validation_record.json"


def settle(page: Page) -> None:
    page.locator('[data-testid="stApp"][data-test-script-state="notRunning"]').wait_for()


def test_a_record_is_uploaded_judged_and_exported(page: Page, app_url: str, tmp_path: Path) -> None:
    page.goto(f"{app_url}/validation")
    page.get_by_role("heading", level=1, name=re.compile("^Validation")).wait_for()
    assert page.title().startswith("Validation")
    page.get_by_text("python -m validation run", exact=False).first.wait_for()

    page.get_by_role("button", name="Upload").click()
    page.locator('input[type="file"]').set_input_files(RECORD)
    verdict = page.locator(".st-key-verdict", has_text="Made-up H200 of the tests")
    verdict.wait_for()
    settle(page)
    assert "3 of 36 rows failed or are wrong" in verdict.inner_text()
    page.get_by_test_id("stMetric").nth(3).wait_for()
    assert page.get_by_test_id("stMetric").count() == 4
    page.get_by_role("figure", name="Predicted against measured time of 15 rows").wait_for()
    box = verdict.bounding_box()
    assert box is not None
    assert box["y"] + box["height"] < 300, "the answer is above the fold"

    page.keyboard.press("Escape")
    page.get_by_role("button", name="Export").click()
    for label, suffix in (("Record (JSON)", "json"), ("Comparison (CSV)", "csv")):
        with page.expect_download() as waiting:
            page.get_by_role("button", name=label).click()
        assert waiting.value.suggested_filename.endswith(f".{suffix}")
        data = Path(waiting.value.path()).read_bytes()
        assert (data == RECORD.read_bytes()) if suffix == "json" else data.count(b"\n") == 32
    page.keyboard.press("Escape")

    broken = tmp_path / "broken.json"
    broken.write_bytes(RECORD.read_bytes()[:2000])
    page.get_by_role("button", name="Upload").click()
    page.locator('input[type="file"]').set_input_files(broken)
    page.get_by_role("alert").filter(has_text="broken.json").wait_for()
    assert verdict.is_visible()

    page.keyboard.press("Escape")
    page.get_by_role("link", name="Methods").click()
    page.get_by_role("heading", level=1, name=re.compile("^Methods")).wait_for()
    page.get_by_role("link", name="Validation").click()
    verdict.wait_for()
