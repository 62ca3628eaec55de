"""The page "Size" on valid input: its figures are those of the planner."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from planner import Scenario, load_hardware, load_model, plan
from planner.explain import EXPLAIN
from planner.ui import exports
from planner.ui.fields import FIELDS
from planner.ui.markdown import plain
from planner.units import format_bytes, format_seconds

LABELS = ["Memory, fullest device", "Largest context", "Most sequences", "Decode step, at best"]


def ask(model: str, device: str, devices: int, **load: Any) -> Any:
    return plan(Scenario(model=load_model(model), hardware=load_hardware(device, devices), **load))


def shown(app: Any) -> dict[str, str]:
    assert not app.exception
    return {metric.label: metric.value for metric in app.metric}


def verdict(app: Any) -> str:
    boxes = [*app.main.success, *app.main.error]
    assert len(boxes) == 1
    return str(boxes[0].value)


def notes(app: Any) -> str:
    return "\n".join(caption.value for caption in app.caption)


def assert_shows(app: Any, answer: Any) -> None:
    data = answer.to_dict()
    memory, capacity = data["memory"]["per_device"], data["capacity"]
    longest, most = capacity["largest_context_tokens"], capacity["most_sequences"]
    assert verdict(app).endswith(plain(data["verdict"]["sentence"]))
    assert shown(app) == {
        "Memory, fullest device": format_bytes(memory["total_bytes"]),
        "Largest context": "no limit" if longest is None else f"{longest:,} tokens",
        "Most sequences": "no limit" if most is None else f"{most:,}",
        "Decode step, at best": format_seconds(data["decode"]["floor_s"]),
    }
    assert f"of {format_bytes(memory['capacity_bytes'])}" in notes(app)
    assert f"{data['decode']['tokens_per_s']:,.0f} tokens/s" in notes(app)
    assert json.loads(exports.json_text(app.session_state["_last_answer"][0])) == data


def test_default_is_the_70b_on_four_h100(open_app: Any) -> None:
    app = open_app()
    assert list(shown(app)) == LABELS
    assert verdict(app).startswith("**Fits.**")
    assert_shows(app, ask("llama-3.1-70b", "h100-sxm", 4, context=8192, sequences=32))


@pytest.mark.parametrize(
    ("link", "model", "device", "devices", "load"),
    [
        (
            {"m": "llama-3.1-8b", "d": "h100-sxm", "n": "1", "ctx": "4096", "s": "16"},
            "llama-3.1-8b",
            "h100-sxm",
            1,
            {"context": 4096, "sequences": 16},
        ),
        (
            {"m": "openai/gpt-oss-120b", "d": "h100-sxm", "n": "2", "ctx": "128K", "s": "4"},
            "gpt-oss-120b",
            "h100-sxm",
            2,
            {"context": 131072, "sequences": 4},
        ),
        (
            {"m": "gemma-3-27b", "d": "A100-SXM-80GB", "n": "2", "tp": "2", "kv": "fp8", "s": "2"},
            "gemma-3-27b",
            "a100-sxm-80gb",
            2,
            {"context": 8192, "sequences": 2, "tp": 2, "kv_cache_dtype": "fp8"},
        ),
        (
            {"m": "mamba2-2.7b", "d": "l4", "n": "1", "ctx": "1M", "s": "8"},
            "mamba2-2.7b",
            "l4",
            1,
            {"context": 1048576, "sequences": 8},
        ),
        (
            {"m": "llama-2-7b", "d": "l40s", "n": "1", "ctx": "auto", "isl": "1000", "osl": "24"},
            "llama-2-7b",
            "l40s",
            1,
            {"isl": 1000, "osl": 24, "sequences": 32},
        ),
        (
            {"d": "8x-h100-sxm", "w": "fp8", "a": "fp8", "s": "64", "mbt": "2K"},
            "llama-3.1-70b",
            "8x-h100-sxm",
            8,
            {
                "weights": "fp8",
                "activations": "fp8",
                "context": 8192,
                "sequences": 64,
                "max_num_batched_tokens": 2048,
            },
        ),
    ],
)
def test_a_link_gives_the_figures_of_the_planner(
    open_app: Any,
    link: dict[str, str],
    model: str,
    device: str,
    devices: int,
    load: dict[str, Any],
) -> None:
    assert_shows(open_app(**link), ask(model, device, devices, **load))


def test_an_input_changes_the_answer(open_app: Any) -> None:
    app = open_app()
    app.text_input(key="ctx").set_value("16K").run()
    assert_shows(app, ask("llama-3.1-70b", "h100-sxm", 4, context=16384, sequences=32))
    app.text_input(key="s").set_value("8").run()
    app.selectbox(key="n").set_value("8").run()
    app.selectbox(key="kv").set_value("fp8").run()
    app.selectbox(key="tp").set_value("8").run()
    expected = ask(
        "llama-3.1-70b",
        "h100-sxm",
        8,
        context=16384,
        sequences=8,
        kv_cache_dtype="fp8",
        tp=8,
    )
    assert_shows(app, expected)


def test_only_sizes_that_divide_are_offered(open_app: Any) -> None:
    app = open_app(m="llama-3.1-70b", n="24")
    assert app.selectbox(key="tp").options == ["auto", "1", "2", "4", "8"]
    assert app.selectbox(key="dp").options == ["auto", "1", "2", "3", "4", "6", "8", "12", "24"]


def test_a_node_is_taken_whole(open_app: Any) -> None:
    app = open_app()
    node = next(o for o in app.selectbox(key="d").options if o.startswith("8x-h200-sxm "))
    app.selectbox(key="d").set_value(node).run()
    assert app.selectbox(key="n").value == "8"
    assert_shows(app, ask("llama-3.1-70b", "8x-h200-sxm", 8, context=8192, sequences=32))


def test_what_does_not_fit_is_mended_by_a_suggestion(open_app: Any) -> None:
    link = {"n": "2", "ctx": "32K"}
    app = open_app(**link)
    answer = ask("llama-3.1-70b", "h100-sxm", 2, context=32768, sequences=32)
    assert verdict(app).startswith("**Does not fit.**")
    assert_shows(app, answer)
    texts = [element.value for element in app.main.markdown]
    buttons = [button for button in app.main.button if button.label == "Apply"]
    assert len(buttons) == len(answer.suggestions) >= 3
    for suggestion in answer.suggestions:
        assert plain(suggestion.text) in texts
    for i, suggestion in enumerate(answer.suggestions):
        mended = open_app(**link)
        mended.button(key=f"apply_{i}").click().run()
        assert verdict(mended).startswith("**Fits.**" if suggestion.fits else "**Does not fit.**")
        total = format_bytes(suggestion.total_bytes)
        assert shown(mended)["Memory, fullest device"] == total


def test_every_figure_explains_itself(open_app: Any) -> None:
    app = open_app()
    app.session_state["figures"] = True
    app.run()
    box = app.selectbox(key="figure")
    assert len(box.options) == len(EXPLAIN)
    for path in EXPLAIN:
        app.selectbox(key="figure").set_value(path).run()
        assert not app.exception
        answer = app.session_state["_last_answer"][0].explain(path)
        assert any(answer.formula in code.value for code in app.code)
        assert f"In the JSON: `{path}`" in notes(app)


@pytest.mark.parametrize("model", ["gpt2", "gpt-oss-20b", "mamba2-2.7b"])
def test_every_popover_and_table_can_be_drawn(open_app: Any, model: str) -> None:
    app = open_app(m=model, d="h100-sxm", n="1", ctx="1K", s="2")
    for key in ("numbers_memory", "numbers_cache", "numbers_roofline", "figures", "sources"):
        app.session_state[key] = True
    app.run()
    assert not app.exception
    explained = [c.value for c in app.caption if c.value.startswith("In the JSON")]
    assert len(explained) >= 6 + 3
    app.get("button_group")[0].set_value("Prefill").run()
    assert not app.exception
    assert any(text.value.startswith("Prefill, one pass") for text in app.main.markdown)


def test_charts_have_alternative_texts(open_app: Any) -> None:
    charts = open_app().get("plotly_chart")
    assert len(charts) == 3
    for chart in charts:
        assert len(chart.proto.alt) > 40
        spec = json.loads(chart.proto.spec)
        assert all(len(trace["x"]) <= 200 for trace in spec["data"])


def test_every_input_is_explained(open_app: Any) -> None:
    app = open_app()
    inputs = [*app.sidebar.text_input, *app.sidebar.selectbox]
    assert len(inputs) == len(FIELDS)
    assert all(len(each.help or "") > 30 for each in inputs)


def test_exports(open_app: Any) -> None:
    app = open_app(s="8")
    labels = [button.label for button in app.get("download_button")]
    assert labels == ["JSON", "PDF", "Excel", "HTML", "Markdown"]
    links = [code.value for code in app.code if "m=llama" in code.value]
    assert links == ["?m=llama-3.1-70b&d=h100-sxm&n=4&ctx=8192&s=8"]


def test_reports_are_off_without_their_extra(
    open_app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "_installed", lambda *libraries: False)
    buttons = open_app().get("download_button")
    assert [button.proto.disabled for button in buttons] == [False, True, True, True, True]
    assert "report extra" in buttons[1].proto.help


def test_the_app_imports_nothing_heavy() -> None:
    program = "import app, sys; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) & {"torch", "transformers", "pandas", "matplotlib"} == set()


def test_an_engine_shows_what_it_allocates(open_app: Any) -> None:
    app = open_app(m="llama-3.1-8b", d="h100-sxm", n="1", e="vllm@0.33.0")
    assert not app.sidebar.error
    text = "\n".join(block.value for block in app.markdown)
    assert "label capacity" in text
    assert "this load" in text
    assert any("vllm 0.33.0" in header.value for header in app.header)
    app.text_input(key="u").set_value("much").run()
    assert any("share of the memory" in error.value for error in app.sidebar.error)


def test_an_unknown_engine_is_named_beside_its_input(open_app: Any) -> None:
    app = open_app(e="vlm")
    assert any("unknown engine" in error.value for error in app.sidebar.error)
