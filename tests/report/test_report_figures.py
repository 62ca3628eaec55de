"""Every format holds every figure and every source of the plan's JSON."""

from __future__ import annotations

import functools
import html.parser
import io
import json
import math
import re
from collections.abc import Callable, Iterator
from typing import Any

import openpyxl
import pypdf
import pytest

from planner import Plan
from planner.explain import EXPLAIN
from planner.units import format_bytes, format_seconds, format_si

Written = Callable[[str, str], bytes]
READABLE = ("pdf", "html", "md")


class _Text(html.parser.HTMLParser):
    """What a reader of the page sees."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self.hidden = 0

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.hidden += tag in {"style", "script", "svg"}

    def handle_endtag(self, tag: str) -> None:
        self.hidden -= tag in {"style", "script", "svg"}

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.parts.append(data)


@functools.cache
def text_of(form: str, content: bytes) -> str:
    """The words of a report without blanks, since a line may break anywhere."""
    if form == "pdf":
        text = "".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(content)).pages)
    elif form == "html":
        parser = _Text()
        parser.feed(content.decode())
        text = "".join(parser.parts)
    else:
        text = re.sub(r"\\([\\`*\[\]|~$#_])", r"\1", content.decode())
        for entity, character in (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")):
            text = text.replace(entity, character)
    return squeezed(text)


def squeezed(text: str) -> str:
    return re.sub(r"[\s\u200b]+", "", text)


def figures(data: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Path and value of every figure, without lists."""

    def walk(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
        if isinstance(value, dict):
            for key, inner in value.items():
                yield from walk(f"{prefix}.{key}" if prefix else key, inner)
        elif not isinstance(value, list):
            yield prefix, value

    shown = ("inputs", "model", "memory", "engine", "prefill", "decode", "capacity", "verdict")
    for part in shown:
        yield from walk(part, data[part])


def shown(path: str, value: Any) -> list[str]:
    """The forms in which a reader must find a figure."""
    if value is None or isinstance(value, bool):
        return []
    if isinstance(value, str):
        return [value]
    if path.startswith("inputs."):
        return [f"{value:,}"]
    if path.endswith("cache_bytes_per_token"):
        return [f"{format_bytes(value)}/token", f"{value:,}"]
    if path.endswith(("_bytes", "_bytes_per_sequence")):
        exact = f"{value:,.0f}" if value == int(value) else f"{value:,.1f}"
        return [format_bytes(value), exact] if abs(value) >= 1024 else [format_bytes(value)]
    if path.endswith(".flop"):
        return [format_si(value, "FLOP")]
    if path.endswith("_s") and not path.endswith("tokens_per_s"):
        return [format_seconds(value), f"{value:,.9g}"]
    return [f"{value:,}" if isinstance(value, int) else f"{value:,.9g}"]


@pytest.mark.parametrize("form", READABLE)
def test_readers_find_every_figure(answer: Plan, name: str, form: str, written: Written) -> None:
    text = text_of(form, written(name, form))
    expected = {
        f"{path}: {each}"
        for path, value in figures(answer.to_dict())
        for each in shown(path, value)
    }
    assert len(expected) > 60
    missing = {each for each in expected if squeezed(each.split(": ", 1)[1]) not in text}
    assert missing == set()


@pytest.mark.parametrize("form", READABLE)
def test_readers_find_operations_notes_and_sources(
    answer: Plan, name: str, form: str, written: Written
) -> None:
    text = text_of(form, written(name, form))
    data = answer.to_dict()
    expected = [*data["warnings"], *data["assumptions"]]
    expected += [each["text"] for each in data["verdict"]["suggestions"]]
    for phase in ("prefill", "decode"):
        expected += [each["name"] for each in data[phase]["operations"]]
    for source in data["sources"]:
        expected += [str(source[key]) for key in source]
    missing = [each for each in expected if squeezed(each) not in text]
    assert missing == []


@pytest.mark.parametrize("form", READABLE)
def test_readers_find_every_equation(answer: Plan, name: str, form: str, written: Written) -> None:
    text = text_of(form, written(name, form))
    for path in EXPLAIN:
        explanation = answer.explain(path)
        if explanation.value is not None:
            for each in (path, explanation.meaning, explanation.formula, explanation.substituted):
                assert squeezed(each) in text, path


def test_cells_hold_every_figure(answer: Plan, name: str, written: Written) -> None:
    book = openpyxl.load_workbook(io.BytesIO(written(name, "xlsx")), data_only=True)
    values = [cell.value for sheet in book for row in sheet.iter_rows() for cell in row]
    numbers = sorted(
        float(value)
        for value in values
        if isinstance(value, int | float) and not isinstance(value, bool)
    )
    words = {value for value in values if isinstance(value, str)}
    data = answer.to_dict()
    for path, value in figures(data):
        if isinstance(value, bool) or value is None:
            continue
        if isinstance(value, str):
            assert any(value in each for each in words), path
        else:
            assert holds(numbers, value), path
    for phase in ("prefill", "decode"):
        for operation in data[phase]["operations"]:
            for key, value in operation.items():
                if isinstance(value, float):
                    assert holds(numbers, value), (phase, operation["name"], key)
    for source in data["sources"]:
        assert {source["id"], source["title"]} <= words


def holds(numbers: list[float], value: float) -> bool:
    return any(math.isclose(value, each, rel_tol=1e-14, abs_tol=1e-300) for each in numbers)


def test_each_equation_is_a_row_with_its_value(answer: Plan, name: str, written: Written) -> None:
    book = openpyxl.load_workbook(io.BytesIO(written(name, "xlsx")), data_only=True)
    heads, *rows = [
        row for row in book["Equations"].iter_rows(values_only=True) if row[2] is not None
    ]
    found = {row[0]: dict(zip(heads, row, strict=True)) for row in rows}
    expected = {path: answer.explain(path) for path in EXPLAIN}
    assert set(found) == {path for path, each in expected.items() if each.value is not None}
    for path, row in found.items():
        value: Any = expected[path].value
        if isinstance(value, float):
            value = pytest.approx(value, rel=1e-14)
        assert row["value"] == value, path
        assert row["formula"] == expected[path].formula
        assert row["with numbers"] == expected[path].substituted


def test_cells_hold_every_part_of_every_equation(answer: Plan, name: str, written: Written) -> None:
    book = openpyxl.load_workbook(io.BytesIO(written(name, "xlsx")), data_only=True)
    rows = list(book["Terms"].iter_rows(min_row=3, values_only=True))
    found = {(row[0], row[1]): row[2] for row in rows}
    assert book["Terms"].freeze_panes == "A3"
    for path in EXPLAIN:
        explanation = answer.explain(path)
        if explanation.value is not None:
            for term in explanation.terms:
                assert (path, term.label) in found
    last = explanation_terms(answer, "memory.per_device.total_bytes")
    assert {key: found["memory.per_device.total_bytes", key] for key in last} == last


def explanation_terms(answer: Plan, path: str) -> dict[str, float]:
    return {term.label: term.value for term in answer.explain(path).terms}


def test_sheets_have_units_and_native_charts(written: Written) -> None:
    content = written("fits", "xlsx")
    book = openpyxl.load_workbook(io.BytesIO(content))
    assert book.sheetnames[0] == "Summary"
    assert {"Inputs", "Memory", "Prefill", "Decode", "Equations", "Sources"} <= set(book.sheetnames)
    heads = [cell.value for row in book["Decode"].iter_rows() for cell in row]
    assert {"work [FLOP]", "read [bytes]", "write [bytes]", "time [s]"} <= set(heads)
    charted = [sheet.title for sheet in book if sheet._charts]
    assert charted == ["Memory", "Decode", "What-if"]


def test_json_is_the_plan_with_explanations(answer: Plan, name: str, written: Written) -> None:
    found = json.loads(written(name, "json"))
    explanations = found.pop("explanations")
    assert found.pop("share_link").startswith("http://127.0.0.1")
    assert found == json.loads(json.dumps(answer.to_dict()))
    assert set(explanations) == set(EXPLAIN)
    for path, explanation in explanations.items():
        value: Any = found
        for key in path.split("."):
            value = value[key]
        assert explanation["value"] == value, path


def test_a_plan_that_does_not_fit_says_so_and_what_helps(written: Written) -> None:
    for form in READABLE:
        text = text_of(form, written("too-large", form))
        assert squeezed("does not fit") in text
        assert squeezed("What would help") in text
        assert squeezed("--kv-cache-dtype fp8") in text
        assert squeezed("What would help") not in text_of(form, written("fits", form))


def test_no_number_of_devices_is_said_in_words(
    plan_named: Callable[[str], Plan], written: Written
) -> None:
    data = plan_named("never-fits").to_dict()
    assert data["capacity"]["most_sequences"] == 0
    if data["capacity"]["fewest_devices"] is None:
        text = text_of("md", written("never-fits", "md"))
        assert squeezed("no number of these devices holds one sequence") in text


def test_null_limits_are_words_not_numbers(
    plan_named: Callable[[str], Plan], written: Written
) -> None:
    data = plan_named("state-space").to_dict()
    assert data["capacity"]["largest_context_tokens"] is None
    assert data["model"]["usable_context_tokens"] is None
    for form in READABLE:
        text = text_of(form, written("state-space", form))
        assert squeezed("no limit") in text
        assert "None" not in text
        assert "nan" not in re.sub(r"[A-Za-z]nan|nan[a-z]", "", text)
