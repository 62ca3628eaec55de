"""From a load to a fleet: the search against trying everything, and the answers of the commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from planner import cli, load_hardware, load_model
from planner.errors import ScenarioError
from planner.fleet import Fleet
from planner.service import Service, ServiceQuestion
from planner.serving.arrivals import Poisson
from planner.serving.front import pareto
from planner.serving.objectives import MEETS, Objectives
from planner.serving.presets import load_preset
from planner.serving.search import SettingsSpace
from planner.serving.terms import Terms


def service(rate: float = 30.0, **fields: Any) -> Service:
    question = {
        "model": load_model("llama-3.1-8b"),
        "hardware": (load_hardware("h100-sxm"), load_hardware("l40s")),
        "workload": load_preset("chat").workload(Poisson(rate)),
        "objectives": Objectives(ttft_s=0.5, tpot_s=0.03),
        "tp": (1, 2),
        "space": SettingsSpace(
            max_num_seqs=(16, 64, 256), max_num_batched_tokens=(2048, 8192), replica_steps=6
        ),
        **fields,
    }
    return Service(question=ServiceQuestion(**question))


@pytest.fixture(scope="module")
def asked() -> Service:
    return service()


def test_the_optimum_is_that_of_trying_everything(asked: Service) -> None:
    """Each candidate answered by itself, the cheapest that meets the objectives taken."""
    candidates, search = asked.candidates, asked.search
    assert len(candidates) == 4 * 3 * 2 * 6
    best = None
    for place in range(len(candidates)):
        found = search.capacity_of(candidates, place, asked.rate_per_s)
        reason, _ = asked.question.objectives.judge(found)
        assert found.ttft_s == pytest.approx(candidates.ttft_s[place], rel=0.03)
        assert found.tpot_s == pytest.approx(candidates.tpot_s[place], rel=0.03)
        rank = (float(candidates.cost[place]), float(found.utilisation), place)
        if int(reason) == MEETS and (best is None or rank[0] < best[0]):
            best = rank
    assert best is not None
    assert candidates.cost[candidates.best_order()[0]] == best[0]


def test_the_order_is_met_first_then_cost(asked: Service) -> None:
    found = asked.candidates
    order = found.best_order()
    met = found.reason[order] == MEETS
    assert met[: met.sum()].all()
    assert (np.diff(found.cost[order][met]) >= 0).all()
    assert (np.diff(found.miss[order][~met]) >= 0).all()


def test_more_load_takes_no_fewer_devices() -> None:
    costs = []
    for rate in (5.0, 20.0, 80.0, 320.0):
        found = service(rate).candidates
        costs.append(float(found.cost[found.best_order()[0]]))
    assert costs == sorted(costs)
    assert costs[-1] > costs[0]


def test_prices_decide_where_all_are_known() -> None:
    from planner.serving.economics import Price

    cheap = {"h100-sxm": Price(usd_per_h=10.0), "l40s": Price(usd_per_h=0.1)}
    fleet = Fleet(service=service(prices=cheap), requests=1500, terms=Terms(pue=1.2))
    assert fleet.row(fleet.shown)["device"] == "l40s"
    money = fleet.to_dict()["economics"]
    assert money["usd_per_h"] == pytest.approx(0.1 * fleet.row(fleet.shown)["devices"])
    assert 0 < money["usd_per_input_mtok"] < money["usd_per_output_mtok"]
    plain = Fleet(service=service(), requests=1500)
    assert plain.row(plain.shown)["usd_per_h"] is None


def test_every_loser_has_a_reason(asked: Service) -> None:
    fleet = Fleet(service=asked, requests=1500)
    rows = fleet.alternatives()
    assert [row["lost"] is None for row in rows] == [True, *([False] * (len(rows) - 1))]
    data = fleet.to_dict()
    json.dumps(data, allow_nan=False)
    assert data["verdict"]["met"]
    assert (
        data["sensitivity"][0]["utilisation"] >= data["sensitivity"][-1]["utilisation"]
        or not (data["sensitivity"][0]["holds"])
    )
    assert data["break_points"]


def test_the_front_is_not_dominated(asked: Service) -> None:
    front = asked.search.front()
    speeds = [point.tokens_per_s_per_user for point in front]
    volumes = [point.tokens_per_s_per_device for point in front]
    assert speeds == sorted(speeds, reverse=True)
    assert volumes == sorted(volumes)
    assert pareto(front) == front


def test_objectives_that_nothing_meets_are_named() -> None:
    fleet = Fleet(service=service(objectives=Objectives(tpot_s=1e-4)), requests=1000)
    assert not fleet.met
    (missed,) = fleet.unmet()
    assert missed["objective"] == "tpot_s"
    assert missed["nearest_s"] > missed["asked_s"]
    assert "TPOT of 0.0001 s is missed by" in fleet.verdict()
    assert "nearest" in fleet.verdict()


def test_a_model_that_fits_nowhere() -> None:
    asked = service(model=load_model("llama-3.1-405b"), hardware=(load_hardware("l40s"),))
    assert asked.rejected
    with pytest.raises(ScenarioError, match="no layout can serve"):
        _ = asked.search


CHAT = ["-m", "llama-3.1-8b", "-d", "h100-sxm", "--tp", "1", "--workload", "chat"]
FEW = ["--max-num-seqs", "128", "--max-num-batched-tokens", "8192", "--requests", "1000"]


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = cli.run(list(arguments))
    out, err = capsys.readouterr()
    return code, out, err


def test_size_says_how_many(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [*CHAT, *FEW, "--rate", "60", "--tpot-s", "0.05", "--growth", "0.1"]
    code, out, _ = run(capsys, "size", *arguments, "--format", "json")
    answer = json.loads(out)
    assert code == 0
    assert answer["fleet"]["devices"] >= 2
    assert answer["growth"]["months"][12]["devices"] > answer["fleet"]["devices"]
    code, out, _ = run(capsys, "size", *arguments)
    assert code == 0
    assert answer["verdict"]["sentence"] in out


def test_size_ends_with_four_where_nothing_meets(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "size", *CHAT, *FEW, "--rate", "5", "--ttft-s", "0.0001")
    assert code == 4
    assert "TTFT of 0.0001 s is missed by" in out


def test_simulate_names_overload(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "simulate", *CHAT, *FEW, "--rate", "500", "--format", "json")
    assert code == 4
    assert err.startswith("overload: 500 requests/s are asked and at most")
    assert json.loads(out)["overloaded"]
    code, out, err = run(capsys, "simulate", *CHAT, *FEW, "--rate", "5", "--ttft-s", "2")
    assert (code, err) == (0, "")
    assert "TTFT" in out


def test_simulate_other_modes_and_users(capsys: pytest.CaptureFixture[str]) -> None:
    for extra in (
        ["--rate", "3", "--mode", "static"],
        ["--rate", "3", "--mode", "disaggregated"],
        ["--users", "12"],
        ["--users", "12", "--think-s", "3", "--replicas", "2"],
    ):
        code, out, _ = run(capsys, "simulate", *CHAT, *FEW, *extra, "--format", "json")
        assert code == 0, extra
        assert json.loads(out)["output_tokens_per_s"] > 0


def test_a_trace_is_replayed_and_a_bad_one_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "trace.csv"
    file.write_text("arrival_s,prompt_tokens,output_tokens\n0,100,20\n1,200,30\n2,50,9\n")
    base = ["simulate", "-m", "llama-3.1-8b", "-d", "h100-sxm", "--tp", "1", *FEW]
    assert run(capsys, *base, "--trace", str(file))[0] == 0
    file.write_text("arrival_s,prompt_tokens,output_tokens\n0,100,20\n-1,200,30\n")
    code, out, err = run(capsys, *base, "--trace", str(file))
    assert (code, out) == (2, "")
    assert "line 3" in err
    assert "negative" in err


@pytest.mark.parametrize(
    "wrong",
    [
        ["--rate", "0"],
        ["--rate", "5", "--users", "5"],
        [],
        ["--users", "5"],
        ["--rate", "5", "--price", "h100-sxm"],
        ["--rate", "5", "--isl", "100"],
        ["--rate", "5", "--percentile", "100"],
        ["--rate", "5", "--cluster", "remote"],
        ["--rate", "5", "-d", "l40s"],
    ],
)
def test_bad_questions_are_one_paragraph(
    capsys: pytest.CaptureFixture[str], wrong: list[str]
) -> None:
    code, out, err = run(capsys, "size", *CHAT, *FEW, *wrong)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1


def test_sweep_answers_a_grid(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["-m", "llama-3.1-8b", "-d", "h100-sxm", "--contexts", "4K,8K"]
    arguments += ["--many-sequences", "1,16", "--format", "json"]
    code, out, _ = run(capsys, "sweep", *arguments)
    assert code == 0
    assert [row["sequences"] for row in json.loads(out)["rows"]] == [1, 16, 1, 16]


def test_context_and_data_parallel_attention_are_searched() -> None:
    """Replicas that share experts come in whole groups; the optimum is that of trying all."""
    found = service(
        rate=8.0,
        model=load_model("deepseek-v3"),
        hardware=(load_hardware("8x-h200-sxm"),),
        objectives=Objectives(ttft_s=3.0, tpot_s=0.1),
        tp=(1, 8),
        ep=(8,),
        cp=(1, 2),
        attention_dp=(1, 4, 8),
    )
    names = [each.id for each in found.deployables]
    assert any("adp8" in name for name in names)
    assert any("cp2" in name for name in names)
    assert found.rejected
    candidates, search = found.candidates, found.search
    groups = np.array([each.group for each in found.deployables])[candidates.deployable]
    assert (candidates.replicas % groups == 0).all()
    costs = [
        float(candidates.cost[place])
        for place in range(len(candidates))
        if int(found.question.objectives.judge(search.capacity_of(candidates, place, 8.0))[0])
        == MEETS
    ]
    assert costs
    assert candidates.cost[candidates.best_order()[0]] == min(costs)
