"""Real modules and tensors against the planner: parameters, bytes, FLOP, and the right answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from planner import load_model  # noqa: E402
from planner.cost.shapes import NoModelError, execution_of  # noqa: E402
from planner.deployment import weight_scheme  # noqa: E402
from planner.importers import import_config, model_ids  # noqa: E402
from planner.model import Layout, Model, Step  # noqa: E402
from planner.model.mixers.linear_delta import GatedDeltaNet  # noqa: E402
from planner.model.storage import CACHE_FORMATS, WEIGHT_FORMATS  # noqa: E402
from validation import steps  # noqa: E402
from validation.allocation import all_cache_tensors, filled, watched, weight_tensors  # noqa: E402
from validation.blocks.gated_delta import GatedDeltaBlock  # noqa: E402
from validation.blocks.positions import Positions  # noqa: E402
from validation.checkpoint import FOLDER, configuration  # noqa: E402
from validation.decoder import Decoder  # noqa: E402
from validation.flop import check_flop, counted_flop, model_flop  # noqa: E402
from validation.memory import CHECKS  # noqa: E402
from validation.reduction import cut  # noqa: E402

pytestmark = pytest.mark.oracle

HOST = torch.device("cpu")
SMALL = {
    "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 4, "num_attention_heads": 8,
    "num_key_value_heads": 4, "head_dim": 16, "vocab_size": 160, "max_position_embeddings": 64,
}  # fmt: skip
LATENT = {
    "num_key_value_heads": 8, "q_lora_rank": 24, "kv_lora_rank": 32, "qk_nope_head_dim": 16,
    "qk_rope_head_dim": 8, "v_head_dim": 12,
}  # fmt: skip
INDEXED = {"index_n_heads": 4, "index_head_dim": 16, "index_topk": 8}
ROUTED = {
    "n_routed_experts": 8, "n_shared_experts": 1, "first_k_dense_replace": 1,
    "num_experts_per_tok": 2, "moe_intermediate_size": 32,
}  # fmt: skip
FAMILIES: dict[str, dict[str, Any]] = {
    "llama": SMALL,
    "mistral": SMALL | {"sliding_window": 8},
    "gpt_oss": SMALL | {"num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": 8},
    "qwen3_moe": SMALL
    | {"num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 32},
    "gpt2": {"n_embd": 64, "n_layer": 3, "n_head": 8, "n_positions": 64, "vocab_size": 160},
    "mamba2": {
        "hidden_size": 64, "num_hidden_layers": 2, "vocab_size": 160, "num_heads": 8,
        "head_dim": 16, "n_groups": 2, "state_size": 16, "chunk_size": 16, "expand": 2,
    },
    "bloom": {"hidden_size": 64, "n_layer": 3, "n_head": 8, "vocab_size": 160},
    "olmo2": SMALL,
    "deepseek_v3": SMALL | LATENT | ROUTED | {"n_group": 1, "topk_group": 1},
    "deepseek_v2": SMALL | LATENT | ROUTED | {"q_lora_rank": None},
    "deepseek_v32": SMALL | LATENT | ROUTED | INDEXED | {"n_group": 1, "topk_group": 1},
    "glm_moe_dsa": SMALL
    | LATENT | ROUTED | INDEXED
    | {"n_group": 1, "topk_group": 1, "indexer_types": ["full", "full", "shared", "shared"]},
    "llama4_text": SMALL
    | {
        "attention_chunk_size": 8, "num_local_experts": 4, "num_experts_per_tok": 1,
        "intermediate_size_mlp": 96,
    },
    "qwen3_next": SMALL
    | {
        "linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_key_head_dim": 16,
        "linear_value_head_dim": 16, "linear_conv_kernel_dim": 4, "num_experts": 4,
        "num_experts_per_tok": 2, "moe_intermediate_size": 32,
        "shared_expert_intermediate_size": 32,
    },
}  # fmt: skip


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    yield
    steps.forget()


def small(family: str) -> Model:
    return import_config({"model_type": family, **FAMILIES[family]}, where=family)


@pytest.mark.parametrize("family", FAMILIES)
def test_decoder_is_the_model(family: str) -> None:
    model, execution = small(family), execution_of("fp32")
    decoder = Decoder(model, execution, HOST).randomised()
    assert sum(each.numel() for each in decoder.parameters()) == model.parameters
    ids = torch.randint(0, 160, (2, 32))
    caches = decoder.caches(2, 32)
    flop = counted_flop(lambda: decoder(ids, caches))
    assert flop == model_flop(model, execution, Step.prefill(2, 32))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_cache_gives_the_same_answer_as_reading_all(family: str) -> None:
    """Also beyond the window, where the ring of keys and values has been filled twice."""
    torch.manual_seed(0)
    decoder = Decoder(small(family), execution_of("fp32"), HOST).randomised()
    ids = torch.randint(0, 160, (2, 35))
    with torch.no_grad():
        whole = decoder(ids, decoder.caches(2, 35))
        caches = decoder.caches(2, 35)
        decoder(ids[:, :32], caches)
        for position in (32, 33, 34):
            last = decoder(ids[:, [position]], caches, position)
    torch.testing.assert_close(last, whole, rtol=2e-4, atol=2e-5)


def test_the_delta_rule_in_chunks_is_the_rule_token_by_token() -> None:
    part = GatedDeltaNet(
        hidden=32, key_heads=2, value_heads=4, key_dim=16, value_dim=8, chunk=8, state_format="fp32"
    )
    torch.manual_seed(0)
    block = GatedDeltaBlock(part).requires_grad_(False)
    x, caches = torch.randn(2, 21, 32), (torch.zeros(2, 32, 16), torch.zeros(2, 96, 3))
    apart = [torch.zeros_like(cache) for cache in caches]
    whole = block(x, caches, Positions(0, 21, HOST, torch.float32))
    for token in range(21):
        last = block(x[:, [token]], tuple(apart), Positions(token, 1, HOST, torch.float32))
        torch.testing.assert_close(last[:, 0], whole[:, token], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(apart[0], caches[0], rtol=1e-4, atol=1e-5)


def test_every_model_of_the_catalog() -> None:
    """Nothing is built where the device is ``meta``: shapes alone are compared."""
    nowhere, execution = torch.device("meta"), execution_of("bf16")
    decoders = caches = 0
    reasons: list[str] = []
    for name in model_ids():
        model = load_model(name)
        short = cut(model, layers=len(model.groups))
        try:
            decoder = Decoder(short, execution, nowhere)
            counted = sum(each.numel() for each in decoder.parameters())
            assert counted == replace(short, towers=()).parameters, name
            decoders += 1
        except NoModelError as reason:
            reasons.append(f"{reason.what}: {reason.where}")
        try:
            made = all_cache_tensors(model, execution, batch=2, context=3000, device=nowhere)
        except NoModelError:
            continue
        held = sum(each.numel() * each.element_size() for each in made)
        assert held == 2 * model.cache_bytes(3000, execution), name
        caches += 1
    assert decoders > 0.75 * len(model_ids())
    assert all(" yet: " in reason for reason in reasons)
    assert caches > 0.9 * len(model_ids())


def test_what_a_block_would_leave_out_is_told() -> None:
    model = small("llama")
    attention = replace(model.layers[0].parts[1], own_kv=False)  # type: ignore[type-var]
    layer = replace(model.layers[0], parts=(model.layers[0].parts[0], attention))
    with pytest.raises(NoModelError, match=r"Attention\.own_kv"):
        Decoder(replace(model, layers=(layer,)), execution_of("fp32"), HOST)


def test_an_unknown_part_is_told() -> None:
    model = small("llama")
    layer = replace(model.layers[0], parts=(model.layers[0].parts[0], model.embedding))
    with pytest.raises(NoModelError, match="no PyTorch module of this part yet"):
        Decoder(replace(model, layers=(layer,)), execution_of("fp32"), HOST)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.json")), ids=lambda path: path.stem)
def test_configurations_are_those_of_the_catalog(path: Any) -> None:
    model, known = (
        import_config(json.loads(path.read_text()), where=path.name),
        load_model(path.stem),
    )
    assert model.parameters == known.parameters
    assert model.groups == known.groups
    assert (model.embedding, model.head) == (known.embedding, known.head)
    cuts = {"layers": 2, "vocabulary": 512, "experts": 8}
    short = import_config(configuration({"model": path.stem, **cuts}), where=path.name)
    assert short.parameters == cut(known, **cuts).parameters


CUT = {"layers": 1, "vocabulary": 512}
REAL: dict[str, dict[str, Any]] = {
    "mistral-7b-v0.1": CUT,
    "qwen3-30b-a3b": CUT | {"experts": 8},
    "mamba2-2.7b": CUT | {"layers": 2},
}


@pytest.mark.parametrize("maker", ["decoder", "transformers"])
@pytest.mark.parametrize("model", REAL)
def test_steps_hold_what_the_plan_says(model: str, maker: str) -> None:
    shape = {"model": model, **REAL[model], "batch": 2}
    for kind, load in (
        ("model_decode", {"cached_tokens": 40}),
        ("model_prefill", {"new_tokens": 8}),
    ):
        prepared = steps.prepare(kind, maker, shape | load, "fp32", HOST)
        assert [check for check in prepared.checks if not check.passed] == []
        with torch.no_grad():
            assert torch.isfinite(prepared.call()).all()


def test_an_extra_column_of_the_convolution_is_said() -> None:
    shape = {"model": "mamba2-2.7b", "layers": 2, "vocabulary": 512, "batch": 2}
    prepared = steps.prepare(
        "model_decode", "transformers", shape | {"cached_tokens": 9}, "fp32", HOST
    )
    shown, exact = prepared.checks[-2:]
    assert (shown.rule, exact.rule) == ("shown", "equal")
    columns = 2 * 2 * (5120 + 2 * 128) * 4
    assert shown.measured - shown.predicted == columns


@pytest.mark.parametrize(
    ("kind", "shape", "dtype"),
    [
        ("weights", {"model": "smollm2-135m", "layers": 4}, "bf16"),
        ("weights", {"model": "gpt-oss-20b", "layers": 1, "vocabulary": 512, "experts": 4,
                     "weights": "checkpoint"}, "bf16"),
        ("weights", {"model": "qwen2.5-0.5b", "layers": 2, "weights": "fp8_block"}, "bf16"),
        ("weights", {"model": "qwen2.5-0.5b", "layers": 2, "weights": "int4"}, "bf16"),
        ("cache", {"model": "gemma-3-1b", "batch": 2, "context": 700}, "bf16"),
        ("cache", {"model": "llama-3.1-8b", "batch": 1, "context": 99, "kv_dtype": "fp8"}, "bf16"),
        ("cache", {"model": "mamba2-780m", "batch": 1, "context": 99}, "fp32"),
        ("cache", {"model": "deepseek-v3", "batch": 1, "context": 99}, "bf16"),
        ("cache", {"model": "qwen2.5-0.5b", "batch": 2, "context": 99, "kv_dtype": "int4"}, "bf16"),
        ("paged_cache", {"model": "qwen2.5-0.5b", "batch": 3, "context": 100, "block_tokens": 16},
         "bf16"),
        ("attention_peak", {"batch": 1, "query_heads": 8, "kv_heads": 2, "head_dim": 64,
                            "new_tokens": 1024}, "fp32"),
    ],
)  # fmt: skip
def test_the_allocator_gives_what_was_predicted(kind: str, shape: Any, dtype: str) -> None:
    checks = CHECKS[kind](shape, dtype, HOST)
    assert len(checks) >= 2
    assert [check for check in checks if not check.passed] == []


NOWHERE = torch.device("meta")


def size(tensors: Iterable[Any]) -> int:
    return sum(each.numel() * each.element_size() for each in tensors)


@pytest.mark.parametrize("name", CACHE_FORMATS)
def test_caches_in_every_format(name: str) -> None:
    execution = replace(execution_of("bf16"), cache=CACHE_FORMATS[name])
    for model in map(load_model, ("qwen2.5-0.5b", "gemma-3-1b", "deepseek-v3.2", "qwen3.5-9b")):
        made = all_cache_tensors(model, execution, batch=2, context=777, device=NOWHERE)
        assert size(made) == 2 * model.cache_bytes(777, execution)


@pytest.mark.parametrize(
    "name", [*WEIGHT_FORMATS, "gptq_3_g64", "awq_g128", "hqq2_g16", "aqlm_2x8", "exl2_4.65"]
)
def test_weights_in_every_format(name: str) -> None:
    model = cut(load_model("qwen3-30b-a3b"), layers=1, vocabulary=640, experts=8)
    execution = replace(execution_of("bf16"), weights=weight_scheme(model, name))
    assert size(weight_tensors(model, execution, NOWHERE)) == model.weights_bytes(execution)


def test_a_wrong_prediction_would_show(monkeypatch: pytest.MonkeyPatch) -> None:
    before: Callable[..., int] = Model.weights_bytes
    monkeypatch.setattr(Model, "weights_bytes", lambda *a, **k: before(*a, **k) + 1)
    checks = CHECKS["weights"]({"model": "smollm2-135m", "layers": 1}, "bf16", HOST)
    assert all(not check.passed for check in checks)


def test_the_watch_sees_temporaries_and_what_stays() -> None:
    with watched(HOST) as seen:
        kept = torch.zeros(1000)
        torch.zeros(3000).sum()
    assert seen.net_bytes == kept.nbytes == 4000
    assert seen.peak_bytes >= 16000


def test_random_data_is_finite() -> None:
    for dtype in (torch.float32, torch.bfloat16, torch.float8_e4m3fn, torch.uint8):
        tensor = filled((3, 700_000), dtype, HOST)
        assert torch.isfinite(tensor.float()).all()
        assert tensor.float().std() > 0


def test_weights_of_a_rank() -> None:
    model, execution = load_model("smollm2-135m"), execution_of("bf16", tp=3)
    short = cut(model, layers=2, vocabulary=600)
    held = sum(each.nbytes for each in weight_tensors(short, execution, HOST))
    assert (
        held == short.weights_bytes(execution, layout=Layout(tp=3)) < short.weights_bytes(execution)
    )


def test_flop_check() -> None:
    shape = {"model": "llama-3.2-1b", "layers": 1, "vocabulary": 256, "batch": 1, "new_tokens": 16}
    assert all(check.passed for check in check_flop(shape, "fp32", HOST))
