"""Key press to new verdict, in a headless Chromium on the running app.

Run it from the root of a clone: ``python benchmarks/browser_latency.py``. It needs Chromium and
playwright; it starts the app itself.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROOT = Path(__file__).resolve().parent.parent
TARGET_MS = 400
FLAGS = ("--no-sandbox", "--disable-background-networking", "--disable-dev-shm-usage")

# Resolves when the verdict names the context; the clock starts at the key press in the page.
_MEASURE = """
(expected) => new Promise((resolve) => {
    const verdict = () => document.querySelector(".st-key-verdict")?.innerText ?? "";
    const start = (event) => {
        if (event.key !== window.__lastKey) return;
        document.removeEventListener("keydown", start, true);
        const pressed = performance.now();
        const look = () => {
            if (!verdict().includes(expected)) return false;
            window.__took = performance.now() - pressed;
            return true;
        };
        const watch = new MutationObserver(() => { if (look()) watch.disconnect(); });
        watch.observe(document.body, {childList: true, subtree: true, characterData: true});
    };
    window.__took = null;
    document.addEventListener("keydown", start, true);
    resolve();
})
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=25)
    parser.add_argument("--json", action="store_true", help="Print one JSON object.")
    arguments = parser.parse_args()
    with serving() as url:
        results = measure(url, arguments.repeats)
    summary = {name: summarise(times) for name, times in results.items()}
    if arguments.json:
        print(json.dumps(summary))
        return
    for name, figures in summary.items():
        print(
            f"{name}: median {figures['median_ms']:.0f} ms, p90 {figures['p90_ms']:.0f} ms "
            f"({figures['repeats']} key presses; target {TARGET_MS} ms)"
        )


def summarise(times_ms: list[float]) -> dict[str, float]:
    """Return median and 90th percentile. [ms]."""
    return {
        "median_ms": statistics.median(times_ms),
        "p90_ms": statistics.quantiles(times_ms, n=10)[-1],
        "repeats": len(times_ms),
    }


def measure(url: str, repeats: int) -> dict[str, list[float]]:
    """Return the times of single key presses. [ms]."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(FLAGS))
        page = browser.new_page(viewport={"width": 1366, "height": 768})
        page.goto(url)
        page.get_by_test_id("stPlotlyChart").first.wait_for()
        page.wait_for_timeout(3000)
        times = {
            "Enter": [press(page, 4096 + 16 * i, enter=True) for i in range(repeats + 2)][2:],
            "last digit, no Enter": [
                press(page, 8192 + 16 * i, enter=False) for i in range(repeats + 2)
            ][2:],
        }
        browser.close()
    return times


def press(page: Page, context: int, *, enter: bool) -> float:
    """Type a context and return how long the verdict took from the last key. [ms]."""
    box = page.get_by_label("Context", exact=True)
    box.click()
    box.press("Control+a")
    digits = str(context)
    last = "Enter" if enter else digits[-1]
    # A paste commits nothing before the key that is timed, as typing without a pause does.
    page.keyboard.insert_text(digits if enter else digits[:-1])
    page.evaluate("(key) => { window.__lastKey = key }", last)
    page.evaluate(_MEASURE, f"{context:,} tokens")
    page.keyboard.press(last)
    page.wait_for_function("window.__took !== null", timeout=10_000)
    took = float(page.evaluate("window.__took"))
    page.wait_for_timeout(400)
    return took


@contextmanager
def serving() -> Iterator[str]:
    """Run the app on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)]
    server = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"{url}/_stcore/health", timeout=2)
                break
            except OSError:
                time.sleep(0.1)
        yield url
    finally:
        server.terminate()
        server.wait(timeout=10)


def chromium() -> str:
    """Return the path of a Chromium or Chrome."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if found is None:
        sys.exit("no Chromium here (Debian: apt-get install chromium; else set CHROMIUM)")
    return found


if __name__ == "__main__":
    main()
