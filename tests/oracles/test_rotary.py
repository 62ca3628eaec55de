"""Angles and attention factors of every scaling against transformers' own functions."""

from __future__ import annotations

import json
from typing import Any

import pytest

np = pytest.importorskip("numpy")
torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS  # noqa: E402

from planner.importers import import_config  # noqa: E402

pytestmark = pytest.mark.oracle

PAIRS = 32
SCALINGS: dict[str, dict[str, Any]] = {
    "linear": {"rope_type": "linear", "factor": 4.0},
    "dynamic": {"rope_type": "dynamic", "factor": 4.0},
    "yarn": {
        "rope_type": "yarn",
        "factor": 32.0,
        "original_max_position_embeddings": 4096,
    },
    "yarn, all fields": {
        "rope_type": "yarn",
        "factor": 40.0,
        "original_max_position_embeddings": 4096,
        "beta_fast": 16.0,
        "beta_slow": 2.0,
        "mscale": 1.0,
        "mscale_all_dim": 0.7,
        "truncate": False,
    },
    "yarn, factor given": {
        "rope_type": "yarn",
        "factor": 8.0,
        "original_max_position_embeddings": 8192,
        "attention_factor": 1.25,
    },
    "llama3": {
        "rope_type": "llama3",
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    },
    "longrope": {
        "rope_type": "longrope",
        "short_factor": [1.0 + 0.01 * i for i in range(PAIRS)],
        "long_factor": [1.0 + i for i in range(PAIRS)],
        "original_max_position_embeddings": 4096,
    },
    "proportional": {"rope_type": "proportional", "partial_rotary_factor": 0.25},
}


def configuration(scaling: dict[str, Any], base: float) -> Any:
    return transformers.LlamaConfig(
        hidden_size=512,
        num_attention_heads=8,
        head_dim=2 * PAIRS,
        intermediate_size=64,
        num_hidden_layers=1,
        vocab_size=64,
        max_position_embeddings=131_072,
        rope_parameters={"rope_theta": base, **scaling},
    )


@pytest.mark.parametrize("base", [1e4, 5e5])
@pytest.mark.parametrize("name", SCALINGS)
@pytest.mark.parametrize("length", [1000, 200_000])
def test_angles(name: str, base: float, length: int) -> None:
    config = configuration(dict(SCALINGS[name]), base)
    kind = SCALINGS[name]["rope_type"]
    theirs, factor = ROPE_INIT_FUNCTIONS[kind](config, "cpu", seq_len=length)
    content = json.loads(json.dumps(config.to_dict()))
    model = import_config(content, where="llama")
    assert model.positions is not None
    (rotary,) = model.positions.rotations
    ours = rotary.frequencies(length)
    assert np.allclose(ours, theirs.double().numpy(), rtol=1e-5, atol=0)
    assert rotary.attention_factor(model.usable_context) == pytest.approx(factor)
