"""The report of a fleet: every part in every format, figures as in the JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from planner import cli
from planner.report import FORMATS

SEARCH = (
    "search -m llama-3.1-8b -d h100-sxm -d l40s --tp 1 --workload chat --rate 20 --tpot-s 0.05",
    "--max-num-seqs 64 --max-num-batched-tokens 2048 --requests 800 --pue 1.2 --growth 0.05",
    "--price h100-sxm=2.5 --price l40s=0.8 --buy h100-sxm=35000 --buy l40s=9000",
    "--usd-per-kwh 0.1",
)
PLAN = "report -m llama-3.1-8b -d h100-sxm --workload chat --rate 5 --tpot-s"
ASKED = " ".join(SEARCH).split()
PARTS = (
    "Load and objectives",
    "Alternatives and why they lost",
    "Cost and energy",
    "Owned against rented",
    "What would change the answer",
    "Growth",
    "Start one replica",
)


@pytest.mark.parametrize("form", FORMATS)
def test_a_fleet_is_written_in_every_format(form: str, tmp_path: Path) -> None:
    file = tmp_path / f"fleet.{form}"
    if form in ("pdf", "xlsx", "html"):
        pytest.importorskip({"pdf": "typst", "xlsx": "xlsxwriter", "html": "jinja2"}[form])
    assert cli.run([*ASKED, "--report", str(file), "-o", str(tmp_path / "out.txt")]) == 0
    if form in ("md", "html"):
        text = file.read_text(encoding="utf-8")
        assert all(part in text for part in PARTS)
        assert "vllm serve meta-llama/Llama-3.1-8B" in text
    if form == "json":
        found = json.loads(file.read_text(encoding="utf-8"))
        own = found["economics"]["owned"]
        assert own["rented_usd"] > 0
        assert [row["year"] for row in own["spent_by_year"]] == [1, 2, 3, 4]
        assert found["growth"]["next_purchase_month"] >= 0
    assert file.stat().st_size > 1000


def test_a_plan_with_a_load_carries_its_fleet(tmp_path: Path) -> None:
    file = tmp_path / "plan.md"
    asked = [*PLAN.split(), "0.05"]
    assert cli.run([*asked, "--requests", "800", "-o", str(file)]) == 0
    text = file.read_text(encoding="utf-8")
    assert "## Verdict" in text
    assert "## Fleet" in text
    assert cli.run([*asked[:5], "-o", str(file)]) == 0
    assert "## Fleet" not in file.read_text(encoding="utf-8")
    asked[-1] = "0.00001"
    assert cli.run([*asked, "--requests", "800", "-o", str(file)]) == 4
