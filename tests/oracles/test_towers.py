"""Models with towers: parameters against the real classes, FLOP of towers against the counter."""

from __future__ import annotations

import json
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from planner.equipment import at_rest  # noqa: E402
from planner.importers import import_config  # noqa: E402
from planner.model import Model, Step  # noqa: E402
from planner.model.execution import half  # noqa: E402

pytestmark = pytest.mark.oracle

TEXT: dict[str, Any] = {
    "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 4, "num_attention_heads": 8,
    "num_key_value_heads": 4, "head_dim": 8, "vocab_size": 160, "max_position_embeddings": 64,
    "pad_token_id": 0,
}  # fmt: skip
VISION = {
    "hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": 3, "num_attention_heads": 4,
    "image_size": 56, "patch_size": 14,
}  # fmt: skip
QWEN = {
    "depth": 3, "hidden_size": 32, "num_heads": 4, "patch_size": 14, "out_hidden_size": 64,
    "intermediate_size": 40,
}  # fmt: skip
GEMMA4 = {
    **TEXT,
    "head_dim": 16,
    "layer_types": ["sliding_attention", "full_attention"] * 2,
    "vocab_size_per_layer_input": 160,
    "hidden_size_per_layer_input": 8,
    "global_head_dim": 32,
}
SIZELESS = {key: value for key, value in VISION.items() if key != "image_size"}
GEMMA4_VISION = {
    **SIZELESS, "head_dim": 8, "num_key_value_heads": 4, "position_embedding_size": 20,
}  # fmt: skip
GEMMA4_AUDIO = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "output_proj_dims": 48,
    "subsampling_conv_channels": [128, 4],
}  # fmt: skip
LLAMA4 = {
    **TEXT, "intermediate_size_mlp": 80, "num_local_experts": 4, "interleave_moe_layer_step": 2,
}  # fmt: skip
LLAMA4_VISION = {
    **VISION, "vision_output_dim": 48, "projector_input_dim": 24, "projector_output_dim": 24,
}  # fmt: skip
MOE = {"enable_moe_block": True, "num_experts": 4, "top_k_experts": 2, "moe_intermediate_size": 24}

