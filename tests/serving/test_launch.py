"""Launch commands: every setting under the engine's own flag, safe for a shell."""

from __future__ import annotations

import shlex
from itertools import pairwise

from planner.serving.launch import VERIFIED, Launch

LAUNCH = Launch(
    model="org/a model; rm",
    tp=4,
    max_num_seqs=128,
    max_num_batched_tokens=8192,
    max_model_len=4096,
    weights="fp8",
    kv_cache_dtype="fp8",
)


def flags(command: str) -> dict[str, str]:
    words = shlex.split(command)
    return {a: b for a, b in pairwise(words) if a.startswith("--")}


def test_every_engine_has_its_own_flags() -> None:
    found = {name: flags(command) for name, command in LAUNCH.commands().items()}
    assert found["vLLM"] == {
        "--tensor-parallel-size": "4",
        "--max-num-seqs": "128",
        "--max-num-batched-tokens": "8192",
        "--max-model-len": "4096",
        "--quantization": "fp8",
        "--kv-cache-dtype": "fp8",
    }
    assert found["SGLang"]["--kv-cache-dtype"] == "fp8_e4m3"
    assert found["SGLang"]["--max-running-requests"] == "128"
    assert found["TensorRT-LLM"]["--max_num_tokens"] == "8192"
    assert found["llama.cpp"]["--ctx-size"] == str(128 * 4096)


def test_a_name_cannot_run_anything() -> None:
    for command in (LAUNCH.vllm(), LAUNCH.sglang(), LAUNCH.tensorrt_llm()):
        assert "org/a model; rm" in shlex.split(command)


def test_every_parallel_size_is_said_or_named_as_left_out() -> None:
    launch = Launch(
        model="org/moe",
        tp=2,
        pp=2,
        ep=16,
        attention_dp=8,
        max_num_seqs=32,
        max_num_batched_tokens=1024,
        max_model_len=4096,
        weights="nvfp4",
    )
    commands, left = launch.commands(), launch.left_out()
    assert "--data-parallel-size 8 --enable-expert-parallel" in commands["vLLM"]
    assert "--tp-size 16 --pp-size 2 --dp-size 8 --enable-dp-attention" in commands["SGLang"]
    assert "--max-running-requests 256" in commands["SGLang"]
    assert "--tp_size 16 --pp_size 2 --ep_size 16" in commands["TensorRT-LLM"]
    assert "the checkpoint must be stored in nvfp4" in left["vLLM"]
    assert any("enable_attention_dp" in clause for clause in left["TensorRT-LLM"])
    assert any("expert parallelism" in clause for clause in left["llama.cpp"])


def test_every_engine_names_the_version_its_flags_are_of() -> None:
    assert VERIFIED.keys() == LAUNCH.commands().keys()
