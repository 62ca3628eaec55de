"""Mixers compared on one backbone: the same figures as a plan, crossovers to the token."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner import Scenario, load_hardware, load_model, plan
from planner.charts import comparison_charts
from planner.cli import BAD_INPUT, OK, run
from planner.comparison import METRICS, Comparison, compare_variants
from planner.crossovers import lower_ranges
from planner.errors import LayoutError, ScenarioError
from planner.model import Step
from planner.variants import VARIANTS, Exchange, variant

BASE = ["-m", "llama-3.1-8b", "-d", "h100-sxm", "--sequences", "16"]


def scenario(model: str = "llama-3.1-8b", **more: object) -> Scenario:
    settings: dict[str, object] = {"context": 8192, "sequences": 16}
    hardware = load_hardware("h100-sxm", int(str(more.pop("devices", 1))))
    settings |= more
    return Scenario(model=load_model(model), hardware=hardware, **settings)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def compared() -> Comparison:
    return compare_variants(scenario(), VARIANTS, longest=2**20)


@pytest.mark.parametrize("name", ["MHA", "MLA", "SWA", "SSM", "HYBRID"])
def test_figures_are_those_of_a_plan(compared: Comparison, name: str) -> None:
    """A plan of the exchanged model, with nothing to do with this module."""
    at = int(np.flatnonzero(compared.contexts == 8192)[0])
    curve = next(curve for curve in compared.curves if curve.name == name)
    model = variant(load_model("llama-3.1-8b"), name)  # type: ignore[arg-type]
    answer = plan(
        Scenario(model=model, hardware=load_hardware("h100-sxm"), context=8192, sequences=16)
    )
    decode = answer.decode
    assert curve.values["cache_bytes"][at] * 16 == answer.memory.cache_bytes
    assert curve.values["flop_per_token"][at] * 16 == pytest.approx(float(decode.flop))
    moved = float(decode.read_bytes + decode.write_bytes)
    assert curve.values["bytes_per_token"][at] * 16 == pytest.approx(moved)
    assert curve.values["step_time_s"][at] == pytest.approx(float(decode.floor_s))


@pytest.mark.parametrize("label", ["SSM", "hybrid 7:1", "SWA"])
def test_crossovers_are_exact_to_the_token(compared: Comparison, label: str) -> None:
    own, other = (
        next(c for c in compared.curves if c.label == wanted).model
        for wanted in ("Llama 3.1 8B", label)
    )
    execution = compared.deployment.execution
    start = compared.crossover(label, "cache_bytes").start
    assert start is not None
    for context, better in ((start - 1, False), (start, True)):
        sizes = [model.cache_bytes(context, execution) for model in (own, other)]
        assert (sizes[1] < sizes[0]) is better
    start = compared.crossover(label, "flop_per_token").start
    assert start is not None
    for context, better in ((start - 1, False), (start, True)):
        work = [
            sum(op.flop * n for _, op, n in model.operations(Step.decode(16, context), execution))
            for model in (own, other)
        ]
        assert (work[1] < work[0]) is better


def test_the_factor_at_the_end_is_that_of_the_curves(compared: Comparison) -> None:
    for each in compared.crossovers:
        other = next(c for c in compared.curves if c.label == each.label)
        own = compared.curves[0].values[each.metric][-1]
        assert each.factor_at_longest == pytest.approx(own / other.values[each.metric][-1])


def test_an_ssm_wins_at_long_context_and_mha_never(compared: Comparison) -> None:
    assert all(compared.crossover("MHA", metric).start is None for metric in METRICS)
    for metric in METRICS:
        found = compared.crossover("SSM", metric)
        assert found.start is not None
        assert found.end is None
        assert found.factor_at_longest > 10


@given(turns=st.lists(st.integers(300, 60_000), min_size=0, max_size=3, unique=True))
def test_ranges_are_those_of_a_piecewise_curve(turns: list[int]) -> None:
    edges = sorted(turns)
    grid = np.unique(np.concatenate([np.geomspace(256, 65_536, 9).round(), *[[t] for t in edges]]))
    if any(np.sum((grid[:-1] < edge) & (edge <= grid[1:])) != 1 for edge in edges):
        return

    def difference(points: np.ndarray) -> np.ndarray:
        sides = sum((points >= edge).astype(int) for edge in edges) if edges else 0 * points
        return np.where(np.asarray(sides) % 2, -1.0, 1.0)

    found = lower_ranges(difference, lambda points: points, grid)
    expected = [
        (start, end - 1 if end else None)
        for start, end in zip(edges[::2], [*edges[1::2], None][: len(edges[::2])], strict=True)
    ]
    assert [(r.start, r.end) for r in found] == expected


def test_charts_hold_the_curves_and_their_crossovers(compared: Comparison) -> None:
    charts = comparison_charts(compared)
    assert len(charts) == len(METRICS)
    for chart, metric in zip(charts, METRICS, strict=True):
        lines = [s for s in chart.series if s.mark == "line"]
        assert [s.name for s in lines] == [curve.label for curve in compared.curves]
        assert all(len(s.x) <= 26 and len(s.x) == len(s.y) == len(s.texts) for s in lines)
        marked = {s.name.rpartition(" from ")[0]: s.x[0] for s in chart.series if s.mark == "point"}
        for each in compared.crossovers:
            inside = each.start is not None and each.start > compared.contexts[0]
            if each.metric == metric:
                assert marked.get(each.label) == (each.start if inside else None)
        assert "crossover" in chart.alt.lower() or "No line" in chart.alt


def test_layouts_hold_for_all_variants() -> None:
    found = compare_variants(scenario(devices=4, tp=4), ("MHA", "SSM"))
    single = compare_variants(scenario(), ("MHA", "SSM"))
    for split, whole in zip(found.curves, single.curves, strict=True):
        ratio = whole.values["step_time_s"] / split.values["step_time_s"]
        assert (ratio > 1.5).all()
        assert (split.values["cache_bytes"][:20] == whole.values["cache_bytes"][:20]).all()


def test_ranks_that_do_not_divide_a_variant_are_refused() -> None:
    with pytest.raises(LayoutError, match="as MHA"):
        compare_variants(scenario("mamba2-2.7b", devices=8, tp=8), ("SSM", "MHA"))


@pytest.mark.parametrize("longest", [0, 1, -5, 2**40])
def test_a_range_without_room_is_refused(longest: int) -> None:
    with pytest.raises(ScenarioError):
        compare_variants(scenario(), ("SSM",), longest=longest)


def test_one_backbone_many_windows() -> None:
    windows = [Exchange(name="SWA", size=size) for size in (256, 1024, 4096)]
    found = compare_variants(scenario(), windows)
    starts = [found.crossover(f"SWA {w.size:,}", "cache_bytes").start for w in windows]
    assert starts == [257, 1025, 4097]


# --- the command line ---


def call(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = run(["compare", *arguments])
    out, err = capfd.readouterr()
    return code, out, err


def test_compare_prints_one_object(capfd: pytest.CaptureFixture[str]) -> None:
    code, out, err = call(capfd, *BASE, "--variants", "GQA:4,ssm", "--format", "json")
    assert (code, err) == (OK, "")
    data = json.loads(out)
    assert [each["label"] for each in data["variants"]] == ["Llama 3.1 8B", "GQA 4", "SSM"]
    for each in data["variants"]:
        assert all(len(each[metric]) == len(data["contexts_tokens"]) for metric in METRICS)
    assert {each["metric"] for each in data["crossovers"]} == set(METRICS)


def test_compare_prints_a_table(capfd: pytest.CaptureFixture[str]) -> None:
    code, out, err = call(capfd, *BASE, "--variants", "MHA,SSM", "--longest", "1M")
    assert (code, err) == (OK, "")
    assert "1,048,576" in out
    assert "from 1,037" in out
    assert "never" in out


@pytest.mark.parametrize(
    "arguments",
    [
        [*BASE],
        [*BASE, "--variants", ""],
        [*BASE, "--variants", "XYZ"],
        [*BASE, "--variants", "GQA:5"],
        [*BASE, "--variants", "SSM", "--longest", "x"],
        [*BASE, "--variants", "SSM", "--longest", "1"],
        ["-m", "gpt2", "-d", "h100-sxm", "-n", "5", "--tp", "5", "--variants", "MQA"],
    ],
)
def test_bad_comparisons_are_one_paragraph(
    arguments: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    code, out, err = call(capfd, *arguments)
    assert (code, out) == (BAD_INPUT, "")
    assert err.strip()
    assert "\n" not in err.strip()
