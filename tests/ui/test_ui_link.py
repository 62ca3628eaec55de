"""Share links: what one session shares, another opens."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

import pytest

from planner.errors import SpecError
from planner.ui.fields import FIELDS
from planner.ui.link import MOST_CODE_CHARACTERS, pack, unpack
from planner.ui.state import changed, share_query

KEYS = [
    "m", "d", "n", "tp", "w", "kv", "ctx", "s", "isl", "osl", "dp", "pp", "ep", "cp", "dcp", "adp",
    "ow", "oc", "a", "mbt", "cfg", "e", "u", "mml", "mns",
]  # fmt: skip
EVERYTHING = {
    "m": "llama-3.1-8b",
    "d": "h200-sxm",
    "n": "8",
    "tp": "4",
    "w": "fp8",
    "kv": "fp8",
    "ctx": "64k",
    "s": "128",
    "isl": "4k",
    "osl": "1K",
    "dp": "2",
    "a": "fp8",
    "mbt": "16K",
    "pp": "1",
    "ep": "1",
    "cp": "1",
    "dcp": "1",
    "adp": "1",
    "ow": "25%",
    "oc": "0.5",
}


ENGINE = {
    "m": "llama-3.1-8b",
    "d": "h200-sxm",
    "n": "1",
    "ctx": "64k",
    "s": "128",
    "e": "vllm@0.33.0",
    "u": "0.9",
    "mml": "128k",
    "mns": "256",
}


def test_the_keys_are_public() -> None:
    """Links that people keep rest on these names; a new key is added, none is renamed."""
    assert list(FIELDS) == KEYS


@pytest.mark.parametrize("given", [EVERYTHING, ENGINE])
def test_a_link_restores_every_input(open_app: Any, given: dict[str, str]) -> None:
    app = open_app(**given)
    assert not app.sidebar.error
    link = next(code.value for code in app.code if code.value.startswith("?m="))
    query = dict(parse_qsl(link.removeprefix("?")))
    assert query == given
    there = open_app(**query)
    assert {key: there.session_state[key] for key in given} == given
    first, second = app.session_state["_last_answer"][0], there.session_state["_last_answer"][0]
    assert first.to_dict() == second.to_dict()


def test_an_emptied_input_stays_open_in_the_link(open_app: Any) -> None:
    app = open_app(isl="2000", osl="100", ctx="auto")
    app.text_input(key="ctx").set_value("").run()
    assert app.session_state["_last_answer"][0].deployment.load.context == 2100
    link = next(code.value for code in app.code if code.value.startswith("?m="))
    there = open_app(**dict(parse_qsl(link.removeprefix("?"))))
    assert there.session_state["_last_answer"][0].deployment.load.context == 2100


@pytest.mark.parametrize("text", ["{}", '{"a":"ü"}', '{"a":' + "1" * 2000 + "}"])
def test_codes_unpack_to_what_was_packed(text: str) -> None:
    code = pack(text)
    assert unpack(code) == text
    assert len(code) <= MOST_CODE_CHARACTERS


@pytest.mark.parametrize("cut", range(1, 20, 3))
def test_a_cut_code_is_refused(cut: int) -> None:
    code = pack('{"model_type": "llama", "hidden_size": 4096}')
    with pytest.raises(SpecError):
        unpack(code[:-cut])


def test_every_change_a_suggestion_makes_is_an_input() -> None:
    sizes = ("--tp", "--pp", "--dp", "--ep", "--cp", "--dcp", "--attention-dp")
    flags = ("--kv-cache-dtype", "--sequences", "--context", "--weights", "-n", *sizes)
    keys = {"kv", "s", "ctx", "w", "n", "tp", "pp", "dp", "ep", "cp", "dcp", "adp"}
    assert set(changed(dict.fromkeys(flags, 1))) == keys


def test_a_configuration_is_shared_only_where_it_is_the_model() -> None:
    assert "cfg" not in share_query({"m": "gpt2", "cfg": "abc"})
    assert "cfg=abc" in share_query({"m": "config.json", "cfg": "abc"})