MODELS: dict[str, dict[str, Any]] = {
    "aligned projector of llava": {
        "model_type": "llava",
        "text_config": {**TEXT, "model_type": "llama"},
        "vision_config": {**VISION, "model_type": "clip_vision_model"},
    },
    "llava with two feature layers": {
        "model_type": "llava",
        "text_config": {**TEXT, "model_type": "llama"},
        "vision_config": {**VISION, "model_type": "clip_vision_model"},
        "vision_feature_layer": [-2, -1],
        "multimodal_projector_bias": False,
    },
    "llava with siglip and its head": {
        "model_type": "llava",
        "text_config": {**TEXT, "model_type": "qwen2"},
        "vision_config": {**VISION, "model_type": "siglip_vision_model"},
    },
    "pixtral": {
        "model_type": "llava",
        "text_config": {**TEXT, "model_type": "mistral"},
        "vision_config": {**VISION, "model_type": "pixtral"},
    },
    "llava_next": {
        "model_type": "llava_next",
        "text_config": {**TEXT, "model_type": "llama"},
        "vision_config": {**VISION, "model_type": "clip_vision_model"},
    },
    "gemma3": {
        "model_type": "gemma3",
        "text_config": {**TEXT, "model_type": "gemma3_text"},
        "vision_config": {
            **VISION, "model_type": "siglip_vision_model", "vision_use_head": False,
        },
    },
    "mistral3": {
        "model_type": "mistral3",
        "text_config": {**TEXT, "model_type": "mistral"},
        "vision_config": {**VISION, "model_type": "pixtral"},
        "multimodal_projector_bias": True,
    },
    "qwen2_vl": {
        "model_type": "qwen2_vl",
        "text_config": TEXT,
        "vision_config": {"depth": 3, "embed_dim": 32, "hidden_size": 64, "num_heads": 4},
    },
    "qwen2_5_vl": {
        "model_type": "qwen2_5_vl",
        "text_config": TEXT,
        "vision_config": {**QWEN, "fullatt_block_indexes": [1]},
    },
    "qwen3_vl": {
        "model_type": "qwen3_vl",
        "text_config": TEXT,
        "vision_config": {
            **QWEN, "deepstack_visual_indexes": [0, 1], "num_position_embeddings": 16,
        },
    },
    "qwen3_vl_moe": {
        "model_type": "qwen3_vl_moe",
        "text_config": {
            **TEXT, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24,
            "tie_word_embeddings": True,
        },
        "vision_config": {
            **QWEN, "deepstack_visual_indexes": [1], "num_position_embeddings": 16,
        },
    },
    "mllama": {
        "model_type": "mllama",
        "text_config": {**TEXT, "cross_attention_layers": [1, 3]},
        "vision_config": {
            **VISION, "attention_heads": 4, "num_global_layers": 2, "vision_output_dim": 96,
            "intermediate_layers_indices": [0, 1], "max_num_tiles": 2,
            "supported_aspect_ratios": [[1, 1], [1, 2], [2, 1]],
        },
    },
    "llama4": {"model_type": "llama4", "text_config": LLAMA4, "vision_config": LLAMA4_VISION},
    "gemma4": {
        "model_type": "gemma4",
        "text_config": {**GEMMA4, "num_kv_shared_layers": 2, "use_double_wide_mlp": True},
        "vision_config": GEMMA4_VISION,
        "audio_config": GEMMA4_AUDIO,
    },
    "gemma4 with experts": {
        "model_type": "gemma4",
        "text_config": {
            **GEMMA4, **MOE, "hidden_size_per_layer_input": 0, "attention_k_eq_v": True,
            "num_global_key_value_heads": 2,
        },
        "vision_config": GEMMA4_VISION,
    },
    "gemma4_unified": {
        "model_type": "gemma4_unified",
        "text_config": {**GEMMA4, "hidden_size_per_layer_input": 0},
        "vision_config": {"mm_embed_dim": 64, "mm_posemb_size": 20},
        "audio_config": {"audio_embed_dim": 24, "hidden_size": 24},
    },
    "muse_glimmer": {
        "model_type": "muse_glimmer",
        "text_config": TEXT,
        "vision_config": {**SIZELESS, "pos_emb_height": 4, "pos_emb_width": 4},
        "out_hidden_size": 128,
        "projector_hidden_size": 24,
    },
    "llava_onevision": {
        "model_type": "llava_onevision",
        "text_config": {**TEXT, "model_type": "qwen2"},
        "vision_config": {**VISION, "model_type": "siglip_vision_model"},
    },
    "cohere2_vision": {
        "model_type": "cohere2_vision",
        "text_config": {**TEXT, "model_type": "cohere2"},
        "vision_config": {**VISION, "model_type": "siglip_vision_model"},
        "alignment_intermediate_size": 48,
    },
    "aya_vision": {
        "model_type": "aya_vision",
        "text_config": {**TEXT, "model_type": "cohere2"},
        "vision_config": {**VISION, "model_type": "siglip_vision_model"},
    },
    "glm4v": {
        "model_type": "glm4v",
        "text_config": TEXT,
        "vision_config": {
            "depth": 3, "hidden_size": 32, "num_heads": 4, "out_hidden_size": 64,
            "intermediate_size": 40, "image_size": 56, "attention_bias": True,
        },
    },
    "internvl": {
        "model_type": "internvl",
        "text_config": {**TEXT, "model_type": "qwen2"},
        "vision_config": {**VISION, "use_qk_norm": True, "attention_bias": True},
    },
    "paligemma": {
        "model_type": "paligemma",
        "text_config": {**TEXT, "model_type": "gemma"},
        "vision_config": {**VISION, "model_type": "siglip_vision_model", "vision_use_head": False},
        "projection_dim": 64,
    },
    "smolvlm": {
        "model_type": "smolvlm",
        "text_config": {**TEXT, "model_type": "llama"},
        "vision_config": VISION,
    },
    "idefics3": {
        "model_type": "idefics3",
        "text_config": {**TEXT, "model_type": "llama"},
        "vision_config": VISION,
    },
}  # fmt: skip


def planned(config: Any) -> Model:
    content = json.loads(json.dumps(config.to_dict(), default=str))
    return import_config(content, where=config.model_type)


def unique_parameters(model: Any) -> int:
    return sum({id(p): p.numel() for p in model.parameters()}.values())


