"""Figures of well-known models: parameters, caches and states, each with its source."""

from __future__ import annotations

from dataclasses import replace

import pytest

from planner.importers import load_model
from planner.model import Execution, Layer, Model
from planner.model.execution import half
from planner.model.mixers.attention import Attention
from planner.model.storage import BF16, CACHE_FORMATS, FP16, WEIGHT_FORMATS, WeightScheme
from planner.units import GIB, MIB

PARAMETERS = {
    # The released checkpoint's tensors, its tied head counted once.
    "gpt2": 124_439_808,
    # arXiv:2005.14165 Table 2.1, 50,257 tokens and 2,048 learned positions.
    "gpt3-175b": 174_604_259_328,
    # Meta-device counts of the transformers classes, and total_size / 2 of the published shards.
    "llama-2-7b": 6_738_415_616,
    "llama-2-70b": 68_976_648_192,
    "llama-3.1-8b": 8_030_261_248,
    "llama-3.1-70b": 70_553_706_496,
    "llama-3.1-405b": 405_853_388_800,
    "mixtral-8x7b": 46_702_792_704,
    "gemma-2-9b": 9_241_705_984,
    "qwen3-30b-a3b": 30_532_122_624,
    "gpt-oss-20b": 20_914_757_184,
    "gpt-oss-120b": 116_829_156_672,
    "falcon-7b": 6_921_720_704,
    # state-spaces/mamba2-2.7b as its authors' class builds it.
    "mamba2-2.7b": 2_702_599_680,
}

# keras-hub's presets count the 262,144 tokens of the vocabulary; checkpoints pad them to 262,208.
GEMMA_3_WITHOUT_PADDING = {
    "gemma-3-4b": 3_880_099_328,
    "gemma-3-12b": 11_765_788_416,
    "gemma-3-27b": 27_009_002_240,
}


def fp16() -> Execution:
    return replace(half(), weights=WeightScheme(base=FP16, quantised=FP16), stream=FP16, cache=FP16)


@pytest.mark.parametrize(("name", "parameters"), PARAMETERS.items())
def test_parameters(name: str, parameters: int) -> None:
    assert load_model(name).parameters == parameters


@pytest.mark.parametrize(("name", "parameters"), GEMMA_3_WITHOUT_PADDING.items())
def test_gemma_3_against_an_independent_count(name: str, parameters: int) -> None:
    model = load_model(name)
    language_model = model.parameters - sum(tower.parameters for tower in model.towers)
    assert language_model - 64 * model.hidden == parameters


def test_active_parameters() -> None:
    # openai/gpt-oss: 3.6 B and 5.1 B active without the embedding, unembedding included.
    for name, published_billion in (("gpt-oss-20b", 3.6), ("gpt-oss-120b", 5.1)):
        model = load_model(name)
        table = model.embedding.tensors()[0].elements
        assert round((model.active_parameters - table) / 1e9, 1) == published_billion
    assert load_model("llama-3.1-8b").active_parameters == 8_030_261_248


@pytest.mark.parametrize(
    ("name", "token_bytes"),
    [
        # 2 · layers · KV heads · head dimension · 2 bytes
        ("gpt3-175b", 4_718_592),
        ("llama-2-7b", 524_288),
        ("llama-3.1-8b", 131_072),
        ("llama-3.1-70b", 327_680),
        ("llama-3.1-405b", 516_096),
    ],
)
def test_cache_per_token(name: str, token_bytes: int) -> None:
    model = load_model(name)
    assert model.cache_bytes_per_token(fp16()) == token_bytes
    assert model.cache_bytes(1000, fp16()) == 1000 * token_bytes


def all_full(model: Model) -> Model:
    """The same model with every window opened."""
    layers = {
        layer: Layer(
            layer.name,
            tuple(
                replace(part, window=None) if isinstance(part, Attention) else part
                for part in layer.parts
            ),
        )
        for layer, _ in model.groups
    }
    return replace(model, layers=tuple(layers[layer] for layer in model.layers))


def test_gemma_3_27b_at_131_072_tokens() -> None:
    model = load_model("gemma-3-27b")
    assert model.cache_bytes(131_072, half()) / GIB == pytest.approx(10.41, abs=0.005)
    assert all_full(model).cache_bytes(131_072, half()) == 62 * GIB


def test_gpt_oss_120b_at_131_072_tokens() -> None:
    model = load_model("gpt-oss-120b")
    assert model.cache_bytes(131_072, half()) / GIB == pytest.approx(4.50, abs=0.005)


@pytest.mark.parametrize("context", [1, 2048, 10**6])
def test_mamba_2_keeps_its_state_at_any_context(context: int) -> None:
    # 64 layers of 80·64·128 fp32 and (5120 + 256)·3 bf16.
    model = load_model("mamba2-2.7b")
    state = model.cache_bytes(context, half())
    assert state == 64 * (80 * 64 * 128 * 4 + 5376 * 3 * 2)
    assert round(state / MIB, 1) == 162.0


def test_quantised_checkpoints_are_stored_as_published() -> None:
    # MXFP4 experts, one byte of scale per 32 elements, the rest bf16: the repositories' tensors.
    for name, size in (("gpt-oss-20b", 13_761_264_768), ("gpt-oss-120b", 65_248_815_744)):
        model = load_model(name)
        checkpoint = model.checkpoint
        assert checkpoint.quantised == "mxfp4"
        scheme = WeightScheme(
            base=BF16,
            quantised=WEIGHT_FORMATS["mxfp4"],
            roles=frozenset(checkpoint.roles),
        )
        assert model.weights_bytes(replace(half(), weights=scheme)) == size


def test_an_fp8_cache_halves_it() -> None:
    model = load_model("llama-3.1-8b")
    small = replace(half(), cache=CACHE_FORMATS["fp8"])
    assert 2 * model.cache_bytes(4096, small) == model.cache_bytes(4096, half())
