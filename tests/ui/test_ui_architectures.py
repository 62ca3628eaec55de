"""The page "Architectures": the curves of a comparison, its crossovers, its tables."""

from __future__ import annotations

from typing import Any

import pytest

from planner import Scenario, load_hardware, load_model
from planner.comparison import METRICS, Comparison, compare_variants
from planner.variants import VARIANTS

testing = pytest.importorskip("streamlit.testing.v1", reason="the extra 'ui' is not installed")

LINK = {"m": "llama-3.1-8b", "d": "h100-sxm", "n": "1", "ctx": "8K", "s": "16"}


def open_page(**query: str) -> Any:
    def script() -> None:
        from planner.ui import architectures

        architectures.page()

    app = testing.AppTest.from_function(script, default_timeout=60)
    for key, value in {**LINK, **query}.items():
        app.query_params[key] = value
    return app.run()


def expected(**settings: Any) -> Comparison:
    scenario = Scenario(
        model=load_model("llama-3.1-8b"),
        hardware=load_hardware("h100-sxm", 1),
        context=8192,
        sequences=16,
    )
    return compare_variants(scenario, VARIANTS, **settings)


def texts(app: Any) -> str:
    assert not app.exception
    return "\n".join(element.value for element in app.markdown)


def test_the_page_shows_where_each_mixer_needs_less() -> None:
    text = texts(open_page(longest="1M"))
    found = expected(longest=2**20)
    for curve in found.curves[1:]:
        line = next(line for line in text.splitlines() if line.startswith(f"| {curve.label} |"))
        for metric in METRICS:
            crossing = found.crossover(curve.label, metric)
            assert crossing.outcome in line
            if crossing.start is not None and crossing.start > found.contexts[0]:
                assert f"from {crossing.start:,}; " in line


def test_one_chart_and_one_table_per_metric() -> None:
    app = open_page()
    assert not app.exception
    assert len(app.get("plotly_chart")) == len(METRICS)
    tables = [box for box in app.expander if box.label == "Numbers of this chart"]
    assert len(tables) == len(METRICS)


def test_parameters_are_those_of_the_variants() -> None:
    text = texts(open_page())
    for curve in expected().curves:
        assert f"| {curve.label} | {curve.model.parameters:,} |" in text


def test_mixers_are_a_choice_and_take_sizes() -> None:
    app = open_page()
    app.multiselect(key="mixers").set_value(["SSM", "SWA"]).run()
    text = texts(app)
    assert "| SSM |" in text
    assert "| MHA |" not in text


@pytest.mark.parametrize("longest", ["x", "1", "-3", "1e30", "NaN"])
def test_a_bad_range_is_one_message(longest: str) -> None:
    app = open_page()
    app.text_input(key="longest").set_value(longest).run()
    assert not app.exception
    assert "Longest context" in app.main.error[0].value
    assert "last valid input" in app.main.warning[0].value


def test_no_mixer_at_all_is_one_message() -> None:
    app = open_page()
    app.multiselect(key="mixers").set_value([]).run()
    assert not app.exception
    assert app.main.error


def test_bad_inputs_of_the_sidebar_are_said() -> None:
    app = open_page(m="no-such-model")
    assert not app.exception
    assert app.main.error
