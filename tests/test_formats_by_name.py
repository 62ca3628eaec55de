"""Every format by name on the command line, in any case, with the bytes of the library."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from planner.cli import BAD_INPUT, OK, run
from planner.importers import load_model
from planner.model.execution import half
from planner.model.formats.ggml import GGML_TYPES
from planner.model.formats.mixes import MIXES
from planner.model.schemes import weight_scheme
from planner.model.storage import CACHE_FORMATS, WEIGHT_FORMATS, cache_format

MODEL = load_model("llama-3.1-8b")
WEIGHTS = (
    *WEIGHT_FORMATS, *MIXES,
    *(name for name, kind in GGML_TYPES.items() if kind.block_elements > 1),
    "f32", "f16",
    "float32", "bfloat16", "float16", "half", "fp8_channel", "fp8_e4m3", "gptq", "gptq_3",
    "gptq_4_g32", "gptq_8_gall", "awq", "bnb_nf4", "nf4_dq", "llm_int8", "hqq", "hqq3", "hqq2_g16",
    "aqlm", "aqlm_2x8", "exl2", "exl2_4.65", "exl3", "exl3_3.5_h8", "packed4_g32",
    "Q4_K_M", "IQ3_XXS_imatrix", "F16", "MXFP4_MOE",
)  # fmt: skip
CACHES = (
    *CACHE_FORMATS, "q8_0/q4_0", "FP8_E5M2", "fp8_e4m3", "f16", "Q8_0", "int8_per_token_head",
    "int4_per_token_head", "bfloat16",
)  # fmt: skip


def plan(capfd: pytest.CaptureFixture[str], *options: str) -> dict[str, Any]:
    arguments = ["plan", "-m", "llama-3.1-8b", "-d", "h200-sxm", "--context", "1000", *options]
    assert run([*arguments, "--format", "json"]) == OK
    out, err = capfd.readouterr()
    assert err == ""
    data: dict[str, Any] = json.loads(out)
    return data["memory"]["architectural"]  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", dict.fromkeys(WEIGHTS))
def test_weights(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    size = MODEL.weights_bytes(replace(half(), weights=weight_scheme(MODEL, name)))
    assert plan(capfd, "--weights", name)["weights_bytes"] == size
    assert weight_scheme(MODEL, name.upper()) == weight_scheme(MODEL, name)


@pytest.mark.parametrize("name", CACHES)
def test_caches(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    execution = replace(half(), cache=cache_format(name))
    found = plan(capfd, "--kv-cache-dtype", name)
    assert found["cache_bytes"] == MODEL.cache_bytes(1000, execution)
    assert found["cache_bytes_per_token"] == MODEL.cache_bytes_per_token(execution)


@pytest.mark.parametrize("option", ["--weights", "--kv-cache-dtype"])
@pytest.mark.parametrize("name", ["q9_k", "", "fp8 ; rm", "x" * 10_000, "gptq_4_g0", "i16", "f64"])
def test_unknown_names(option: str, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["plan", "-m", "gpt2", "-d", "l4", option, name]) == BAD_INPUT
    out, err = capfd.readouterr()
    assert out == ""
    assert err.strip().count("\n") == 0
    assert len(err) < 2000
