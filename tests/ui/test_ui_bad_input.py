"""Bad input: one paragraph beside the input, the last answer stays, nothing entered is lost."""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path
from typing import Any

import pytest

from planner.ui.link import MOST_CODE_CHARACTERS, MOST_CONFIG_BYTES, pack
from planner.ui.markdown import plain

LLAMA: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
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

BAD_LINKS = [
    ({"m": "llama-9-1t"}, "unknown model", "llama"),
    ({"m": "../../etc/passwd"}, "unknown model", "passwd"),
    ({"m": "/etc/passwd"}, "unknown model", "passwd"),
    ({"m": "config.json"}, "no configuration has been uploaded", "Upload"),
    ({"m": "config.json", "cfg": "abc"}, "damaged", "Upload"),
    ({"d": "h100-xxl"}, "unknown device", "h100"),
    ({"d": "/etc/hostname"}, "unknown device", "hostname"),
    ({"n": "0"}, "out of range", "Devices"),
    ({"n": "-4"}, "not a whole number", "Devices"),
    ({"n": "1e30"}, "not a whole number", "Devices"),
    ({"n": "99999"}, "out of range", "65,536"),
    ({"tp": "3"}, "does not use the devices", "Tensor parallel"),
    ({"n": "3", "tp": "3"}, "do not divide", "Tensor parallel"),
    ({"tp": "x"}, "not a whole number", "Tensor parallel"),
    ({"dp": "3"}, "does not use the devices", "Replicas"),
    ({"w": "fp7"}, "unknown format", "fp7"),
    ({"kv": "int3"}, "unknown format", "int3"),
    ({"a": "fp3"}, "unknown format", "fp3"),
    ({"d": "a100-sxm-80gb", "a": "fp8"}, "no fp8 rate", "a100"),
    ({"ctx": "abc"}, "not a whole number", "Context"),
    ({"ctx": "-1"}, "not a whole number", "Context"),
    ({"ctx": "NaN"}, "not a whole number", "Context"),
    ({"ctx": "inf"}, "not a whole number", "Context"),
    ({"ctx": "1e30"}, "not a whole number", "Context"),
    ({"ctx": "1" + "0" * 30}, "out of range", "Context"),
    ({"ctx": "9" * 5000}, "out of range", "Context"),
    ({"ctx": "0"}, "out of range", "Context"),
    ({"ctx": "1.5"}, "not a whole number", "Context"),
    ({"s": "many"}, "not a whole number", "Sequences"),
    ({"isl": "8000", "osl": "8000"}, "do not fit into the context", "Prompt"),
    ({"mbt": "none"}, "not a whole number", "Tokens per step"),
]


def problem(app: Any) -> str:
    assert not app.exception, app.exception
    assert len(app.sidebar.error) == 1
    text = str(app.sidebar.error[0].value)
    assert "\n" not in text
    assert "Traceback" not in text
    return text


@pytest.mark.parametrize(("link", "what", "names"), BAD_LINKS)
def test_a_bad_link_is_refused_with_one_paragraph(
    open_app: Any, link: dict[str, str], what: str, names: str
) -> None:
    app = open_app(**link)
    text = problem(app)
    assert what in text
    assert names in text
    assert not app.metric, "nothing may be answered in place of what was asked"
    for key, value in link.items():
        if key != "cfg" and len(value) < 100:
            assert app.session_state[key] == value


@pytest.mark.parametrize("bad", ["abc", "-5", "1e30", "NaN", "0", "2.5", "9" * 39])
def test_the_last_answer_stays_and_nothing_is_lost(open_app: Any, bad: str) -> None:
    app = open_app(m="llama-3.1-8b", n="2", kv="fp8", s="7")
    before = {metric.label: metric.value for metric in app.metric}
    app.text_input(key="ctx").set_value(bad).run()
    assert "Context" in problem(app)
    assert {metric.label: metric.value for metric in app.metric} == before
    assert any("last valid input" in box.value for box in app.main.warning)
    kept = {key: app.session_state[key] for key in ("m", "n", "kv", "s", "ctx")}
    assert kept == {"m": "llama-3.1-8b", "n": "2", "kv": "fp8", "s": "7", "ctx": bad}
    app.text_input(key="ctx").set_value("8192").run()
    assert not app.sidebar.error
    assert {metric.label: metric.value for metric in app.metric} == before


def test_several_mistakes_are_all_named(open_app: Any) -> None:
    app = open_app(ctx="abc", s="x", isl="-1")
    assert len(app.sidebar.error) == 3
    app.text_input(key="ctx").set_value("4K").run()
    assert len(app.sidebar.error) == 2


def test_the_address_of_an_answer_is_not_that_of_the_mistake(open_app: Any) -> None:
    app = open_app(ctx="4K")
    app.text_input(key="ctx").set_value("4Q").run()
    assert any("ctx=4K" in code.value for code in app.code)


