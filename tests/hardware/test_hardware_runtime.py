"""Memory that the driver and the collectives take."""

import pytest
import yaml

from planner.errors import SpecError
from planner.hardware import load_runtime
from planner.spec_folders import folder

MIB = 2**20


def test_collectives_are_aiconfigurators():
    # aiconfigurator @095f58a5: nccl_mem {1: 0, 2: 358612992, 4: 411041792, 8: 411041792}
    runtime = load_runtime()
    sizes = {ranks: runtime.collective_bytes(ranks) for ranks in (1, 2, 3, 4, 8, 16, 65_536)}
    assert sizes[1] == 0
    assert sizes[2] == 358_612_992
    assert sizes[3] == sizes[4] == sizes[8] == sizes[16] == sizes[65_536] == 411_041_792


def test_collectives_never_shrink_with_ranks():
    runtime = load_runtime()
    sizes = [runtime.collective_bytes(ranks) for ranks in range(1, 65)]
    assert sizes == sorted(sizes)


def test_context_is_the_largest_observation():
    runtime = load_runtime()
    contexts = [runtime.explain_figure(key).value for key in runtime.figures if "context" in key]
    assert runtime.context_bytes == max(contexts) == 616 * MIB


@pytest.mark.parametrize("ranks", [1, 2, 3, 8])
def test_explanation_adds_up(ranks):
    runtime = load_runtime()
    explanation = runtime.explain(ranks)
    assert explanation.value == runtime.context_bytes + runtime.collective_bytes(ranks)
    assert sum(term.value for term in explanation.terms) == explanation.value
    assert set(explanation.sources) <= set(runtime.sources)
    assert "floors" in explanation.meaning


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
