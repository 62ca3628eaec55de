"""The pages "Serve" and "Compare"."""

from __future__ import annotations

from typing import Any

import pytest

testing = pytest.importorskip("streamlit.testing.v1", reason="the extra 'ui' is not installed")


def open_page(name: str, **query: str) -> Any:
    def script(name: str) -> None:
        import importlib

        importlib.import_module(f"planner.ui.{name}").page()

    app = testing.AppTest.from_function(script, kwargs={"name": name}, default_timeout=60)
    for key, value in query.items():
        app.query_params[key] = value
    return app.run()


def texts(app: Any) -> str:
    assert not app.exception
    return "\n".join(element.value for element in app.markdown)


def test_serve_answers_with_a_fleet() -> None:
    app = open_page("serve", sm="llama-3.1-8b", rps="30")
    text = texts(app)
    assert "all objectives held" in app.success[0].value
    assert {metric.label for metric in app.metric} >= {"Devices", "Utilisation"}
    assert len(app.get("plotly_chart")) == 3
    assert "chosen" in text
    assert "Splitwise" in text
    assert [code.value.split()[0] for code in app.code] == [
        "vllm",
        "python",
        "trtllm-serve",
        "llama-server",
    ]


def test_serve_says_what_cannot_be_met() -> None:
    app = open_page("serve", sm="llama-3.1-8b", rps="30", tpot="0.01")
    texts(app)
    assert "TPOT of 1e-05 s is missed by" in app.error[0].value


def test_a_price_brings_costs() -> None:
    app = open_page("serve", sm="llama-3.1-8b", rps="30")
    app.text_input(key="usd").set_value("2, 3").run()
    texts(app)
    assert any("USD" in metric.label for metric in app.metric)


@pytest.mark.parametrize(
    ("key", "value"), [("rps", "many"), ("rps", ""), ("ttft", "-1"), ("usd", "1,2,3"), ("pue", "x")]
)
def test_bad_inputs_are_messages(key: str, value: str) -> None:
    app = open_page("serve", sm="llama-3.1-8b")
    app.text_input(key=key).set_value(value).run()
    assert not app.exception
    assert app.error


def test_compare_is_a_table_of_models_and_devices() -> None:
    app = open_page("compare")
    text = texts(app)
    assert "| llama-3.1-8b |" in text
    assert "| llama-3.1-70b |" in text
    app.multiselect(key="cm").set_value([]).run()
    assert not app.exception
    assert app.info
