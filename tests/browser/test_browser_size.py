"""The page "Size" in a real browser."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from planner import Scenario, load_hardware, load_model, plan
from planner.units import format_bytes, format_seconds

if TYPE_CHECKING:
    from playwright.sync_api import Download, Page

expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect
pytestmark = pytest.mark.browser

LABELS = ("Memory, fullest device", "Largest context", "Most sequences", "Decode step, at best")
LLAMA: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "_name_or_path": "someone/tiny-llama",
    "hidden_size": 1024,
    "intermediate_size": 2816,
    "num_hidden_layers": 12,
    "num_attention_heads": 16,
    "num_key_value_heads": 4,
    "vocab_size": 32000,
    "max_position_embeddings": 4096,
    "rms_norm_eps": 1e-5,
    "hidden_act": "silu",
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
}


def settle(page: Page) -> None:
    """Wait until the answer is there and the script has ended."""
    page.locator(".st-key-verdict").wait_for()
    page.locator('[data-testid="stApp"][data-test-script-state="notRunning"]').wait_for()


def go(page: Page, url: str) -> None:
    page.goto(url)
    settle(page)


def verdict_becomes(page: Page, text: str) -> None:
    page.locator(".st-key-verdict", has_text=text).wait_for()
    settle(page)


def figures(page: Page) -> dict[str, str]:
    metrics = page.get_by_test_id("stMetric")
    metrics.nth(len(LABELS) - 1).get_by_test_id("stMetricValue").wait_for()
    return {
        metric.get_by_test_id("stMetricLabel").inner_text().strip(): metric.get_by_test_id(
            "stMetricValue"
        )
        .inner_text()
        .strip()
        for metric in metrics.all()
    }


def llama_70b_on_four_h100() -> Any:
    model, hardware = load_model("llama-3.1-70b"), load_hardware("h100-sxm", 4)
    return plan(
        Scenario(model=model, hardware=hardware, weights="bf16", context=8192, sequences=32)
    )


def test_llama_70b_on_four_h100_shows_the_plans_figures(page: Page, app_url: str) -> None:
    go(page, f"{app_url}/?m=llama-3.1-70b&d=h100-sxm&n=4&w=bf16&ctx=8192&s=32")
    data = llama_70b_on_four_h100().to_dict()
    assert data["verdict"]["sentence"] in page.locator(".st-key-verdict").inner_text()
    capacity = data["capacity"]
    assert figures(page) == {
        "Memory, fullest device": format_bytes(data["memory"]["per_device"]["total_bytes"]),
        "Largest context": f"{capacity['largest_context_tokens']:,} tokens",
        "Most sequences": f"{capacity['most_sequences']:,}",
        "Decode step, at best": format_seconds(data["decode"]["floor_s"]),
    }


@pytest.mark.parametrize("link", ["", "?n=2&ctx=32K"])
def test_the_answer_is_above_the_fold(page: Page, app_url: str, link: str) -> None:
    go(page, f"{app_url}/{link}")
    assert tuple(figures(page)) == LABELS
    boxes = [page.locator(".st-key-verdict"), *page.get_by_test_id("stMetric").all()]
    for element in boxes:
        box = element.bounding_box()
        assert box is not None
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= 768
        assert box["x"] + box["width"] <= 1366
    widths = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    scroll, client = page.evaluate(widths)
    assert scroll <= client, "the page must not scroll sideways"


def test_a_share_link_restores_everything(page: Page, app_url: str) -> None:
    wanted = {
        "Context": "64k",
        "Sequences": "12",
        "Prompt": "4k",
        "Output": "1K",
        "Tokens per step": "16K",
    }
    go(page, f"{app_url}/?m=llama-3.1-8b&d=h200-sxm&n=2&tp=2&kv=fp8&w=fp8")
    page.get_by_text("Advanced").click()
    for label, value in wanted.items():
        page.get_by_label(label, exact=True).fill(value)
        page.keyboard.press("Enter")
    verdict_becomes(page, "12 sequences of 64,000 tokens")
    page.get_by_text("16,384 tokens in one step").first.wait_for()
    settle(page)
    sentence = page.locator(".st-key-verdict").inner_text()
    page.get_by_role("button", name="Share", exact=True).click()
    link = page.get_by_test_id("stCode").inner_text().strip()
    assert link.startswith(f"{app_url}/?")
    page.keyboard.press("Escape")

    for address in (link, page.url):
        other = page.context.new_page()
        go(other, address)
        verdict_becomes(other, "12 sequences of 64,000 tokens")
        assert other.locator(".st-key-verdict").inner_text() == sentence
        other.get_by_text("Advanced").click()
        for label, value in {**wanted, "KV cache": "fp8", "Devices": "2"}.items():
            expect(other.get_by_label(label, exact=True)).to_have_value(value)
        other.close()


def test_an_uploaded_configuration_travels_in_the_link(
    page: Page, app_url: str, tmp_path: Path
) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(LLAMA))
    go(page, f"{app_url}/?n=1&s=2&ctx=2K")
    page.get_by_role("button", name="Upload a config.json").click()
    page.locator('input[type="file"]').set_input_files(path)
    verdict_becomes(page, "tiny-llama")
    sentence = page.locator(".st-key-verdict").inner_text()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Share", exact=True).click()
    link = page.get_by_test_id("stCode").inner_text().strip()
    assert len(parse_qs(urlsplit(link).query)["cfg"][0]) < 1000
    other = page.context.new_page()
    go(other, link)
    verdict_becomes(other, "tiny-llama")
    assert other.locator(".st-key-verdict").inner_text() == sentence


def test_a_bad_upload_is_said_and_the_answer_stays(
    page: Page, app_url: str, tmp_path: Path
) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(LLAMA)[:100])
    go(page, app_url)
    before = figures(page)
    page.get_by_role("button", name="Upload a config.json").click()
    page.locator('input[type="file"]').set_input_files(path)
    page.get_by_test_id("stSidebar").get_by_role("alert").wait_for()
    assert "not valid JSON" in page.get_by_test_id("stSidebar").get_by_role("alert").inner_text()
    assert figures(page) == before


def download(page: Page, name: str) -> Download:
    page.get_by_role("button", name="Export").click()
    with page.expect_download() as waiting:
        page.get_by_test_id("stDownloadButton").filter(has_text=name).get_by_role("button").click()
    page.keyboard.press("Escape")
    return waiting.value


def content(loaded: Download) -> bytes:
    return Path(loaded.path()).read_bytes()


def test_the_json_is_that_of_the_command_line(page: Page, app_url: str) -> None:
    go(page, f"{app_url}/?w=bf16")
    loaded = download(page, "JSON")
    assert loaded.suggested_filename == "llama-3.1-70b-4x-h100-sxm.json"
    assert json.loads(content(loaded)) == llama_70b_on_four_h100().to_dict()


def check_pdf(data: bytes, total: str) -> None:
    reader = pytest.importorskip("pypdf").PdfReader(io.BytesIO(data))
    assert total in re.sub(r"\s+", " ", " ".join(page.extract_text() for page in reader.pages))


def check_xlsx(data: bytes, total: str) -> None:
    book = pytest.importorskip("openpyxl").load_workbook(io.BytesIO(data))
    assert len(book.sheetnames) >= 3


def check_text(data: bytes, total: str) -> None:
    assert total in data.decode().replace("\u00a0", " ").replace("&nbsp;", " ")


REPORTS: dict[str, tuple[str, Callable[[bytes, str], None]]] = {
    "PDF": ("pdf", check_pdf),
    "Excel": ("xlsx", check_xlsx),
    "HTML": ("html", check_text),
    "Markdown": ("md", check_text),
}


def test_reports_open(page: Page, app_url: str) -> None:
    pytest.importorskip("typst")
    go(page, app_url)
    total = figures(page)["Memory, fullest device"]
    for button, (suffix, check) in REPORTS.items():
        loaded = download(page, button)
        assert loaded.suggested_filename.endswith(f".{suffix}")
        check(content(loaded), total)


def test_the_keyboard_alone_changes_the_context(page: Page, app_url: str) -> None:
    go(page, app_url)
    focused = "document.activeElement.getAttribute('aria-label')"
    page.keyboard.press("Tab")
    for _ in range(60):
        if page.evaluate(focused) == "Context":
            break
        page.keyboard.press("Tab")
    assert page.evaluate(focused) == "Context"
    page.keyboard.press("Control+a")
    page.keyboard.type("16K")
    page.keyboard.press("Enter")
    verdict_becomes(page, "16,384 tokens")
    assert parse_qs(urlsplit(page.url).query) == {"ctx": ["16K"]}


def test_typing_alone_is_enough(page: Page, app_url: str) -> None:
    go(page, app_url)
    page.get_by_label("Sequences", exact=True).click()
    page.keyboard.press("Control+a")
    page.keyboard.type("48")
    verdict_becomes(page, "48 sequences")


def test_a_suggestion_makes_it_fit(page: Page, app_url: str) -> None:
    go(page, f"{app_url}/?n=2&ctx=32K")
    assert "Does not fit." in page.locator(".st-key-verdict").inner_text()
    page.get_by_role("button", name="Apply").first.click()
    verdict_becomes(page, "Fits.")
    query = parse_qs(urlsplit(page.url).query)
    assert query["n"] == ["2"]
    assert query["ctx"] == ["32K"]
    assert "s" in query


def test_bad_input_is_said_beside_the_field_and_nothing_is_lost(page: Page, app_url: str) -> None:
    go(page, f"{app_url}/?s=16")
    before = figures(page)
    page.get_by_label("Context", exact=True).fill("abc")
    page.keyboard.press("Enter")
    alert = page.get_by_test_id("stSidebar").get_by_role("alert")
    alert.wait_for()
    assert "Context: not a whole number; got 'abc'" in alert.inner_text()
    assert page.get_by_text("Below is the answer to the last valid input.").is_visible()
    assert figures(page) == before
    assert page.get_by_label("Sequences", exact=True).input_value() == "16"
    page.get_by_label("Context", exact=True).fill("4K")
    verdict_becomes(page, "4,096 tokens")
    assert alert.count() == 0


def test_inputs_survive_a_visit_to_other_pages(page: Page, app_url: str) -> None:
    go(page, f"{app_url}/?ctx=16K&s=5")
    titles = {page.title()}
    for name in ("Catalog", "Methods"):
        page.get_by_test_id("stTopNav").get_by_role("link", name=name).click()
        page.get_by_role("heading", level=1, name=re.compile(f"^{name}")).wait_for()
        titles.add(page.title())
    assert len(titles) == 3
    page.get_by_test_id("stTopNav").get_by_role("link", name="Size").click()
    verdict_becomes(page, "5 sequences of 16,384 tokens")


def test_pages_open_by_their_address(page: Page, app_url: str) -> None:
    for path, heading in (("catalog?q=l40s", "Catalog"), ("methods", "Methods")):
        page.goto(f"{app_url}/{path}")
        page.get_by_role("heading", level=1, name=re.compile(f"^{heading}")).wait_for()
    page.goto(f"{app_url}/catalog?q=l40s")
    page.get_by_role("cell", name="l40s", exact=True).wait_for()
    assert page.get_by_role("cell", name="h200-sxm", exact=True).count() == 0


def test_charts_and_figures_are_named_for_screen_readers(page: Page, app_url: str) -> None:
    go(page, app_url)
    for name in ("Stacked bar of device memory", "Lines of cache size", "Operations under a roof"):
        page.get_by_role("figure", name=name).wait_for()
    assert "Fits." in page.get_by_role("status").first.inner_text()
    assert page.get_by_role("heading", level=1).count() == 1
    page.get_by_role("button", name="How computed").first.click()
    page.get_by_text("Everything the fullest device must hold.").wait_for()


def test_an_engine_says_what_it_allocates(page: Page, app_url: str) -> None:
    go(page, f"{app_url}/?m=llama-3.1-8b&d=h100-sxm&n=1&ctx=8192&s=16&e=vllm@0.33.0")
    page.get_by_role("heading", name="What vllm 0.33.0 allocates").scroll_into_view_if_needed()
    for step in ("label capacity", "left alone", "weights", "CUDA graphs", "this load"):
        page.get_by_role("cell", name=step, exact=True).first.wait_for()
    go(page, f"{app_url}/?m=llama-3.1-8b&d=rtx-4090&n=1&ctx=2048&s=1&e=vllm")
    page.locator(".st-key-verdict", has_text="Does not fit").wait_for()
    page.get_by_role("button", name="Apply").first.click()
    verdict_becomes(page, "Fits.")


def test_the_dark_theme_is_readable(browser: Any, app_url: str) -> None:
    context = browser.new_context(viewport={"width": 1366, "height": 768}, color_scheme="dark")
    page = context.new_page()
    try:
        go(page, app_url)
        page.get_by_role("figure").first.wait_for()
        channels = "getComputedStyle(document.querySelector('.stApp')).backgroundColor"
        ground = [int(c) for c in re.findall(r"\d+", page.evaluate(channels))[:3]]
        ink = page.evaluate(
            "getComputedStyle(document.querySelector('[data-testid=stMetricValue]')).color"
        )
        assert max(ground) < 64
        assert min(int(c) for c in re.findall(r"\d+", ink)[:3]) > 180
        assert len(page.screenshot()) > 20_000
    finally:
        context.close()


def test_nothing_is_asked_of_another_host(
    page: Page, app_url: str, requested_urls: list[str]
) -> None:
    go(page, app_url)
    page.get_by_role("figure").nth(2).wait_for()
    page.get_by_role("link", name="Methods").click()
    page.get_by_role("heading", level=1, name=re.compile("^Methods")).wait_for()
    assert any(url.startswith("ws://127.0.0.1") for url in requested_urls)
    hosts = {urlsplit(url).hostname for url in requested_urls if not url.startswith("data:")}
    assert hosts <= {"127.0.0.1", None}
