"""Launch commands: every setting under the engine's own flag, safe for a shell."""

from __future__ import annotations

import shlex
from itertools import pairwise

from planner.serving.launch import Launch

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
