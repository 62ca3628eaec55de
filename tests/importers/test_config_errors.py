"""What a configuration may not say: one paragraph with file, field, value, what is allowed."""

from __future__ import annotations

from typing import Any

import pytest

from planner.errors import PlannerError, SpecError, UnsupportedConfigError
from planner.importers import import_config


def refuse(config: dict[str, Any], kind: type[PlannerError] = SpecError, **keywords: Any) -> str:
    with pytest.raises(kind) as caught:
        import_config(config, where="config.json", **keywords)
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 1500
    return text


@pytest.mark.parametrize("value", ["32", -1, None, 1e30, True, 10**30, 0, 2.5, [32], {}])
def test_a_figure_of_the_wrong_kind_or_size(llama: dict[str, Any], value: object) -> None:
    text = refuse({**llama, "num_hidden_layers": value})
    assert "config.json: num_hidden_layers" in text
    assert "allowed: a whole number from 1 to 2,000" in text


def test_a_missing_figure(llama: dict[str, Any]) -> None:
    del llama["hidden_size"]
    assert "config.json: hidden_size: a required field is missing" in refuse(llama)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("vocab_size", 10**9, "from 1 to 10,000,000"),
        ("attention_bias", 1, "true or false"),
        ("attention_bias", None, "true or false"),
        ("model_type", 3, "a text"),
        ("architectures", "LlamaForCausalLM", "a list"),
        ("rope_scaling", [], "an object of fields"),
        ("num_key_value_heads", 2, "a divisor of the 9 query heads"),
        ("num_attention_heads", 7, "a divisor"),
        ("torch_dtype", 16, "a text"),
    ],
)
def test_other_wrong_values(llama: dict[str, Any], field: str, value: object, said: str) -> None:
    text = refuse({**llama, field: value})
    assert said in text


def test_two_names_of_one_figure_must_agree(llama: dict[str, Any]) -> None:
    assert "contradict" in refuse({**llama, "n_layer": 31})
    assert import_config({**llama, "n_layer": 30}, where="config.json").parameters == 134_515_008


@pytest.mark.parametrize("field", ["new_idea", "attn_output_gate", "use_latent_cache"])
@pytest.mark.parametrize("value", [{"depth": 1}, [{"depth": 1}]])
def test_a_section_nobody_reviewed_is_named(
    llama: dict[str, Any], field: str, value: object
) -> None:
    text = refuse({**llama, field: value}, UnsupportedConfigError)
    assert f"may change bytes or FLOP: {field}." in text


@pytest.mark.parametrize("value", [1, True, False, 0, "wide", "", [1, 2], [], {}, 1e-5])
def test_a_field_nobody_reviewed_is_named_in_a_warning(
    llama: dict[str, Any], value: object
) -> None:
    model = import_config({**llama, "new_idea": value}, where="config.json")
    assert model.parameters == 134_515_008
    (warning,) = model.warnings
    assert "new_idea" in warning


@pytest.mark.parametrize(
    "field", ["memory_slots", "num_memories", "side_dim", "second_hidden_size"]
)
def test_a_size_nobody_reviewed_is_refused(llama: dict[str, Any], field: str) -> None:
    assert field in refuse({**llama, field: 2}, UnsupportedConfigError)
    assert field in import_config({**llama, field: 1}, where="config.json").warnings[-1]


def test_a_null_says_nothing(llama: dict[str, Any]) -> None:
    assert not import_config({**llama, "new_idea": None}, where="config.json").warnings


def test_many_unknown_fields_stay_one_paragraph(llama: dict[str, Any]) -> None:
    more = {f"field_{i}": i for i in range(10_000)}
    (warning,) = import_config({**llama, **more}, where="config.json").warnings
    assert "and 9988 more" in warning
    sections = {name: {"size": value} for name, value in more.items()}
    assert "and 9988 more" in refuse({**llama, **sections}, UnsupportedConfigError)


def test_hostile_field_names_are_printable(llama: dict[str, Any]) -> None:
    name = "a\n\x1b[31m\ud800" + "x" * 10_000
    (warning,) = import_config({**llama, name: 1}, where="config.json").warnings
    assert warning.isprintable()
    text = refuse({**llama, name: {"size": 1}}, UnsupportedConfigError)
    assert text.isprintable()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("add_cross_attention", True),
        ("is_encoder_decoder", True),
        ("is_causal", False),
        ("num_kv_shared_layers", 4),
        ("num_nextn_predict_layers", 1),
        ("use_bidirectional_attention", True),
    ],
)
def test_switches_that_would_change_the_work(
    llama: dict[str, Any], field: str, value: object
) -> None:
    assert field in refuse({**llama, field: value}, UnsupportedConfigError)
    neutral = {"is_causal": True}.get(field, False)
    assert import_config({**llama, field: neutral}, where="config.json").layers


def test_harmless_fields_pass(llama: dict[str, Any]) -> None:
    more = {
        "attention_dropout": 0.1,
        "bos_token_id": 1,
        "eos_token_id": [1, 2],
        "initializer_range": 0.02,
        "transformers_version": "4.46.0",
        "use_cache": False,
        "rope_theta": 1e6,
        "temperature": 0.6,
    }
    assert not import_config({**llama, **more}, where="config.json").warnings


def test_unknown_architectures_are_named(llama: dict[str, Any]) -> None:
    text = refuse({**llama, "model_type": "hyper_llama"}, UnsupportedConfigError)
    assert "'hyper_llama'" in text
    assert "llama" in text.partition("allowed: ")[2]
    del llama["model_type"]
    assert import_config(llama, where="config.json").parameters == 134_515_008
    llama["architectures"] = ["HyperLlamaForCausalLM"]
    assert "HyperLlamaForCausalLM" in refuse(llama, UnsupportedConfigError)


