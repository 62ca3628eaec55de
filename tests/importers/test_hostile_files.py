"""Files that mean harm: a typed error of one paragraph, within a second."""

from __future__ import annotations

import copy
import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from planner.errors import PlannerError, SpecError
from planner.importers import import_config, load_model, parse_json, read_json

CONFIGURATIONS = json.loads(
    (Path(__file__).resolve().parent.parent / "data" / "configurations.json").read_text("utf-8")
)
SECOND = 1.0

HOSTILE = {
    "empty": (b"", "not valid JSON"),
    "truncated": (b'{"model_type": "llama", "hidden_', "may be cut off"),
    "truncated in a list": (b'{"a": [1, 2', "may be cut off"),
    "a list": (b"[1, 2]", "not a JSON object"),
    "a number": (b"3", "not a JSON object"),
    "nested lists": (b"[" * 10**6, "too"),
    "nested objects": (b'{"a":' * 10**5, "nested too deeply"),
    "closed nesting": (b'{"a":' + b"[" * 70 + b"]" * 70 + b"}", "nested too deeply"),
    "not a number": (b'{"hidden_size": NaN}', "NaN is not a finite number"),
    "infinity": (b'{"hidden_size": -Infinity}', "-Infinity is not a finite number"),
    "overflow": (b'{"hidden_size": 1e400}', "1e400 is not a finite number"),
    "endless digits": (b'{"hidden_size": ' + b"9" * 10**5 + b"}", "not valid JSON"),
    "twice": (b'{"hidden_size": 1, "hidden_size": 2}', "'hidden_size' stands twice"),
    "not utf-8": (b'{"model_type": "\xff\xfe"}', "not UTF-8 text at byte 16"),
    "utf-16": ('{"a": 1}'.encode("utf-16"), "not UTF-8"),
    "nul": (b"\x00" * 1000, "not valid JSON"),
    "million keys": (
        b"{" + b",".join(b'"k%d":0' % i for i in range(1_000_100)) + b"}",
        "too many values",
    ),
    "million lists": (b'{"a":[' + b"[]," * 10**6 + b"[]]}", "too many values"),
    "too large": (b" " * 16_000_001, "too large"),
    "one long text": (b'{"model_type": "' + b"x" * 15_000_000 + b'"}', "not modelled"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_json(tmp_path: Path, name: str) -> None:
    data, said = HOSTILE[name]
    path = tmp_path / "config.json"
    path.write_bytes(data)
    start = time.process_time()
    with pytest.raises(SpecError) as caught:
        load_model(path)
    assert time.process_time() - start < SECOND
    text = str(caught.value)
    assert said in text
    assert str(path) in text
    assert "\n" not in text
    assert len(text) < 1500


def test_a_byte_order_mark_does_no_harm() -> None:
    assert parse_json(b'\xef\xbb\xbf{"a": 1}', "config.json") == {"a": 1}


@pytest.mark.parametrize("path", ["/no/such/config.json", "/", "/proc/self/mem"])
def test_unreadable_files(path: str) -> None:
    with pytest.raises(SpecError, match="cannot be read"):
        read_json(Path(path))


VALUES: list[object] = [
    "32", -1, None, 1e30, True, 0, 10**30, [], {}, [1], {"a": 1}, "", "x" * 10**5, 3.5,
    [None], ["full_attention"], {"rope_type": ["a"]}, 2**63, "\ud800\x00", "absent",
]  # fmt: skip


def fields(config: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, value in config.items():
        yield (*path, name)
        if isinstance(value, dict):
            yield from fields(value, (*path, name))


def changed(config: dict[str, Any], path: tuple[str, ...], value: object) -> dict[str, Any]:
    copied = copy.deepcopy(config)
    inner = copied
    for name in path[:-1]:
        inner = inner[name]
    if value == "absent":
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return copied


@pytest.mark.parametrize("entry", CONFIGURATIONS, ids=lambda entry: entry["name"])
def test_any_field_may_hold_anything(entry: dict[str, Any]) -> None:
    """Every change to a real file either imports or raises a typed error."""
    chosen = random.Random(entry["name"])
    for path in fields(entry["config"]):
        for value in chosen.sample(VALUES, 6):
            said = outcome(changed(entry["config"], path, value))
            assert "\n" not in said
            assert len(said) < 2500


def outcome(config: dict[str, Any]) -> str:
    """What the import says about a configuration: nothing if it comes out as a model."""
    try:
        model = import_config(config, where="config.json")
    except PlannerError as error:
        return str(error)
    assert model.parameters >= model.active_parameters > 0
    return ""
