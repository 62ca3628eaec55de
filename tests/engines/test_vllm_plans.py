"""Pools of vLLM against the plans that its own planner returned."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from planner import EngineSettings, PlannerError, Scenario, load_hardware, load_model, plan
from planner.engines.allocation import Allocation
from planner.importers.huggingface import import_config
from planner.model import Model
from planner.plan import Plan

DATA = Path(__file__).parent.parent / "data" / "vllm_cache_plans.json"
DEVICES = {"9.0": "h100-sxm", "10.0": "b200-sxm"}
FLAGS = (
    "enable_prefix_caching", "disable_hybrid_kv_cache_manager", "async_scheduling",
    "num_gpu_blocks_override",
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """What went into the engine's planner, and what came out."""

    said: Mapping[str, Any]
    config: Mapping[str, Any] | str

    def __str__(self) -> str:
        """Return what sets the case apart."""
        said = {key: value for key, value in self.said.items() if key not in EXPECTED}
        return " ".join(f"{value}" for value in said.values())


EXPECTED = ("blocks", "reported_tokens", "max_concurrency", "longest_tokens")


def committed() -> list[Case]:
    data = json.loads(DATA.read_text(encoding="utf-8"))
    return [Case(said, data["configs"][said["model"]]) for said in data["cases"]]


def model(case: Case) -> Model:
    """From the content of a configuration, or from its file."""
    if isinstance(case.config, str):
        return from_file(case.config)
    return from_content(case.said["model"], json.dumps(case.config))


@cache
def from_content(name: str, config: str) -> Model:
    return import_config(json.loads(config), where=f"{name}.json")


@cache
def from_file(path: str) -> Model:
    return load_model(path)


def answer(case: Case, **changed: Any) -> Plan:
    said = {**case.said, **changed}
    devices = said["tp"] * said.get("pp", 1)
    return plan(
        Scenario(
            model=model(case),
            hardware=replace(load_hardware(DEVICES[said["sm"]]), devices=devices),
            tp=said["tp"],
            pp=said.get("pp", 1),
            kv_cache_dtype=said.get("kv_cache_dtype"),
            max_num_batched_tokens=said["max_num_batched_tokens"],
            engine=EngineSettings(
                engine="vllm@0.33.0",
                max_model_len=said["max_model_len"],
                max_num_seqs=256,
                block_size=said.get("block_size"),
                kv_pool_bytes=said["pool_bytes"],
                options=tuple((name, str(said[name])) for name in FLAGS if name in said),
            ),
        )
    )


def allocation(case: Case, **changed: Any) -> Allocation:
    found = answer(case, **changed).deployment.allocation
    assert found is not None
    return found


def wrong(case: Case) -> str:
    """What differs from the engine's own plan; nothing where all is equal."""
    found_by_rules, said = allocation(case), case.said
    pool = found_by_rules.pool
    if "longest_tokens" in said:
        served = pool.start_bytes <= found_by_rules.budget.pool_bytes
        found: tuple[Any, ...] = (served, pool.max_context_tokens)
        return "" if found == (False, said["longest_tokens"]) else f"{case}: {found}"
    found = (pool.blocks, pool.reported_cache_tokens, pool.max_concurrency)
    expected = (said["blocks"], said["reported_tokens"], said["max_concurrency"])
    return "" if found == expected else f"{case}: {found}, not {expected}"


@pytest.mark.parametrize("case", committed(), ids=str)
def test_pools_are_those_of_the_engines_own_planner(case: Case) -> None:
    assert wrong(case) == ""


def test_every_plan_of_the_data_folder(shared_data: Path) -> None:
    folder = shared_data / "vllm_cache_plans"
    cases = json.loads((folder / "plans.json").read_text(encoding="utf-8"))["cases"]
    misses = [miss for entry in cases if (miss := _miss(folder, entry))]
    assert misses == []


def _miss(folder: Path, entry: Mapping[str, Any]) -> str:
    inputs = entry["inputs"]
    said = {
        "tp": 1, "pp": 1, **inputs, **(inputs.get("extra") or {}),
        "model": Path(inputs["config"]).stem, "pool_bytes": inputs["available_kv_memory_bytes"],
    }  # fmt: skip
    if "error" in entry:
        said["longest_tokens"] = entry["estimated_max_model_len"]
    else:
        said["blocks"] = entry["num_gpu_blocks"]
        said["reported_tokens"] = entry["gpu_kv_cache_size_tokens"]
        said["max_concurrency"] = entry["max_concurrency"]
    try:
        return wrong(Case(said, str(folder / inputs["config"])))
    except PlannerError as error:
        return f"{entry['id']}: {error}"


CHECKED = [case for case in committed() if "longest_tokens" not in case.said][::5]


@pytest.mark.parametrize("case", CHECKED, ids=str)
def test_more_memory_never_gives_fewer_tokens(case: Case) -> None:
    if "num_gpu_blocks_override" in case.said:
        pytest.skip("the blocks are given")
    size = case.said["pool_bytes"]
    tokens = [
        allocation(case, pool_bytes=size * part // 8).pool.reported_cache_tokens or 0
        for part in (8, 9, 13, 16)
    ]
    assert tokens == sorted(tokens)


@pytest.mark.parametrize("case", CHECKED, ids=str)
def test_longer_requests_never_give_more_concurrency(case: Case) -> None:
    many = [
        allocation(case, max_model_len=length).pool.max_concurrency or 0
        for length in (128, 200, 448)
    ]
    assert many == sorted(many, reverse=True)


@pytest.mark.parametrize("case", CHECKED, ids=str)
def test_the_architecture_needs_no_more_than_the_engine_allocates(case: Case) -> None:
    result = answer(case)
    data = result.to_dict()["memory"]
    ranks = data["per_device"]["cache_bytes"] * result.deployment.layout.devices
    assert data["architectural"]["cache_bytes"] <= ranks