def test_a_model_without_a_head_leaves_a_warning(llama: dict[str, Any]) -> None:
    llama["architectures"] = ["LlamaForSequenceClassification"]
    (warning,) = import_config(llama, where="config.json").warnings
    assert "LlamaForSequenceClassification" in warning


# --- positions ---


@pytest.mark.parametrize(
    "scaling",
    [
        {"type": "linear", "factor": 2.0},
        {"rope_type": "dynamic", "factor": 2.0},
        {"rope_type": "llama3", "factor": 8.0, "original_max_position_embeddings": 8192},
        {"type": "su", "long_factor": [1.0], "short_factor": [1.0]},
        {"rope_type": "default", "rope_theta": 1e4},
    ],
)
def test_scalings_do_not_change_the_declared_context(
    llama: dict[str, Any], scaling: dict[str, Any]
) -> None:
    model = import_config({**llama, "rope_scaling": scaling}, where="config.json")
    assert (model.usable_context, model.warnings) == (2048, ())


def test_yarn_beyond_the_declared_context_leaves_a_warning(llama: dict[str, Any]) -> None:
    yarn = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 2048}
    model = import_config({**llama, "rope_scaling": yarn}, where="config.json")
    assert model.usable_context == 2048
    assert "8,192" in model.warnings[0]


def test_an_unknown_scaling_or_field_of_one_is_named(llama: dict[str, Any]) -> None:
    text = refuse({**llama, "rope_scaling": {"type": "spiral"}}, UnsupportedConfigError)
    assert "rope_scaling.type" in text
    odd = {"type": "linear", "factor": 2.0, "spiral": 1}
    (warning,) = import_config({**llama, "rope_scaling": odd}, where="config.json").warnings
    assert "rope_scaling.spiral" in warning


# --- storage ---


@pytest.mark.parametrize(
    ("quantisation", "said"),
    [
        ({"quant_method": "vptq"}, "'vptq'"),
        ({"quant_method": "gptq", "bits": 5}, "bits"),
        ({"quant_method": "fp8", "weight_block_size": [128]}, "weight_block_size"),
        ({"quant_algo": "W4A8_AWQ"}, "'W4A8_AWQ'"),
        ({"quant_method": "awq", "version": "marlin"}, "version"),
        ({}, "quant_method"),
    ],
)
def test_quantisation_that_is_not_modelled(
    llama: dict[str, Any], quantisation: dict[str, Any], said: str
) -> None:
    config = {**llama, "quantization_config": quantisation}
    with pytest.raises(SpecError) as caught:
        import_config(config, where="config.json")
    assert said in str(caught.value)
    planned = import_config(config, where="config.json", weights_given=True)
    assert planned.checkpoint.quantised is None


def test_an_unknown_field_of_the_quantisation_is_named(llama: dict[str, Any]) -> None:
    config = {**llama, "quantization_config": {"quant_method": "mxfp4", "twist": 1}}
    assert "quantization_config.twist" in import_config(config, where="c").warnings[-1]


def test_a_silent_file_is_planned_in_bf16_with_a_warning(llama: dict[str, Any]) -> None:
    del llama["torch_dtype"]
    model = import_config(llama, where="config.json")
    assert model.checkpoint.dtype == "bf16"
    assert "bf16 is assumed" in model.warnings[0]


@pytest.mark.parametrize(
    ("said", "meant"), [("float16", "fp16"), ("torch.bfloat16", "bf16"), ("float32", "fp32")]
)
def test_formats_of_weights(llama: dict[str, Any], said: str, meant: str) -> None:
    assert import_config({**llama, "torch_dtype": said}, where="c").checkpoint.dtype == meant
    del llama["torch_dtype"]
    assert import_config({**llama, "dtype": said}, where="c").checkpoint.dtype == meant


def test_an_unknown_format_of_weights(llama: dict[str, Any]) -> None:
    assert "'float4'" in refuse({**llama, "torch_dtype": "float4"}, UnsupportedConfigError)


# --- names ---


@pytest.mark.parametrize(
    ("where", "model_id", "expected"),
    [
        ("/models/SmolLM-135M/config.json", None, ("smollm-135m", "SmolLM-135M", None)),
        ("hub__HuggingFaceTB__SmolLM.json", None, ("smollm", "SmolLM", None)),
        (
            "config.json",
            "HuggingFaceTB/SmolLM",
            ("smollm", "HuggingFaceTB/SmolLM", "HuggingFaceTB/SmolLM"),
        ),
        ("config.json", None, ("model", "model", None)),
    ],
)
def test_names(
    llama: dict[str, Any], where: str, model_id: str | None, expected: tuple[str, str, str | None]
) -> None:
    model = import_config(llama, where=where, model_id=model_id)
    assert (model.id, model.name, model.hf_id) == expected


# --- kinds that are not modelled around one that is ---


@pytest.mark.parametrize("section", ["text_config", "llm_config", "language_config"])
def test_the_language_model_of_an_unknown_kind_is_planned_alone(
    llama: dict[str, Any], section: str
) -> None:
    whole = {"model_type": "all_senses", "vision_config": {"depth": 9}, section: llama, "taps": 3}
    model = import_config(whole, where="config.json")
    assert model.parameters == 134_515_008
    assert "all_senses" in model.warnings[0]
    assert "vision_config" in model.warnings[0]


def test_a_section_of_an_unknown_kind_helps_nothing(llama: dict[str, Any]) -> None:
    whole = {"model_type": "all_senses", "text_config": {**llama, "model_type": "hyper_llama"}}
    assert "all_senses" in refuse(whole, UnsupportedConfigError)
