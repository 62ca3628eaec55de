"""Configurations of every family, with exact counts and where both come from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

CONFIGURATIONS = Path(__file__).resolve().parent.parent / "data" / "configurations.json"


def load_configurations() -> list[dict[str, Any]]:
    return json.loads(CONFIGURATIONS.read_text(encoding="utf-8"))


@pytest.fixture
def llama() -> dict[str, Any]:
    """A small Llama configuration to break."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": 576,
        "intermediate_size": 1536,
        "max_position_embeddings": 2048,
        "num_attention_heads": 9,
        "num_hidden_layers": 30,
        "num_key_value_heads": 3,
        "rope_scaling": None,
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16",
        "vocab_size": 49152,
    }


@pytest.fixture
def configuration(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The configuration of the model that the test names."""
    found = {entry["name"]: entry["config"] for entry in load_configurations()}
    return found[request.param]
