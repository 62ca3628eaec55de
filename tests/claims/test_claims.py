"""Published claims, recomputed: verdicts, goldens, and assumptions that move them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import pytest

from planner.claims import Claim, Control, all_claims, answer, evaluate
from planner.claims.assumptions import REFERENCE_MODELS, references
from planner.claims.published import PUBLISHED
from planner.claims.references import PUBLICATIONS
from planner.cli import BAD_INPUT, OK, run
from planner.errors import PlannerError, ScenarioError, UnknownNameError
from planner.units import GB, GIB, MIB, TB

VERDICTS = {
    "a": ("false", "factor of 3.22"),
    "b": ("depends", "depends on the model"),
    "c1": ("false", "false"),
    "c2": ("false", "false as stated"),
    "d1": ("depends", "plausible"),
    "d2": ("false", "imprecise"),
    "d3": ("false", "false attribution"),
    "d4": ("depends", "depends on d and M"),
    "e1": ("depends", "query heads"),
    "e2": ("depends", "depends on the model"),
    "e3": ("false", "false"),
    "f": ("unsupported", "no source"),
    "g1": ("false", "false"),
    "g2": ("depends", "half true"),
    "g3": ("false", "false"),
    "h1": ("false", "no wall"),
    "h2": ("true", "published point"),
    "i": ("false", "false"),
    "j": ("false", "false as stated"),
    "k": ("depends", "half true"),
    "l": ("false", "false"),
    "m": ("false", "deployed"),
    "n": ("false", "false"),
    "o": ("depends", "depends on the model"),
    "p": ("false", "false"),
    "q": ("false", "wrong variable"),
    "r": ("depends", "computation yes"),
    "s": ("unsupported", "opinion"),
}
UNSUPPORTED = {"d3", "f", "i", "j", "s"}


def value(claim_id: str, figure: str, **controls: object) -> float:
    found = evaluate(claim_id, **controls).figure(figure).value
    assert isinstance(found, int | float)
    return found


def verdict(claim_id: str, **controls: object) -> str:
    return evaluate(claim_id, **controls).finding.verdict


def test_nineteen_claims_are_on_record() -> None:
    assert {claim.id for claim in all_claims()} == set(VERDICTS)
    assert len({claim.id[0] for claim in all_claims()}) == 19


@pytest.mark.parametrize("claim_id", VERDICTS)
def test_verdicts(claim_id: str) -> None:
    finding = evaluate(claim_id).finding
    expected, words = VERDICTS[claim_id]
    assert finding.verdict == expected
    assert words in finding.ruling


def test_what_lacks_support_is_marked_so() -> None:
    found = {claim.id for claim in all_claims() if claim.on_record == "unsupported"}
    assert found == UNSUPPORTED
    for claim_id in UNSUPPORTED:
        assert evaluate(claim_id).finding.verdict in {"false", "unsupported"}


GOLDENS: list[tuple[str, str, dict[str, object], float, float]] = [
    ("a", "cache_bytes", {}, 154.6 * GB, 1e-3),
    ("a", "cache_bytes", {"kv_cache_dtype": "fp8"}, 77.3 * GB, 1e-3),
    ("a", "cache_bytes", {"context": 2048}, 9.66 * GB, 1e-3),
    ("a", "cache_bytes_per_token", {}, 4_718_592, 0),
    ("a", "tokens_in_claimed_size", {}, 10_172, 0),
    ("b", "cache_bytes", {}, 4.72 * TB, 1e-3),
    ("b", "cache_bytes", {"model": "llama-3.1-405b"}, 0.516 * TB, 1e-3),
    ("b", "cache_bytes", {"model": "llama-2-70b"}, 0.328 * TB, 2e-3),
    ("b", "cache_bytes", {"model": "llama-3.1-8b"}, 0.131 * TB, 2e-3),
    ("b", "cache_bytes", {"model": "deepseek-v3"}, 0.070272 * TB, 0),
    ("b", "cache_bytes", {"model": "deepseek-v3.2", "kv_cache_dtype": "fp8"}, 0.048068 * TB, 0),
    ("c1", "vendor_capacity_bytes", {}, 80 * GB, 0),
    ("c1", "memory_bandwidth_bytes_per_s", {"device": "h200-sxm"}, 4.8e12, 0),
    ("c2", "model_longest_context", {}, 455_000, 5e-3),
    ("c2", "model_longest_context", {"kv_cache_dtype": "fp8"}, 909_000, 5e-3),
    ("c2", "model_longest_context", {"device": "h200-sxm"}, 911_000, 5e-3),
    ("c2", "model_longest_context", {"model": "qwen2.5-7b"}, 1.05e6, 5e-3),
    ("d1", "materialised_memory_share", {}, 0.836, 1e-3),
    (
        "d1",
        "materialised_memory_share",
        {"device": "h100-sxm", "tokens": 4096, "head_dim": 128},
        0.826,
        1e-3,
    ),
    ("d2", "square_transfers", {}, 4, 0),
    ("d2", "square_transfers", {"extra_square_tensors": 1}, 5, 0),
    ("d4", "flash1_bytes", {}, 501 * MIB, 1e-3),
    ("d4", "saving", {}, 1.04, 5e-3),
    ("d4", "saving", {"tokens": 1024, "head_dim": 64}, 3.3, 0.02),
    ("e1", "saving", {"model": "gpt3-175b"}, 96, 0),
    ("e1", "saving", {"model": "gpt2-medium"}, 16, 0),
    ("e1", "saving", {"model": "llama-2-7b", "tp": 8}, 4, 0),
    ("e2", "query_heads_per_kv_head", {"model": "llama-2-70b"}, 8, 0),
    ("e2", "query_heads_per_kv_head", {"model": "qwen3-30b-a3b"}, 8, 0),
    ("e2", "query_heads_per_kv_head", {"model": "llama-3.1-405b"}, 16, 0),
    ("e3", "growth_with_query_heads", {}, 1, 0),
    ("e3", "growth_with_kv_heads", {}, 2, 0),
    ("f", "mha_over_gqa", {"devices": 1, "context": 2**20}, 8, 0.01),
    ("g1", "pairs", {}, 58, 0),
    ("g2", "windowed_growth", {}, 1, 0),
    ("g2", "whole_growth", {}, 2, 0),
    ("g3", "receptive_field", {}, 131_040, 0),
    ("h1", "longest_wavelength", {"base": 1e4}, 54_410, 1e-3),
    ("h1", "longest_wavelength", {}, 2.56e6, 1e-3),
    ("h1", "longest_wavelength", {"base": 1e6}, 5.06e6, 1e-3),
    ("h2", "reach", {}, 131_072, 0),
    ("h2", "reach", {"factor": 40}, 163_840, 0),
    ("h2", "attention_factor", {}, 1.3466, 1e-4),
    ("h2", "ntk_base", {"factor": 8}, 82_685, 1e-4),
    ("i", "selected_fraction", {}, 2048 / 131_072, 1e-12),
    ("i", "sparse_cache_bytes", {"context": 1000}, 1000 * (1152 + 132), 0),
    ("j", "state_bytes", {}, 11.9 * MIB, 5e-3),
    ("j", "cache_bytes", {}, 1 * GIB, 0),
    ("j", "cache_bytes", {"context": 32_768}, 16 * GIB, 0),
    ("k", "state_bytes", {}, 32.5 * MIB, 0),
    ("k", "work_growth", {}, 2, 1e-9),
    ("l", "long_filters", {}, 768, 0),
    ("l", "saving", {}, 257, 0.03),
    ("l", "parameters", {}, 2_430_272, 0),
    ("m", "multiplications", {}, 524_288, 0),
    ("m", "multiplications", {"order": 12}, 12 * 4096 ** (13 / 12), 1e-9),
    ("n", "cache_bytes", {}, 1.31 * TB, 1e-3),
    ("n", "paged_bytes", {"context": 1000}, 1008 * 131_072, 0),
    ("o", "saving", {}, 2.80, 1e-3),
    ("o", "weights_bytes", {}, 5_732_835_328, 0),
    ("o", "saving", {"model": "llama-2-70b"}, 3.77, 2e-3),
    ("n", "cache_bytes", {"model": "llama-4-scout-17b-16e-instruct"}, 0.49 * TB, 0.01),
    ("q", "attention_over_products", {"hidden": 12_288, "tokens": 2048}, 0.0139, 2e-3),
    ("q", "attention_over_products", {"hidden": 12_288}, 6.78, 2e-3),
    ("q", "attention_over_products", {}, 0.4165, 1e-3),
    ("q", "parameters", {"hidden": 12_288, "layers": 96}, 173_946_175_488, 0),
    ("r", "attention_years", {}, 8.4, 2e-3),
    ("r", "linear_hours", {}, 4.5, 0.2),
    ("r", "state_bits_per_token", {}, 1.36, 1e-3),
    ("s", "attention_ratio", {}, 64, 1e-3),
    ("s", "product_ratio", {}, 8, 1e-3),
]


@pytest.mark.parametrize(("claim_id", "figure", "controls", "expected", "tolerance"), GOLDENS)
def test_goldens(
    claim_id: str, figure: str, controls: dict[str, object], expected: float, tolerance: float
) -> None:
    found = value(claim_id, figure, **controls)
    assert found == pytest.approx(expected, rel=tolerance or 1e-15)


def test_every_claim_has_a_golden() -> None:
    untouched = {"p"}  # its figures are counts of what engines list
    assert {golden[0] for golden in GOLDENS} == set(VERDICTS) - untouched - {"d3"}


MOVED: list[tuple[str, dict[str, object], str]] = [
    ("a", {"context": 10_172}, "true"),
    ("a", {"model": "llama-2-7b", "context": 91_553}, "true"),
    ("b", {"context": 100_000}, "false"),
    ("c1", {"device": "h200-sxm"}, "true"),
    ("c2", {"device": "l4"}, "true"),
    ("d4", {"tokens": 1024, "head_dim": 64}, "true"),
    ("e1", {"model": "gpt2-medium"}, "true"),
    ("e2", {"model": "llama-2-70b"}, "true"),
    ("g1", {"window": 1}, "true"),
    ("g2", {"context": 1024}, "false"),
    ("h1", {"base": 10_000}, "depends"),
    ("h2", {"factor": 4}, "false"),
    ("m", {"order": 12}, "true"),
    ("n", {"context": 100_000}, "true"),
    ("o", {"weights": "bf16"}, "false"),
    ("p", {"engine": "vllm-0.33"}, "depends"),
    ("r", {"patience_h": 1}, "false"),
]


@pytest.mark.parametrize(("claim_id", "controls", "expected"), MOVED)
def test_assumptions_move_verdicts(
    claim_id: str, controls: dict[str, object], expected: str
) -> None:
    assert verdict(claim_id) != expected
    assert verdict(claim_id, **controls) == expected


@pytest.mark.parametrize("claim_id", sorted(UNSUPPORTED))
def test_no_assumption_makes_an_unsupported_claim_true(claim_id: str) -> None:
    claim = next(c for c in all_claims() if c.id == claim_id)
    for control in claim.controls:
        for other in others(control):
            try:
                assert verdict(claim_id, **{control.name: other}) in {"false", "unsupported"}
            except PlannerError:
                continue


def others(control: Control) -> Iterator[object]:
    """Other values of a control, near its default."""
    if control.choices is not None:
        yield from [choice for choice in control.choices() if choice != control.default][:12]
        return
    assert isinstance(control.default, int | float)
    for factor in (2, 0.5, 4, 0.25, 8, 0.1):
        scaled = control.default * factor
        number = round(scaled) if control.whole else scaled
        if control.least <= number <= control.most and number != control.default:
            yield number
    if control.default == 0:
        yield 1


CONTROLS = [(claim, control) for claim in all_claims() for control in claim.controls]


@pytest.mark.parametrize(
    ("claim", "control"), CONTROLS, ids=[f"{claim.id}-{c.name}" for claim, c in CONTROLS]
)
def test_every_control_moves_its_card(claim: Claim, control: Control) -> None:
    before = evaluate(claim.id).to_dict()
    for other in others(control):
        try:
            after = evaluate(claim.id, **{control.name: other}).to_dict()
        except PlannerError:
            continue
        before_figures = [(f["figure"], f["value"]) for f in before["figures"]]
        after_figures = [(f["figure"], f["value"]) for f in after["figures"]]
        if before_figures != after_figures or before["verdict"] != after["verdict"]:
            return
    pytest.fail("no value of this control changes anything")


@pytest.mark.parametrize("claim_id", VERDICTS)
def test_cards_are_plain_data_with_known_sources(claim_id: str) -> None:
    data = evaluate(claim_id).to_dict()
    again = json.loads(json.dumps(data, allow_nan=False))
    assert again["id"] == claim_id
    assert all(math.isfinite(f["value"]) for f in again["figures"])
    cited = evaluate(claim_id).cited
    assert {source["id"] for source in again["sources"]} == set(cited)
    assert set(cited) <= set(PUBLICATIONS)
    for figure in again["figures"]:
        assert figure["formula"]
        assert figure["substituted"]
        assert figure["unit"]


def test_every_quoted_measurement_is_listed_on_its_card() -> None:
    quoted = {name for claim in all_claims() for name in claim.quotes}
    assert quoted == set(PUBLISHED)
    for entry in evaluate("f").to_dict()["quoted"]:
        assert entry["verified"] is False
        assert entry["source"] == "ainslie-2023"


def test_published_figures_cite_known_sources() -> None:
    assert {figure.source for figure in PUBLISHED.values()} <= set(PUBLICATIONS)


def test_reference_model_sizes_are_those_of_the_catalog() -> None:
    terms = evaluate("b").figure("models_above_1_tb").terms
    above = {term.label: bool(term.value) for term in terms}
    assert above["GPT-3 175B"]
    assert not above["Llama 3.1 8B"]


BAD: list[dict[str, object]] = [
    {"context": 0},
    {"context": -1},
    {"context": "x"},
    {"context": float("nan")},
    {"context": 2**40},
    {"context": "1" + "0" * 100},
    {"context": True},
    {"context": None},
    {"model": "no-such-model"},
    {"model": "../../etc/passwd"},
    {"model": ""},
    {"kv_cache_dtype": "fp7"},
    {"nonsense": 1},
]


@pytest.mark.parametrize("controls", BAD, ids=str)
def test_bad_assumptions_are_typed_errors(controls: dict[str, object]) -> None:
    with pytest.raises(PlannerError) as found:
        evaluate("a", **controls)
    assert "\n" not in str(found.value)


@pytest.mark.parametrize("share", ["x", "-1", "nan", "inf", "1e30"])
def test_bad_fractions_are_typed_errors(share: str) -> None:
    with pytest.raises(ScenarioError):
        evaluate("c2", memory_fraction=share)


def test_contradictions_are_typed_errors() -> None:
    with pytest.raises(ScenarioError, match="divisor"):
        evaluate("e3", kv_heads=7)
    with pytest.raises(ScenarioError, match="retrieved"):
        evaluate("s", tokens=10, retrieved=20)
    with pytest.raises(ScenarioError, match="multiple"):
        evaluate("q", hidden=1000)


@pytest.mark.parametrize("claim_id", ["a", "b", "c2", "e1", "e2", "f", "g2", "g3", "i", "n", "s"])
def test_models_without_keys_are_no_choice(claim_id: str) -> None:
    with pytest.raises(UnknownNameError):
        evaluate(claim_id, model="mamba2-2.7b")


@pytest.mark.parametrize("claim_id", ["e1", "e2"])
def test_models_without_heads_of_keys_are_no_choice(claim_id: str) -> None:
    with pytest.raises(UnknownNameError):
        evaluate(claim_id, model="deepseek-v3")


def test_retrieval_from_compressed_entries() -> None:
    assert value("s", "attention_ratio", model="deepseek-v4-flash") > 1


def test_weights_are_those_of_any_model() -> None:
    assert value("o", "saving", model="mamba2-2.7b") > 1
    with pytest.raises(UnknownNameError):
        evaluate("r", state_model="llama-3.1-8b")


def test_reference_models_are_of_the_catalog() -> None:
    assert [model.id for model in references()] == list(REFERENCE_MODELS)


def test_unknown_claims_are_named() -> None:
    with pytest.raises(UnknownNameError):
        evaluate("zz")


# --- the command line ---


def call(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = run(["claims", *arguments])
    out, err = capfd.readouterr()
    return code, out, err


def test_all_claims_in_both_formats(capfd: pytest.CaptureFixture[str]) -> None:
    code, out, err = call(capfd, "--format", "json")
    data: list[dict[str, Any]] = json.loads(out)
    assert (code, err) == (OK, "")
    assert [card["id"] for card in data] == [claim.id for claim in all_claims()]
    code, table, _ = call(capfd)
    assert code == OK
    for claim in all_claims():
        assert f"{claim.id}  {claim.title}: " in table


def test_one_claim_is_one_object(capfd: pytest.CaptureFixture[str]) -> None:
    code, out, err = call(capfd, "a", "--format", "json")
    card = json.loads(out)
    assert (code, err) == (OK, "")
    assert card["verdict"] == "false"
    assert card["figures"][0]["value"] == 154_618_822_656
    assert {each["name"] for each in card["assumptions"]} == {"model", "context", "kv_cache_dtype"}


def test_a_letter_stands_for_its_parts(capfd: pytest.CaptureFixture[str]) -> None:
    _, out, _ = call(capfd, "d", "--format", "json")
    assert [card["id"] for card in json.loads(out)] == ["d1", "d2", "d3", "d4"]


def test_assumptions_are_set(capfd: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capfd, "a", "--set", "context=2K", "--set", "kv_cache_dtype=fp8")
    assert code == OK
    assert "4.832 GB" in out
    assert "default 32,768" in out


def test_the_verdict_comes_before_what_was_claimed(capfd: pytest.CaptureFixture[str]) -> None:
    _, out, _ = call(capfd)
    for block in out.split("\n\n"):
        card_id = block.split()[0]
        lines = block.splitlines()
        assert any(word in lines[0] for word in ("TRUE", "FALSE", "DEPENDS", "UNSUPPORTED"))
        without = "claimed, without support: " if card_id in UNSUPPORTED else "claimed: "
        assert lines[1].strip().startswith(without)


@pytest.mark.parametrize(
    "arguments",
    [
        ["zz"],
        ["a", "--set", "context"],
        ["a", "--set", "=5"],
        ["a", "--set", "context=x"],
        ["a", "--set", "size=5"],
        ["--set", "context=5"],
        ["c", "--set", "device=l4"],
        ["a", "--format", "xml"],
        ["a", "b"],
    ],
)
def test_bad_calls_are_one_paragraph(
    arguments: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    code, out, err = call(capfd, *arguments)
    assert (code, out) == (BAD_INPUT, "")
    assert err.strip()
    assert "\n" not in err.strip()


def test_answer_without_an_id_is_everything() -> None:
    assert len(answer(None)) == len(all_claims())
