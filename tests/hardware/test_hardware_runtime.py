"""Memory that the driver and the collectives take."""

import pytest
import yaml

from planner.errors import SpecError
from planner.hardware import load_runtime
from planner.spec_folders import folder

MIB = 2**20


def test_context_and_collectives_are_those_of_start_up_logs():
    # llm-d-planner pull request 205, vLLM 0.19 on H100, non-torch memory at initialisation:
    # 0.51 GiB on one rank, 1.51 on two, 1.53 on four.
    runtime = load_runtime()
    printed = {1: 0.51, 2: 1.51, 4: 1.53, 8: 1.53, 65_536: 1.53}
    for ranks, gib in printed.items():
        held = runtime.context_bytes + runtime.collective_bytes(ranks)
        assert held / 2**30 == pytest.approx(gib, abs=1e-6)
    assert runtime.collective_bytes(3) == runtime.collective_bytes(4)


def test_collectives_never_shrink_with_ranks():
    runtime = load_runtime()
    sizes = [runtime.collective_bytes(ranks) for ranks in range(1, 65)]
    assert sizes == sorted(sizes)


def test_context_lies_within_the_observations():
    runtime = load_runtime()
    keys = [key for key in runtime.figures if key.startswith("observations.context")]
    seen = [runtime.explain_figure(key).value for key in keys]
    assert min(seen) == 256 * MIB
    assert max(seen) == 616 * MIB
    assert min(seen) < runtime.context_bytes < max(seen)


@pytest.mark.parametrize("ranks", [1, 2, 3, 8])
def test_explanation_adds_up(ranks):
    runtime = load_runtime()
    explanation = runtime.explain(ranks)
    assert explanation.value == runtime.context_bytes + runtime.collective_bytes(ranks)
    assert sum(term.value for term in explanation.terms) == explanation.value
    assert set(explanation.sources) <= set(runtime.sources)
    assert "stand in" in explanation.meaning


def test_every_figure_is_cited_and_every_source_used():
    runtime = load_runtime()
    assert {figure.source for figure in runtime.figures.values()} == set(runtime.sources)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d["context"].update(value="616"), "text where a number belongs"),
        (lambda d: d["context"].update(value=-1), "beyond what hardware can be"),
        (lambda d: d["context"].update(source="nobody"), "list of sources"),
        (lambda d: d["collectives"].update({"x": dict(d["context"])}), "collectives"),
        (lambda d: d.update(collectives={}), "at least 1"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path, monkeypatch, change, words):
    data = yaml.safe_load((folder("hardware_specs") / "runtime.yaml").read_text())
    change(data)
    (tmp_path / "hardware_specs").mkdir()
    (tmp_path / "hardware_specs" / "runtime.yaml").write_text(yaml.safe_dump(data))
    monkeypatch.setenv("PLANNER_SPEC_PATH", str(tmp_path))
    with pytest.raises(SpecError, match=r"runtime\.yaml") as caught:
        load_runtime()
    assert words in str(caught.value)
