"""The page "Claims": every card with its verdict, its controls and how it came about."""

from __future__ import annotations

import re
from typing import Any

import pytest

from planner.claims import all_claims, evaluate
from planner.claims.references import PUBLICATIONS
from planner.ui.markdown import plain

testing = pytest.importorskip("streamlit.testing.v1", reason="the extra 'ui' is not installed")


def open_page(**query: str) -> Any:
    def script() -> None:
        from planner.ui import claims

        claims.page()

    app = testing.AppTest.from_function(script, default_timeout=60)
    for key, value in query.items():
        app.query_params[key] = value
    return app.run()


def texts(app: Any) -> str:
    assert not app.exception
    return "\n".join(element.value for element in app.markdown)


def test_every_claim_is_a_card_with_its_verdict_in_words() -> None:
    text = texts(open_page())
    for claim in all_claims():
        card = evaluate(claim.id)
        assert plain(claim.said) in text
        assert plain(card.finding.explanation) in text
        word = {"unsupported": "No support"}.get(card.finding.verdict, card.finding.verdict.title())
        ruling = plain(card.finding.ruling)
        if ruling.startswith(card.finding.verdict):
            ruling = ruling[0].upper() + ruling[1:]
        else:
            ruling = f"{word} – {ruling}"
        assert f"**{ruling}.** {plain(card.finding.explanation)}" in text


def test_a_claim_without_support_never_stands_as_a_fact() -> None:
    """What was said appears once, quoted, and marked as claimed without support."""
    lines = texts(open_page()).splitlines()
    for claim in all_claims():
        said = [line for line in lines if plain(claim.said) in line]
        assert len(said) == 1
        if claim.on_record == "unsupported":
            assert said[0].startswith("*Claimed, without support:* “")
        else:
            assert said[0].startswith("*Claimed:* “")


def test_a_control_moves_its_card_and_no_other() -> None:
    app = open_page(claims_q="GPT-3")
    assert "154.6 GB" in texts(app)
    app.text_input(key="claim_a_context").set_value("2K").run()
    text = texts(app)
    assert "9.664 GB" in text
    assert "154.6 GB" not in text
    app.selectbox(key="claim_a_kv_cache_dtype").set_value("fp8").run()
    assert "4.832 GB" in texts(app)


@pytest.mark.parametrize("bad", ["x", "-1", "1e30", "1" + "0" * 30, "NaN", ""])
def test_bad_input_leaves_the_card_and_names_the_input(bad: str) -> None:
    app = open_page(claims_q="GPT-3")
    app.text_input(key="claim_a_context").set_value(bad).run()
    assert not app.exception
    assert "context" in app.error[0].value
    assert "154.6 GB" in texts(app)


def test_the_verdict_filters() -> None:
    app = open_page(claims_verdict="No support")
    expected = [c for c in all_claims() if evaluate(c.id).finding.verdict == "unsupported"]
    assert [h.value for h in app.subheader] == [plain(c.title) for c in expected]


def test_nothing_found_is_said() -> None:
    app = open_page(claims_q="no such words")
    assert not app.exception
    assert app.info[0].value


def test_every_control_is_a_widget() -> None:
    app = open_page()
    keys = {w.key for w in (*app.text_input, *app.selectbox)}
    for claim in all_claims():
        for control in claim.controls:
            assert f"claim_{claim.id}_{control.name}" in keys


def test_how_computed_shows_formula_and_numbers() -> None:
    app = open_page(claims_q="GPT-3")
    codes = "\n".join(code.value for code in app.code)
    for each in evaluate("a").finding.figures:
        assert each.formula in codes
        assert each.substituted in codes


def test_sources_have_addresses() -> None:
    captions = "\n".join(caption.value for caption in open_page().caption)
    for name in ("dao-2022", "kwon-2023", "frantar-2022"):
        number = re.search(r"arXiv:([\d.]+)", PUBLICATIONS[name].publisher or "")
        assert number is not None
        assert f"arxiv.org/abs/{number[1]}" in captions
