"""What tests share: the data folder beside the checkout, the running app and a browser on it."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).resolve().parent.parent
ARTIFACTS = ROOT / "test-artifacts"

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM_FLAGS = (
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-sync",
    "--no-first-run",
)
START_TIMEOUT_S = 60.0
BROWSER_TIMEOUT_MS = 30_000
VIEWPORT = {"width": 1366, "height": 768}

_FAILED = pytest.StashKey[bool]()


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The data folder beside the checkout; tests that need it are skipped without it."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the shared data folder does not lie beside this checkout")
    return folder


def _cuda_missing() -> str:
    """Why no CUDA device can be used; empty where one can."""
    if importlib.util.find_spec("torch") is None:
        return "needs torch (make test-oracles installs it) and a CUDA device"
    import torch

    return "" if torch.cuda.is_available() else "needs a CUDA device"


def pytest_configure() -> None:
    """Ask for Triton's interpreter where no CUDA device is, before any test imports Triton."""
    if _cuda_missing():
        os.environ["TRITON_INTERPRET"] = "1"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip, with the reason, what this machine cannot run."""
    missing = [name for name in ("torch", "transformers") if importlib.util.find_spec(name) is None]
    needs_gpu = [item for item in items if item.get_closest_marker("gpu")]
    gpu_reason = _cuda_missing() if needs_gpu else ""
    for item in items:
        if missing and item.get_closest_marker("oracle"):
            reason = f"needs {' and '.join(missing)} (make test-oracles installs them)"
            item.add_marker(pytest.mark.skip(reason=reason))
    for item in needs_gpu:
        if gpu_reason:
            item.add_marker(pytest.mark.skip(reason=gpu_reason))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Remember a failed test, so that the browser can leave a screenshot of it."""
    report = yield
    if report.when == "call":
        item.stash[_FAILED] = report.failed
    return report


# --- the running app ---


@pytest.fixture(scope="session")
def app_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start the app on a free port of 127.0.0.1; its base URL, without a trailing slash."""
    port = _free_port()
    url = f"http://127.0.0.1:{port}"
    log = tmp_path_factory.mktemp("app") / "streamlit.log"
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)]
    with log.open("wb") as stream:
        server = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT
        )
        try:
            _wait_until_healthy(url, server, log)
            yield url
        finally:
            server.terminate()
            try:
                server.wait(timeout=10)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_healthy(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    end = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < end and server.poll() is None:
        try:
            with opener.open(f"{url}/_stcore/health", timeout=2) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.1)
    state = f"is not healthy after {START_TIMEOUT_S:.0f} s"
    if server.poll() is not None:
        state = f"ended with exit code {server.returncode}"
    pytest.fail(f"the app {state}; its log:\n{log.read_text(errors='replace')[-4000:]}")


# --- a browser on it ---


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """Where Chromium (or Chrome) is; browser tests are skipped without it."""
    named = os.environ.get("CHROMIUM")
    if named:
        if not Path(named).is_file():
            pytest.fail(f"CHROMIUM names no file: {named}")
        return named
    for name in CHROMIUM_NAMES:
        found = shutil.which(name)
        if found:
            return found
    pytest.skip("no Chromium here (Debian: apt-get install chromium; else set CHROMIUM)")


@pytest.fixture(scope="module")
def browser(chromium_path: str) -> Iterator[Browser]:
    """One headless browser for the tests of a file."""
    api = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed (make test installs it)"
    )
    with api.sync_playwright() as playwright:
        instance = playwright.chromium.launch(
            executable_path=chromium_path, args=list(CHROMIUM_FLAGS)
        )
        try:
            yield instance
        finally:
            instance.close()


@pytest.fixture
def requested_urls() -> list[str]:
    """Every URL the page asked for, WebSockets included, in order."""
    return []


@pytest.fixture
def page(browser: Browser, requested_urls: list[str], request: Any) -> Iterator[Page]:
    """A fresh page at 1366×768.

    When the test is over, the page must have asked no host but 127.0.0.1; after a failure a
    screenshot is left in `test-artifacts/`.
    """
    context = browser.new_context(viewport=VIEWPORT, accept_downloads=True)
    context.set_default_timeout(BROWSER_TIMEOUT_MS)
    # Set on the context, so that what a second tab asks for counts as well.
    context.on("request", lambda asked: requested_urls.append(asked.url))
    tab = context.new_page()
    tab.on("websocket", lambda socket_: requested_urls.append(socket_.url))
    try:
        yield tab
        if request.node.stash.get(_FAILED, False):
            ARTIFACTS.mkdir(exist_ok=True)
            name = re.sub(r"[^A-Za-z0-9_.-]+", "-", request.node.nodeid).strip("-")
            tab.screenshot(path=ARTIFACTS / f"{name}.png", full_page=True)
    finally:
        context.close()
    assert foreign_urls(requested_urls) == []


def foreign_urls(urls: list[str]) -> list[str]:
    """Those of `urls` that leave this machine."""
    parts = ((url, urlsplit(url)) for url in urls)
    return [
        url
        for url, split in parts
        if split.scheme in {"http", "https", "ws", "wss", "ftp"} and split.hostname != "127.0.0.1"
    ]
