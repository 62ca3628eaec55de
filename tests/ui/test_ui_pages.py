"""The pages "Catalog" and "Methods", and what all pages have in common."""

from __future__ import annotations

import re
from typing import Any

import pytest

from planner.explain import EXPLAIN
from planner.hardware import device_ids, load_device, node_ids
from planner.importers import model_ids
from planner.references import REFERENCES
from planner.ui.fields import FIELDS
from planner.ui.markdown import plain

testing = pytest.importorskip("streamlit.testing.v1", reason="the extra 'ui' is not installed")


def open_page(name: str, **query: str) -> Any:
    """AppTest switches to pages that are files only, so the page's function is run by itself."""

    def script(name: str) -> None:
        import importlib

        importlib.import_module(f"planner.ui.{name}").page()

    app = testing.AppTest.from_function(script, kwargs={"name": name}, default_timeout=30)
    for key, value in query.items():
        app.query_params[key] = value
    return app.run()


def text_of(app: Any) -> str:
    assert not app.exception
    return "\n".join(element.value for element in app.markdown)


def test_catalog_lists_every_device() -> None:
    text = text_of(open_page("catalog"))
    for name in (*device_ids(), *node_ids()):
        assert f"| {name} |" in text


def test_catalog_lists_every_model() -> None:
    text = text_of(open_page("catalog", kind="Models"))
    for name in model_ids():
        assert f"| {name} |" in text


def test_catalog_search_needs_every_word() -> None:
    app = open_page("catalog", q="hbm3 80 gb")
    text = text_of(app)
    assert "| h100-sxm |" in text
    assert "| l4 |" not in text
    app.text_input(key="q").set_value("no such thing").run()
    assert not app.exception
    assert "Nothing contains" in app.info[0].value


@pytest.mark.parametrize("name", [*device_ids(), *node_ids()])
def test_every_figure_of_hardware_has_its_source(name: str) -> None:
    app = open_page("catalog", q=name)
    app.selectbox[0].set_value(name).run()
    text = text_of(app)
    figures = load_device(name).figures if name in device_ids() else {}
    for key, figure in figures.items():
        row = next(line for line in text.splitlines() if line.startswith(f"| `{key}` |"))
        printed = f"{figure.value:,} {figure.unit}".removesuffix(" 1")
        assert f"| {printed} |" in row.replace("\N{NO-BREAK SPACE}", " ")
        assert "](<http" in row or load_device(name).sources[figure.source].url is None


@pytest.mark.parametrize("name", ["gpt2", "llama-3.1-70b", "gpt-oss-120b", "mamba2-2.7b"])
def test_models_show_their_tensors(name: str) -> None:
    app = open_page("catalog", kind="Models", q=name)
    app.selectbox[0].set_value(name).run()
    text = text_of(app)
    rows = re.findall(r"^\| .* \| ([\d,]+) \| ([\d,]+) \|$", text, flags=re.MULTILINE)
    stated = re.search(r"^([\d,]+) parameters", text, flags=re.MULTILINE)
    assert stated is not None
    total = int(stated[1].replace(",", ""))
    assert sum(int(parameters.replace(",", "")) for _, parameters in rows) == total


def test_methods_name_every_figure_input_and_reference() -> None:
    text = text_of(open_page("methods"))
    for source in REFERENCES.values():
        assert plain(source.title) in text
    for field in FIELDS.values():
        assert f"| {field.label} | `{field.key}` | `{field.flag}` |" in text
    formulas = text.split("| figure |")[1].split("| term |")[0]
    assert formulas.count("\n|") - 1 >= len(EXPLAIN)


def test_the_pages_of_the_app_differ() -> None:
    titles = {open_page(name).title[0].value for name in ("size", "catalog", "methods")}
    assert len(titles) == 3
