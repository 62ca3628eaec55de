"""Plans under every engine: figures explain themselves, parts make up the total."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from planner import Scenario, load_hardware, plan
from planner.engines import ENGINES, EngineSettings
from planner.engines.llama_cpp.context import Context
from planner.importers import import_config
from planner.model.execution import half
from planner.units import MIB
from tests.engines.situations import model_of

CASES = (
    ("llama-3.1-8b", "rtx-4090", 1),
    ("qwen3-next-80b-a3b-instruct", "h100-sxm", 4),
    ("gpt-oss-20b", "l40s", 1),
    ("mamba2-2.7b", "l4", 1),
    ("deepseek-v2-lite", "a100-sxm-80gb", 2),
)


def figures(part: Mapping[str, Any], path: str) -> Iterator[tuple[str, float]]:
    for key, value in part.items():
        if isinstance(value, Mapping):
            yield from figures(value, f"{path}.{key}")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield f"{path}.{key}", value


@pytest.mark.parametrize("engine", sorted(ENGINES))
@pytest.mark.parametrize(("model", "device", "devices"), CASES)
def test_figures_explain_themselves(engine: str, model: str, device: str, devices: int) -> None:
    settings = EngineSettings(engine=engine, max_model_len=8192)
    found = plan(
        Scenario(model=model_of(model), hardware=load_hardware(device, devices), engine=settings)
    )
    data = found.to_dict()
    for part in ("memory", "engine"):
        for path, value in figures(data[part], part):
            assert found.explain(path).value == pytest.approx(value), path
    held = data["memory"]["per_device"]
    parts = ("weights", "cache", "activations", "runtime", "graphs", "reserve")
    total = sum(held[f"{name}_bytes"] for name in parts)
    assert total == held["total_bytes"]
    assert held["weights_bytes"] * devices >= 0.9 * data["memory"]["architectural"]["weights_bytes"]


# A public log of llama.cpp on an edge board: 14.25 MiB of states whatever the context.
def test_states_of_mamba_1_4b() -> None:
    model = import_config(
        {
            "model_type": "mamba", "hidden_size": 2048, "num_hidden_layers": 48,
            "state_size": 16, "conv_kernel": 4, "expand": 2, "intermediate_size": 4096,
            "time_step_rank": 128, "vocab_size": 50280, "tie_word_embeddings": True,
        },
        where="mamba-1.4b",
    )  # fmt: skip
    kept, states = Context().cache_bytes(model, half(), 32768)
    assert (kept, states / MIB) == (0, 14.25)
