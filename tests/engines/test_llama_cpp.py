"""llama.cpp's buffers against what it printed for files of random weights at real layer shapes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from planner import load_device, load_model
from planner.engines import EngineSettings, allocate
from planner.engines.llama_cpp.compute import compute_bytes
from planner.engines.llama_cpp.context import Context
from planner.engines.llama_cpp.placing import Placing
from planner.hardware import Hardware, load_runtime
from planner.importers import import_config
from planner.model import Execution, Model
from planner.model.execution import half
from planner.model.schemes import weight_scheme
from planner.model.storage import FP16, cache_format
from planner.units import MIB

RECORD = Path(__file__).parents[1] / "data/llama_cpp_allocations.json"
SCHEMES = {"f16": "gguf_f16", "q8_0": "q8_0"}
MODELS: list[dict[str, Any]] = json.loads(RECORD.read_text())["models"]


def modelled(recorded: dict[str, Any]) -> tuple[Model, Execution]:
    model = import_config(dict(recorded["config"]), where=recorded["name"])
    experts = recorded["config"]["model_type"] == "gpt_oss"
    scheme = weight_scheme(model, "mxfp4_moe" if experts else SCHEMES[recorded["weights"]])
    return model, replace(half(), weights=scheme, cache=FP16)


def contexts() -> Iterator[Any]:
    for recorded in MODELS:
        model, execution = modelled(recorded)
        for index, each in enumerate(recorded["contexts"]):
            yield pytest.param(model, execution, each, id=f"{recorded['name']}-{index}")


def settings_of(each: dict[str, Any], execution: Execution) -> tuple[Context, Execution, int]:
    said = each["settings"]
    keys, values = said["type_k"], said["type_v"]
    if keys != "f16":
        name = keys if keys == values else f"{keys}/{values}"
        execution = replace(execution, cache=cache_format(name))
    many = said["n_seq_max"]
    context = Context(
        sequences=many,
        step_tokens=said["n_ubatch"],
        unified=said["kv_unified"],
        whole_windows=said["swa_full"],
        flash=said["flash_attn"],
    )
    return context, execution, said["n_ctx"] // many


@pytest.mark.parametrize("recorded", MODELS, ids=lambda recorded: str(recorded["name"]))
def test_model_buffer_is_what_llama_cpp_printed(recorded: dict[str, Any]) -> None:
    model, execution = modelled(recorded)
    assert round(model.weights_bytes(execution) / MIB, 2) == recorded["buffers_mib"]["model"]


@pytest.mark.parametrize(("model", "execution", "each"), list(contexts()))
def test_caches_and_states_are_what_llama_cpp_printed(
    model: Model, execution: Execution, each: dict[str, Any]
) -> None:
    context, execution, length = settings_of(each, execution)
    kept, states = context.cache_bytes(model, execution, length)
    printed = each["buffers_mib"]
    assert kept / MIB == pytest.approx(printed.get("KV", 0), abs=0.006)
    assert states / MIB == pytest.approx(printed.get("RS", 0), abs=0.006)


@pytest.mark.parametrize(("model", "execution", "each"), list(contexts()))
def test_compute_buffer_is_near_what_llama_cpp_printed(
    model: Model, execution: Execution, each: dict[str, Any]
) -> None:
    context, execution, length = settings_of(each, execution)
    found = compute_bytes(model, execution, context, length)
    assert found / MIB == pytest.approx(each["buffers_mib"]["compute"], rel=0.09)


def test_layers_on_host_and_devices_make_up_the_whole() -> None:
    model, execution = load_model("llama-3.1-8b"), half()
    whole = model.weights_bytes(execution)
    shares = [Placing.of(model, count, 1) for count in range(34)]
    on_device = [share.weights_bytes(execution) for share in shares]
    assert on_device == sorted(on_device)
    assert on_device[0] == 0
    for share, size in zip(shares, on_device, strict=True):
        assert size + share.host_bytes(execution) == whole
    assert whole - on_device[-1] == 128256 * 4096 * 2


def test_a_tied_head_is_copied_to_the_device() -> None:
    model, execution = load_model("llama-3.2-1b"), half()
    placing = Placing.of(model, None, 1)
    assert placing.weights_bytes(execution) == model.weights_bytes(execution)
    assert placing.host_bytes(execution) == 128256 * 2048 * 2


# What ollama 0.30 printed for gpt-oss-120b on a Radeon 8060S: cells of window layers and context
# memory, github.com/ollama/ollama/issues/16480 and 16416.
def test_gpt_oss_context_of_two_sequences() -> None:
    model = load_model("gpt-oss-120b")
    context = Context(sequences=2, step_tokens=1024)
    kept, _ = context.cache_bytes(model, half(), 131072)
    assert kept / MIB == 9216 + 90
    assert context.window_cells(128, 131072) == 1280
    compute = compute_bytes(model, half(), context, 131072) / MIB
    assert compute == pytest.approx(796, rel=0.05)


# Figures of Qwen2.5-1.5B and Mamba-1.4B printed on an edge board, in a public log of llama.cpp.
def test_small_models_of_a_public_log() -> None:
    kept, states = Context().cache_bytes(load_model("qwen2.5-1.5b"), half(), 32768)
    assert (kept / MIB, states) == (896, 0)


def allocation(device: str, **settings: Any) -> Any:
    hardware = Hardware(device=load_device(device), devices=1)
    given = EngineSettings(engine="llama.cpp", **settings)
    model = load_model("gemma-3-4b")
    return allocate(given, model, half(), hardware, load_runtime(), cache_given=False)


def test_more_memory_never_gives_fewer_tokens() -> None:
    ascending = ("rtx-3090", "l40s", "h100-sxm", "h200-sxm")
    found = [allocation(name, max_model_len=32768).pool for name in ascending]
    tokens = [pool.max_context_tokens for pool in found]
    many = [pool.max_concurrency for pool in found]
    assert tokens == sorted(tokens)
    assert many == sorted(many)


def test_longer_context_never_gives_more_concurrency() -> None:
    many = [
        allocation("rtx-3090", max_model_len=length).pool.max_concurrency
        for length in (1024, 8192, 9000, 65536, 131072)
    ]
    assert many == sorted(many, reverse=True)


def test_architecture_is_a_lower_bound() -> None:
    model, execution = load_model("gemma-3-4b"), half()
    pool = allocation("h100-sxm", max_model_len=8192).pool
    for length in (1, 100, 5000, 8192):
        assert pool.need_bytes(length, 3) >= 3 * model.cache_bytes(length, execution)


def test_items_add_up_to_the_room() -> None:
    found = allocation("rtx-3090", max_model_len=8192).budget
    assert sum(item.bytes for item in found.items) == found.pool_bytes