def build(content: dict[str, Any], auto: Any) -> tuple[Any, Any]:
    rest = {key: value for key, value in content.items() if key != "model_type"}
    config = transformers.AutoConfig.for_model(content["model_type"], **rest)
    with torch.device("meta"):
        model = auto.from_config(config)
    model.tie_weights()
    return config, model


SOUND: dict[str, dict[str, Any]] = {
    "qwen2_audio": {
        "model_type": "qwen2_audio",
        "text_config": {**TEXT, "model_type": "qwen2"},
        "audio_config": {
            "model_type": "qwen2_audio_encoder", "d_model": 32, "encoder_layers": 2,
            "encoder_attention_heads": 4, "encoder_ffn_dim": 48, "num_mel_bins": 8,
            "max_source_positions": 20,
        },
    },
    "voxtral": {
        "model_type": "voxtral",
        "text_config": {**TEXT, "model_type": "llama"},
        "audio_config": {
            "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
            "intermediate_size": 128, "num_mel_bins": 8, "max_source_positions": 20,
        },
    },
}  # fmt: skip


@pytest.mark.parametrize("name", SOUND)
def test_parameters_with_sound(name: str) -> None:
    config, theirs = build(SOUND[name], transformers.AutoModelForSeq2SeqLM)
    model = planned(config)
    assert model.parameters == unique_parameters(theirs)
    assert [tower.name for tower in model.towers] == ["audio"]


@pytest.mark.parametrize("name", MODELS)
def test_parameters_with_towers(name: str) -> None:
    config, theirs = build(MODELS[name], transformers.AutoModelForImageTextToText)
    model = planned(config)
    assert model.parameters == unique_parameters(theirs)
    assert model.towers
    assert all(tower.name in " ".join(at_rest(model)) for tower in model.towers)


def test_phi4_multimodal() -> None:
    config, theirs = build(
        {
            "model_type": "phi4_multimodal",
            **{key: value for key, value in TEXT.items() if key != "head_dim"},
            "vision_config": {**VISION, "crop_size": 56},
            "audio_config": {
                "hidden_size": 32,
                "num_attention_heads": 4,
                "num_blocks": 2,
                "nemo_conv_channels": 16,
            },
        },
        transformers.AutoModelForCausalLM,
    )
    assert planned(config).parameters == unique_parameters(theirs)


@pytest.mark.parametrize(
    ("kind", "images"),
    [
        ("siglip_vision_model", {"pixel_values": (1, 3, 56, 56)}),
        ("pixtral", {"pixel_values": (1, 3, 56, 56)}),
    ],
)
def test_flop_of_a_tower_that_is_asked_for(kind: str, images: dict[str, Any]) -> None:
    headless = {"vision_use_head": False} if kind == "siglip_vision_model" else {}
    vision = {**VISION, **headless, "model_type": kind}
    content = {
        "model_type": "llava",
        "text_config": {**TEXT, "model_type": "llama"},
        "vision_config": vision,
    }
    model = import_config(content, where="llava")
    patches = (56 // 14) ** 2
    (tower,) = model.reading("vision", patches).towers
    flop = 0.0
    for layer, operation, count in tower.operations(Step.prefill(1, 1), half()):
        assert operation.kind != "attention_prefill" or operation.flop == 4 * patches**2 * 32
        flop += 0 if layer == "vision.projector" else operation.flop * count
    rest = {key: value for key, value in vision.items() if key != "model_type"}
    config = transformers.AutoConfig.for_model(kind, **rest)
    config._attn_implementation = "eager"
    theirs = transformers.AutoModel.from_config(config).eval()
    inputs = {name: torch.randn(shape) for name, shape in images.items()}
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        theirs(**inputs)
    assert flop == counter.get_total_flops()


def test_towers_do_no_work_unless_asked_for() -> None:
    content = MODELS["gemma3"]
    config, _ = build(content, transformers.AutoModelForImageTextToText)
    model = planned(config)
    names = {layer for layer, _, _ in model.operations(Step.prefill(1, 8), half())}
    assert not any(name.startswith("vision") for name in names)
    asked = model.reading("vision", 16)
    assert any(
        name.startswith("vision") for name, _, _ in asked.operations(Step.prefill(1, 8), half())
    )
    assert asked.parameters == model.parameters