def test_what_a_person_wrote_is_not_taken_for_markdown(open_app: Any) -> None:
    text = "**x** [a](http://b) $y$ <b>"
    assert plain(text) in problem(open_app(m=text))


def upload(app: Any, content: bytes, name: str = "config.json") -> Any:
    app.get("file_uploader")[0].upload(name, content).run()
    assert not app.exception
    return app


def test_an_upload_becomes_the_model(open_app: Any) -> None:
    app = upload(open_app(n="1"), json.dumps(LLAMA).encode())
    assert app.session_state["m"] == "config.json"
    assert not app.sidebar.error
    answer = app.session_state["_last_answer"][0]
    assert len(answer.model.layers) == 12
    assert answer.model.name == "LlamaForCausalLM"


def test_an_upload_is_named_after_its_file(open_app: Any) -> None:
    app = upload(open_app(n="1"), json.dumps(LLAMA).encode(), "my-llama.json")
    assert app.session_state["_last_answer"][0].model.name == "my-llama"


@pytest.mark.parametrize(
    "name", ["meta-llama__Meta-Llama-3.1-8B", "Qwen__Qwen3-30B-A3B", "openai__gpt-oss-20b"]
)
def test_real_configurations_survive_upload_and_link(
    open_app: Any, shared_data: Path, name: str
) -> None:
    path = shared_data / "hf_configs" / f"{name}.json"
    load = {"d": "h200-sxm", "n": "1", "s": "1"}
    app = upload(open_app(**load), path.read_bytes(), path.name)
    assert not app.sidebar.error
    there = open_app(m="config.json", cfg=app.session_state["cfg"], **load)
    first, second = app.session_state["_last_answer"][0], there.session_state["_last_answer"][0]
    assert first.to_dict() == second.to_dict()


NESTED = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
BAD_FILES = {
    "truncated": json.dumps(LLAMA).encode()[:200],
    "empty": b"",
    "not an object": b"[1, 2]",
    "nested": NESTED,
    "not text": b"\xff\xfe\x00\x01",
    "not finite": json.dumps(LLAMA).replace("1024", "NaN").encode(),
    "huge number": json.dumps(LLAMA).replace("1024", "1" + "0" * 30).encode(),
    "very long number": json.dumps(LLAMA).replace("1024", "1" * 10_000).encode(),
    "negative": json.dumps(LLAMA).replace("1024", "-1024").encode(),
    "text for a number": json.dumps(LLAMA).replace("1024", '"1024"').encode(),
    "unknown architecture": json.dumps(LLAMA).replace("llama", "hyperllama").encode(),
    "unknown field": json.dumps({**LLAMA, "extra_attention_layers": 4}).encode(),
    "many": json.dumps({**LLAMA, "x": "y" * 300_000}).encode(),
    "billions of layers": json.dumps({**LLAMA, "num_hidden_layers": 10**9}).encode(),
    "html": b"<html></html>",
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_a_bad_upload_changes_nothing_but_the_message(open_app: Any, kind: str) -> None:
    app = open_app(m="llama-3.1-8b", n="1", s="3")
    before = {metric.label: metric.value for metric in app.metric}
    upload(app, BAD_FILES[kind])
    assert "config.json" in problem(app)
    assert {metric.label: metric.value for metric in app.metric} == before
    assert (app.session_state["m"], app.session_state["s"]) == ("llama-3.1-8b", "3")
    upload(app, json.dumps(LLAMA).encode())
    assert not app.sidebar.error
    assert app.session_state["m"] == "config.json"


def test_a_configuration_too_large_for_a_link_still_works(open_app: Any) -> None:
    noise = base64.b85encode(bytes((i * 7919 + i // 3) % 251 for i in range(9000))).decode()
    config = json.dumps({**LLAMA, "_name_or_path": "big", "_note": noise + noise[::-1]})
    assert len(pack(config)) > MOST_CODE_CHARACTERS
    app = upload(open_app(n="1"), config.encode())
    assert not app.sidebar.error
    assert app.session_state["_last_answer"][0].model.name == "big"
    assert any("too large for a link" in info.value for info in app.info)
    assert all("cfg=" not in code.value for code in app.code)
    app.text_input(key="ctx").set_value("2K").run()
    assert not app.sidebar.error


def bomb(size: int) -> str:
    packed = zlib.compress(b'{"a":"' + b" " * size + b'"}', level=9)
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


@pytest.mark.parametrize(
    ("code", "what"),
    [
        (bomb(2 * MOST_CONFIG_BYTES), "too large"),
        ("A" * (MOST_CODE_CHARACTERS + 1), "damaged"),
        ("!!!", "damaged"),
        (pack(json.dumps(LLAMA))[:-12], "damaged"),
        (pack("[" * 5000), "nested too deeply"),
        (pack("no json"), "not valid JSON"),
        (pack("{}"), "architecture"),
    ],
)
def test_a_hostile_code_in_a_link_is_refused(open_app: Any, code: str, what: str) -> None:
    assert what in problem(open_app(m="config.json", cfg=code))
