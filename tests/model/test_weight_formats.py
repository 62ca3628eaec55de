"""Stored bytes of weights, against published files and the formats' own definitions."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.errors import PrecisionError
from planner.importers import load_model
from planner.model import Layout, Model, Step
from planner.model.execution import half
from planner.model.formats.ggml import GGML_TYPES, fitting_type
from planner.model.formats.mixes import MIXES, Place, Stack
from planner.model.schemes import weight_scheme
from planner.model.storage import WEIGHT_FORMATS, weight_format
from planner.model.tensor import Tensor

LLAMA_3_1_GGUF_WEIGHTS = 8_030_261_248 + 64  # GGUF files hold 64 fp32 factors of its angles

# llama.cpp, tools/quantize/README.md: bits per weight of Llama 3.1 8B.
LLAMA_3_1_8B_BITS = {
    "iq1_s": 2.0042, "iq1_m": 2.1460, "iq2_xxs": 2.3824, "iq2_xs": 2.5882, "iq2_s": 2.7403,
    "iq2_m": 2.9294, "iq3_xxs": 3.2548, "iq3_xs": 3.4977, "iq3_s": 3.6606, "iq3_m": 3.7628,
    "iq4_xs": 4.4597, "iq4_nl": 4.6818, "q2_k_s": 2.9697, "q2_k": 3.1593, "q3_k_s": 3.6429,
    "q3_k_l": 4.2979, "q4_k_s": 4.6672, "q4_k_m": 4.8944, "q5_k_s": 5.5704, "q5_k_m": 5.7036,
    "q6_k": 6.5633, "q8_0": 8.5008, "gguf_f16": 16.0005,
}  # fmt: skip

# The same rules, to the byte; those made with and without an importance matrix.
LLAMA_3_1_8B_BYTES = {
    "IQ1_S": 2_011_791_616, "IQ1_M": 2_154_135_808, "IQ2_XXS": 2_391_376_128,
    "IQ2_XS": 2_597_945_600, "IQ2_S": 2_750_652_672, "IQ2_M": 2_940_444_928,
    "IQ3_XXS": 3_267_076_352, "IQ3_XS": 3_510_911_232, "IQ3_S": 3_674_489_088,
    "IQ3_M": 3_776_987_392, "IQ4_XS": 4_476_526_848, "IQ4_NL": 4_699_513_088,
    "Q2_K_S": 2_980_978_944, "Q2_K": 3_171_295_488, "Q3_K_S": 3_656_663_296,
    "Q3_K_M": 4_011_081_984, "Q3_K_L": 4_314_120_448, "Q4_0": 4_653_375_744,
    "Q4_K_S": 4_684_833_024, "Q4_K_M": 4_912_898_304, "Q5_K_S": 5_591_458_048,
    "Q5_K_M": 5_725_151_488, "Q6_K": 6_588_170_496, "Q8_0": 8_532_934_912,
    "F16": 16_061_055_232,
}  # fmt: skip
LLAMA_3_1_8B_OTHER_BITS = {
    "iq3_xxs_no_imatrix": 3.3736, "iq4_xs_imatrix": 4.4231, "iq4_nl_imatrix": 4.6526,
}  # fmt: skip

# Published files of Llama 2 7B less their header of 741,056 bytes (Q4_K_M, Q8_0), and the rules.
LLAMA_2_7B_BYTES = {
    "q4_k_m": 4_081_004_224 - 741_056, "q8_0": 7_161_089_728 - 741_056,
    "q2_k": 2_532_122_624, "q3_k_m": 3_297_263_616, "q4_0": 3_825_065_984,
    "q4_k_s": 3_855_998_976, "q5_k_m": 4_782_415_872, "q6_k": 5_528_453_120,
    "gguf_f16": 13_477_363_712,
    "gptq": 3_893_862_400, "gptq_4_g64": 4_020_346_880, "gptq_4_g32": 4_273_315_840,
    "awq": 3_889_307_648, "nf4_double": 3_865_855_680, "bnb_int8": 7_006_265_344,
    "aqlm_1x16": 2_381_422_592, "aqlm_2x8": 2_148_376_576,
}  # fmt: skip
OTHERS = {
    ("llama-2-70b", "gptq_4_gall"): 35_318_431_744,
    ("llama-2-70b", "gptq"): 36_638_572_544,
    ("llama-2-70b", "aqlm_1x16"): 18_764_611_584,
    ("llama-2-70b", "aqlm_2x8"): 18_181_996_544,
    ("llama-3.1-70b", "awq"): 39_767_785_472,
    ("llama-3.1-70b", "nvfp4"): 42_709_045_632,
    ("llama-3.1-8b", "gptq"): 5_732_835_328,
    ("llama-3.1-8b", "awq"): 5_727_854_592,
    ("llama-3.1-8b", "nf4_double"): 5_702_559_424,
    ("llama-3.1-8b", "fp8_tensor"): 9_081_202_432,
    ("llama-3.1-8b", "fp8_block"): 9_082_904_576,
    ("llama-3.1-8b", "fp8_channel_bf16"): 9_083_953_152,
    ("llama-3.1-8b", "nvfp4"): 6_027_749_120,
    ("llama-3.1-8b", "exl3_4.0"): 4_940_376_576,
}


def stored(model: Model, name: str, tp: int = 1) -> int:
    return model.weights_bytes(
        replace(half(), weights=weight_scheme(model, name)), layout=Layout(tp=tp)
    )


@pytest.fixture(scope="module")
def llama() -> Model:
    return load_model("llama-3.1-8b")


@pytest.mark.parametrize(("name", "bits"), (LLAMA_3_1_8B_BITS | LLAMA_3_1_8B_OTHER_BITS).items())
def test_bits_per_weight_of_every_published_mix(llama: Model, name: str, bits: float) -> None:
    assert round(8 * stored(llama, name) / LLAMA_3_1_GGUF_WEIGHTS, 4) == bits


@pytest.mark.parametrize(("name", "size"), LLAMA_3_1_8B_BYTES.items())
def test_mixes_to_the_byte(llama: Model, name: str, size: int) -> None:
    assert stored(llama, name) == size


@pytest.mark.parametrize(("name", "size"), LLAMA_2_7B_BYTES.items())
def test_llama_2_7b_as_published(name: str, size: int) -> None:
    assert stored(load_model("llama-2-7b"), name) == size


@pytest.mark.parametrize(("case", "size"), OTHERS.items())
def test_other_published_sizes(case: tuple[str, str], size: int) -> None:
    model, name = case
    assert stored(load_model(model), name) == size


# microsoft/Phi-3-mini-4k-instruct-gguf, Phi-3-mini-4k-instruct-q4.gguf: 2,393,231,072 bytes, the
# header of a vocabulary of 32K included. Its queries, keys and values are one matrix.
def test_a_model_with_queries_keys_and_values_in_one_matrix() -> None:
    model = load_model("phi-3-mini-4k")
    assert 700_000 < 2_393_231_072 - stored(model, "q4_k_m") < 800_000
    scheme = weight_scheme(model, "q4_k_m").in_layer(0)
    (attention,) = [part for part in model.layers[0].parts if part.kind == "attention"]
    kinds = {scheme.format_of(t).name for t in attention.tensors() if "o_proj" not in t.name}
    assert kinds == {"ggml_q5_k"}


# A published file of Llama 3.1 70B, less its header of about 7.8 MB.
def test_a_model_of_the_70b_class() -> None:
    assert 0 < 42_520_395_584 - stored(load_model("llama-3.1-70b"), "q4_k_m") < 8_000_000


def test_rows_that_no_block_divides() -> None:
    model = load_model("gpt-oss-20b")
    # 2,880 is no multiple of 256: Q4_K becomes Q5_0, Q6_K becomes Q8_0.
    scheme = weight_scheme(model, "q4_k_m").in_layer(0)
    names = {
        tensor.name: scheme.format_of(tensor).name
        for part in model.layers[0].parts
        for tensor in part.tensors()
    }
    assert names["self_attn.k_proj.weight"] == "ggml_q5_0"
    assert names["mlp.experts.down_proj"] == "ggml_q8_0"
    assert names["self_attn.o_proj.weight"] == "ggml_q4_k"
    assert names["mlp.router.weight"] == names["self_attn.sinks"] == "fp32"
    assert fitting_type("iq3_s", 2880) == "iq4_nl"


def test_eight_experts() -> None:
    model = load_model("mixtral-8x7b")
    scheme = weight_scheme(model, "q4_k_m").in_layer(5)
    kinds = {
        tensor.name.rpartition(".")[0] or tensor.name: scheme.format_of(tensor).name
        for part in model.layers[5].parts
        for tensor in part.tensors()
    }
    assert kinds["self_attn.v_proj"] == kinds["self_attn.k_proj"] == "ggml_q8_0"
    assert kinds["self_attn.o_proj"] == "ggml_q5_k"
    assert kinds["self_attn.q_proj"] == "ggml_q4_k"


def test_more_bits_go_to_half_of_32_layers() -> None:
    places = [
        Place(index=i, count=32, stack=Stack(layers=32), imatrix=False).more_bits for i in range(32)
    ]
    assert sum(places) == 16
    assert places[:4] == [True] * 4
    assert places[28:] == [True] * 4


@pytest.mark.parametrize("name", sorted(MIXES))
def test_every_mix_stores_every_model(name: str) -> None:
    for model in map(load_model, ("gpt2", "gemma-2-9b", "mamba2-2.7b", "qwen3-30b-a3b")):
        size = stored(model, name)
        assert size < 4 * model.parameters * 1.01
        assert 2 * stored(model, name, tp=1) >= size


@pytest.mark.parametrize("name", ["q4_k_m", "gptq", "nf4_double", "exl3_4.0"])
def test_operations_read_what_is_stored(llama: Model, name: str) -> None:
    """Over all layers, products read the weights of the mix, whatever the layer."""
    execution = replace(half(), weights=weight_scheme(llama, name))
    read = sum(
        operation.weight_bytes * count
        for _, operation, count in llama.operations(Step.decode(1, 1), execution)
        if operation.kind == "gemm"
    )
    kept = sum(
        scheme.tensor_bytes(tensor) * times
        for _, part, times, scheme in llama.stored_parts(execution.weights)
        for tensor in part.tensors()
        if tensor.role in ("linear", "head")
    )
    assert read == kept


def test_a_tied_head_is_the_table() -> None:
    model = load_model("gemma-2-9b")
    scheme = weight_scheme(model, "q4_k_m").in_layer(None)
    table, head = (
        scheme.format_of(Tensor(name, (256000, 3584), role))  # type: ignore[arg-type]
        for name, role in (("embed_tokens.weight", "embedding"), ("lm_head.weight", "head"))
    )
    assert table.name == head.name == "ggml_q6_k"


def test_blocks_of_every_type() -> None:
    for kind in GGML_TYPES.values():
        rows, columns = 3, 2 * kind.block_elements
        assert weight_format(kind.format_name).matrix_size_bytes(rows, columns) == (
            rows * 2 * kind.block_bytes
        )


@pytest.mark.parametrize(
    ("name", "bits"),
    [
        # bits + (16 + bits)/group + 32/N for GPTQ, 4 + 20/group for AWQ, bits + 32/group for HQQ.
        ("gptq_4_g128", 4 + 20 / 128 + 32 / 4096),
        ("gptq_3_g64", 3 + 19 / 64 + 32 / 4096),
        ("gptq_8_gall", 8 + 24 / 4096 + 32 / 4096),
        ("awq", 4.15625),
        ("hqq4", 4.5),
        ("hqq2_g64", 2.5),
        ("hqq8", 8.5),
        ("hqq3", 3.2 + 0.5),
        ("mxfp4", 4.25),
        ("mxfp8", 8.25),
        ("fp8_block", 8 + 32 / 16384),
        ("exl3_2.5", 2.5 + 2 * 16 / 4096),
        ("exl2_4.65", 4.65),
        ("packed4_g32", 4.5 + 8 * 16 / 4096**2),
        ("packed4_g128_zero_index", 4 + 20 / 128 + 32 / 4096 + 8 * 16 / 4096**2),
    ],
)
def test_bits_of_a_square_matrix(name: str, bits: float) -> None:
    size = weight_format(name).matrix_size_bytes(4096, 4096)
    assert 8 * size / 4096**2 == pytest.approx(bits, rel=1e-6)


def test_unknown_formats_name_the_known() -> None:
    model = load_model("gpt2")
    for name in ("q9_k", "gptq_5_g128", "exl3_4.0_h99", "awq_g0", "aqlm_1x99", "", "ggml_q9"):
        with pytest.raises(PrecisionError) as caught:
            weight_scheme(model, name)
        assert "q4_k_m" in str(caught.value)


@given(
    rows=st.integers(1, 600),
    columns=st.integers(1, 600),
    name=st.sampled_from(
        [*WEIGHT_FORMATS, "gptq_3_g64", "awq", "hqq4", "hqq3", "exl3_3.5", "ggml_q4_k"]
    ),
)
def test_sizes_grow_with_shapes_and_hold_the_elements(rows: int, columns: int, name: str) -> None:
    fmt = weight_format(name)
    size = fmt.matrix_size_bytes(rows, columns)
    assert 8 * size >= rows * columns * fmt.bits
    assert fmt.matrix_size_bytes(rows + 1, columns) >= size
    assert fmt.matrix_size_bytes(rows, columns + 1) >= size
    assert fmt.matrix_size_bytes(rows, columns, 3) == 3 * size


@given(tp=st.sampled_from([1, 2, 4, 8]), name=st.sampled_from(["q4_k_m", "gptq", "nf4_double"]))
def test_ranks_hold_at_least_their_share(tp: int, name: str) -> None:
    model = load_model("llama-3.1-8b")
    assert stored(model, name, tp=tp) * tp >= stored(model, name)
