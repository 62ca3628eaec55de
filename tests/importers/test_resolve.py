"""From a name or a path to a model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from planner.errors import SpecError, UnknownNameError, UnsupportedConfigError
from planner.importers import (
    describe_catalog,
    lint_models,
    load_model,
    model_from_text,
    model_ids,
)
from planner.model.description import description_to_yaml, model_to_description
from planner.spec_folders import ENVIRONMENT_VARIABLE, folder

REQUIRED = """
    gpt3-175b llama-2-7b llama-2-13b llama-2-70b llama-3-8b llama-3.1-8b llama-3.1-70b
    llama-3.1-405b llama-3.2-1b llama-3.2-3b mistral-7b-v0.1 mistral-7b-v0.3 mistral-nemo
    mixtral-8x7b mixtral-8x22b gemma-2-2b gemma-2-9b gemma-2-27b gemma-3-1b gemma-3-4b gemma-3-12b
    gemma-3-27b qwen2.5-7b qwen2.5-32b qwen2.5-72b qwen3-0.6b qwen3-8b qwen3-14b qwen3-32b
    qwen3-30b-a3b qwen3-235b-a22b gpt-oss-20b gpt-oss-120b falcon-7b falcon-40b falcon-180b gpt2
    phi-2 phi-4 phi-3-mini-4k mamba2-2.7b
"""


@pytest.mark.parametrize("name", REQUIRED.split())
def test_reference_models_are_in_the_catalog(name: str) -> None:
    assert load_model(name).id == name


def test_the_catalog_is_sound() -> None:
    assert lint_models() == []
    assert len(model_ids()) >= 80


@pytest.mark.parametrize(
    "name",
    [
        "llama-3.1-8b",
        "LLAMA-3.1-8B",
        "meta-llama/Llama-3.1-8B",
        "meta-llama/llama-3.1-8b-instruct",
        "meta-llama/Meta-Llama-3.1-8B-Instruct",
    ],
)
def test_names_in_any_case(name: str) -> None:
    model = load_model(name)
    assert (model.id, model.hf_id) == ("llama-3.1-8b", "meta-llama/Llama-3.1-8B")


@pytest.mark.parametrize("name", ["", "llama", "meta-llama/Llama-9", "a" * 10**6, "\0", "\ud800"])
def test_unknown_names_offer_the_nearest(name: str) -> None:
    with pytest.raises(UnknownNameError, match="Give a catalog id"):
        load_model(name)


def test_a_near_miss_is_offered() -> None:
    with pytest.raises(UnknownNameError, match=r"nearest:.*llama-3\.1-8b"):
        load_model("llama-3.1-8")


def test_a_folder_a_configuration_and_a_description(tmp_path: Path, llama: dict[str, Any]) -> None:
    (tmp_path / "SmolLM").mkdir()
    config = tmp_path / "SmolLM" / "config.json"
    config.write_text(json.dumps(llama), encoding="utf-8")
    imported = load_model(config)
    assert load_model(tmp_path / "SmolLM").parameters == imported.parameters == 134_515_008
    assert imported.id == "smollm"
    described = tmp_path / "smollm.yaml"
    described.write_text(description_to_yaml(model_to_description(imported)), encoding="utf-8")
    assert load_model(described).layers == imported.layers


def test_files_of_other_kinds(tmp_path: Path) -> None:
    for name, said in (
        ("model.safetensors", r"no config\.json beside"),
        ("model.gguf", "not a GGUF file"),
        ("pytorch_model.bin", "not read"),
    ):
        path = tmp_path / name
        path.write_bytes(b"x")
        with pytest.raises(SpecError, match=said):
            load_model(path)
    with pytest.raises(SpecError, match=r"no config\.json in this folder"):
        load_model(tmp_path)
    with pytest.raises(SpecError, match="no such file"):
        load_model(tmp_path / "nothing.json")


def test_an_upload(llama: dict[str, Any]) -> None:
    model = model_from_text(json.dumps(llama).encode(), "upload.json")
    assert (model.id, model.parameters) == ("upload", 134_515_008)
    with pytest.raises(SpecError, match="cut off"):
        model_from_text(b"GGUF", "model.gguf")
    with pytest.raises(UnsupportedConfigError, match="not read"):
        model_from_text(b"x", "model.pt")


def test_a_given_format_overrides_the_files_own(tmp_path: Path, llama: dict[str, Any]) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**llama, "quantization_config": {"quant_method": "vptq"}}))
    with pytest.raises(UnsupportedConfigError, match="'vptq'"):
        load_model(path)
    assert load_model(path, weights_given=True).checkpoint.quantised is None


def test_own_models_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "models_catalog"
    own.mkdir()
    text = (folder("models_catalog") / "gpt2.yaml").read_text(encoding="utf-8")
    (own / "gpt2.yaml").write_text(text.replace("name: GPT-2", "name: My GPT-2"), encoding="utf-8")
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, str(tmp_path))
    assert load_model("gpt2").name == "My GPT-2"
    assert load_model("gpt2-xl").name == "GPT-2 XL"


def test_lint_finds_what_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "models_catalog"
    shutil.copytree(folder("models_catalog"), own)
    text = (own / "gpt2.yaml").read_text(encoding="utf-8")
    (own / "mislabelled.yaml").write_text(text, encoding="utf-8")
    (own / "gpt2.yaml").write_text(text.replace("124439808", "124439809"), encoding="utf-8")
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, str(tmp_path))
    problems = "\n".join(lint_models())
    assert "the tensors add up to 124,439,808 parameters" in problems
    assert "the id is 'gpt2', not the name of the file" in problems


def test_the_catalog_is_listed() -> None:
    entries = describe_catalog()
    assert [entry.id for entry in entries] == model_ids()
    assert {entry.parameters for entry in entries if entry.id == "gpt2"} == {124_439_808}
