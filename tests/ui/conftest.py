"""The app without a browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

APP = Path(__file__).resolve().parents[2] / "app.py"

Open = Callable[..., Any]


@pytest.fixture
def open_app() -> Open:
    """Open the app as a link does; keyword arguments are the query of the link."""
    testing = pytest.importorskip("streamlit.testing.v1", reason="the extra 'ui' is not installed")

    def open_(**query: str) -> Any:
        app = testing.AppTest.from_file(str(APP), default_timeout=30)
        for key, value in query.items():
            app.query_params[key] = value
        return app.run()

    return open_
