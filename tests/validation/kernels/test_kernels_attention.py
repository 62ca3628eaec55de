"""Attention kernels against their equation, and the equation against the library's attention."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("triton")

from torch.nn.functional import scaled_dot_product_attention  # noqa: E402

from validation.kernels import attention, load, paged_cache  # noqa: E402
from validation.kernels.flash_prefill import flash_prefill  # noqa: E402
from validation.kernels.kernel import KernelInputError, compare, verify  # noqa: E402
from validation.kernels.launch import triton_available  # noqa: E402
from validation.kernels.mla_decode import LatentTile, mla_decode  # noqa: E402
from validation.kernels.paged_decode import DecodeTile, paged_decode  # noqa: E402
from validation.kernels.prefill_tiles import PrefillTile  # noqa: E402

CPU = torch.device("cpu")
HERE, WHY_NOT = triton_available(CPU)

pytestmark = [pytest.mark.oracle, pytest.mark.skipif(not HERE, reason=WHY_NOT)]

HALF, FULL = [torch.bfloat16], [torch.float32, torch.bfloat16, torch.float16]
SMALL = {"batch": 1, "query_heads": 2, "kv_heads": 1, "head_dim": 64}
LATENT = {"kv_lora_rank": 512, "qk_rope_head_dim": 64, "qk_nope_head_dim": 128, "v_head_dim": 128}


def each_in(dtypes: list[Any], *shapes: dict[str, Any]) -> list[tuple[dict[str, Any], Any]]:
    return [(shape, dtype) for shape in shapes for dtype in dtypes]


def check(name: str, shape: dict[str, Any], dtype: Any, candidate: Any = None) -> None:
    kernel = load(name)
    inputs = kernel.make_inputs(shape, dtype, CPU, 7)
    if candidate is None:
        result = verify(kernel, inputs, dtype)
    else:
        expected = kernel.reference(inputs)
        actual = kernel.run_with(inputs, kernel.make_outputs(inputs), candidate)
        result = compare(actual, expected, kernel.tolerance(dtype))
    assert result.correct, result.reason


# --- prefill ---


@pytest.mark.parametrize(
    ("shape", "dtype"),
    each_in(
        FULL,
        {"new_tokens": 77, "query_heads": 4, "kv_heads": 4},
        {"new_tokens": 33, "head_dim": 256, "cached_tokens": 70},
        {"new_tokens": 150, "cached_tokens": 91, "window": 64},
    )
    + each_in(
        HALF,
        {"new_tokens": 1},
        {"new_tokens": 64, "batch": 2},
        {"new_tokens": 130, "query_heads": 6, "kv_heads": 2},
        {"new_tokens": 65, "head_dim": 128, "query_heads": 8},
        {"new_tokens": 1, "cached_tokens": 100, "batch": 3},
        {"new_tokens": 70, "cached_tokens": 61},
        {"new_tokens": 70, "cached_tokens": 64, "window": 1},
        {"new_tokens": 150, "window": 40},
        {"new_tokens": 90, "cached_tokens": 20, "window": 100},
        {"new_tokens": 90, "window": 90},
        {"new_tokens": 90, "window": 5000},
    ),
    ids=str,
)
def test_flash_prefill(shape: dict[str, Any], dtype: Any) -> None:
    check("triton_flash_prefill", SMALL | shape, dtype)


@pytest.mark.parametrize(
    "tile",
    [
        PrefillTile(32, 16, 4, 1),
        PrefillTile(16, 64, 4, 1),
        PrefillTile(32, 16, 4, 1, True),
        PrefillTile(16, 64, 4, 1, True),
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "shape",
    [
        {"new_tokens": 61},
        {"new_tokens": 50, "cached_tokens": 37, "batch": 2},
        {"new_tokens": 80, "cached_tokens": 9, "window": 21},
        {"new_tokens": 40, "cached_tokens": 81, "window": 3},
    ],
    ids=str,
)
def test_flash_prefill_at_every_boundary_of_its_tiles(
    shape: dict[str, Any], tile: PrefillTile
) -> None:
    check("triton_flash_prefill", SMALL | shape, torch.bfloat16, tile)


def test_flash_prefill_reads_strided_views() -> None:
    """Queries, keys and values cut out of one fused projection, without a copy."""
    fused = torch.randn(1, 40, 4, 64, generator=torch.Generator().manual_seed(0))
    query, key, value = fused[:, :, :2], fused[:, :, 2:3], fused[:, :, 3:]
    inputs = attention.AttentionInputs(query=query, key=key, value=value, window=None, scale=0.1)
    out = flash_prefill(query, key, value, scale=0.1)
    tolerance = attention.ATTENTION_TOLERANCES[torch.float32]
    assert compare({"out": out}, attention.reference(inputs), tolerance).correct


def test_flash_prefill_of_large_scores() -> None:
    """Scores in the hundreds neither overflow nor wash out."""
    inputs = attention.make_attention_inputs(SMALL | {"new_tokens": 70}, torch.float32, CPU, 1)
    out = flash_prefill(inputs.query, inputs.key, inputs.value, scale=20.0)
    expected = attention.reference(
        attention.AttentionInputs(
            query=inputs.query, key=inputs.key, value=inputs.value, window=None, scale=20.0
        )
    )
    assert torch.allclose(out.double(), expected["out"], atol=1e-3)


# --- paged decode ---


@pytest.mark.parametrize(
    ("shape", "dtype"),
    each_in(
        FULL,
        {"context_lengths": [1, 77, 300], "batch": 3, "query_heads": 4, "kv_heads": 2},
        {"cached_tokens": 70, "head_dim": 256, "new_tokens": 3, "block_tokens": 48},
        {"cached_tokens": 200, "window": 50, "batch": 2},
    )
    + each_in(
        HALF,
        {"cached_tokens": 0},
        {"cached_tokens": 15, "batch": 2},
        {"cached_tokens": 200, "query_heads": 4, "kv_heads": 4},
        {"cached_tokens": 129, "head_dim": 128, "query_heads": 8},
        {"cached_tokens": 40, "window": 500},
        {"cached_tokens": 100, "window": 1},
        {"context_lengths": [4, 190], "batch": 2, "new_tokens": 4, "window": 30},
        {"cached_tokens": 60, "query_heads": 71, "block_tokens": 256},
    ),
    ids=str,
)
def test_paged_decode(shape: dict[str, Any], dtype: Any) -> None:
    check("triton_paged_decode", SMALL | shape, dtype)


@pytest.mark.parametrize("splits", [1, 2, 7])
@pytest.mark.parametrize("block_n", [16, 32])
@pytest.mark.parametrize(
    "shape",
    [
        {"context_lengths": [3, 100], "batch": 2, "block_tokens": 16},
        {"cached_tokens": 150, "window": 40, "new_tokens": 2, "block_tokens": 32},
        {"cached_tokens": 90, "window": 33, "block_tokens": 5},
    ],
    ids=str,
)
def test_paged_decode_with_any_split(shape: dict[str, Any], splits: int, block_n: int) -> None:
    """More splits than tiles leave some without keys."""
    check("triton_paged_decode", SMALL | shape, torch.bfloat16, DecodeTile(block_n, 4, 1, splits))


# --- latent attention ---


@pytest.mark.parametrize(
    ("shape", "dtype"),
    each_in(FULL, {"query_heads": 16, "cached_tokens": 99, "batch": 2})
    + each_in(
        HALF,
        {"query_heads": 20, "context_lengths": [3, 70], "batch": 2, "new_tokens": 3},
        {"query_heads": 4, "context_lengths": [1, 130], "batch": 2, "block_tokens": 0},
        {"query_heads": 5, "cached_tokens": 63, "batch": 1, "block_tokens": 7},
    ),
    ids=str,
)
def test_mla_decode(shape: dict[str, Any], dtype: Any) -> None:
    check("triton_mla_decode", LATENT | shape, dtype)


@pytest.mark.parametrize("splits", [1, 5])
@pytest.mark.parametrize("block_tokens", [0, 16])
def test_mla_decode_with_any_split(splits: int, block_tokens: int) -> None:
    shape = {
        "batch": 2,
        "query_heads": 40,
        "kv_lora_rank": 64,
        "qk_rope_head_dim": 16,
        "context_lengths": [2, 50],
        "block_tokens": block_tokens,
    }
    check("triton_mla_decode", shape, torch.bfloat16, LatentTile(16, 16, 4, 1, splits))


def test_mla_decode_is_attention_of_the_expanded_heads() -> None:
    """Absorbing the projections changes nothing: heads expanded from the latent agree."""
    generator = torch.Generator().manual_seed(3)
    heads, latent, rope, nope, width, tokens = 4, 64, 16, 32, 24, 50

    def normal(*size: int) -> Any:
        return torch.randn(size, dtype=torch.float64, generator=generator)

    key_up, value_up = normal(heads, nope, latent) / 8, normal(heads, width, latent) / 8
    query, query_rope = normal(heads, nope), normal(heads, rope)
    cached = normal(tokens, latent + rope)
    scale = (nope + rope) ** -0.5

    keys = torch.einsum("hnl,tl->htn", key_up, cached[:, :latent])
    scores = torch.einsum("hn,htn->ht", query, keys) + query_rope @ cached[:, latent:].T
    values = torch.einsum("hvl,tl->htv", value_up, cached[:, :latent])
    expected = torch.einsum("ht,htv->hv", torch.softmax(scale * scores, -1), values)

    inputs = load("triton_mla_decode").make_inputs(
        {
            "batch": 1,
            "query_heads": heads,
            "kv_lora_rank": latent,
            "qk_rope_head_dim": rope,
            "qk_nope_head_dim": nope,
            "cached_tokens": tokens - 1,
            "block_tokens": 0,
        },
        torch.float32,
        CPU,
        0,
    )
    absorbed = torch.cat([torch.einsum("hn,hnl->hl", query, key_up), query_rope], -1)
    inputs.query.copy_(absorbed[None, None])
    inputs.cache.copy_(cached[None])
    out = mla_decode(inputs)[0, 0].double()
    got = torch.einsum("hl,hvl->hv", out, value_up)
    assert torch.allclose(got, expected, rtol=1e-4, atol=1e-5)


# --- the equation itself ---


@pytest.mark.parametrize("window", [None, 9])
@pytest.mark.parametrize("cached", [0, 13])
def test_reference_agrees_with_the_library(window: int | None, cached: int) -> None:
    shape = {
        "batch": 2,
        "query_heads": 6,
        "kv_heads": 2,
        "head_dim": 32,
        "new_tokens": 21,
        "cached_tokens": cached,
        "window": window,
    }
    inputs = attention.make_attention_inputs(shape, torch.float32, CPU, 0)
    keys = cached + 21
    mask = torch.ones(21, keys, dtype=torch.bool).tril(cached)
    if window is not None:
        mask &= torch.ones(21, keys, dtype=torch.bool).triu(cached - window + 1)
    expected = scaled_dot_product_attention(
        *(each.double().transpose(1, 2) for each in (inputs.query, inputs.key, inputs.value)),
        attn_mask=mask,
        enable_gqa=True,
    ).transpose(1, 2)
    assert torch.allclose(attention.reference(inputs)["out"], expected, atol=1e-12)


def test_reference_in_chunks_of_queries(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = attention.make_attention_inputs(
        SMALL | {"new_tokens": 21, "window": 8}, torch.float32, CPU, 0
    )
    whole = attention.reference(inputs)["out"]
    monkeypatch.setattr(attention, "_REFERENCE_SCORES", 100)
    assert torch.allclose(attention.reference(inputs)["out"], whole, atol=1e-14)


def test_paged_reference_is_attention_of_each_sequence() -> None:
    shape = SMALL | {"batch": 2, "context_lengths": [9, 40], "new_tokens": 2}
    inputs = paged_cache.make_paged_inputs(shape, torch.float32, CPU, 0)
    row = paged_cache.sequence_of(inputs, 1)
    assert row.key.shape == (1, 40, 1, 64)
    assert torch.isfinite(row.key).all()
    assert torch.isnan(inputs.key_cache).any(), "unused slots are poisoned"
    out = paged_cache.reference(inputs)["out"]
    assert torch.equal(out[1:], attention.reference(row)["out"])


# --- what they refuse ---


def test_prefill_refuses_what_does_not_fit() -> None:
    q, k = torch.randn(1, 8, 4, 64), torch.randn(1, 8, 2, 64)
    for query, key, value, options, word in (
        (q[:, :, :3], k, k, {}, "divisor of 3"),
        (q, k[:, :4], k[:, :4], {}, "fewer keys"),
        (q, k, k[:, :4], {}, "wrong shape"),
        (q, k.bfloat16(), k.bfloat16(), {}, "dtypes"),
        (q.double(), k.double(), k.double(), {}, "bfloat16, float16, float32"),
        (q[..., :48], k[..., :48], k[..., :48], {}, "head_dim"),
        (q, k, k, {"window": 0}, "window"),
        (q, k, k, {"scale": -1.0}, "positive"),
        (q, k, k, {"out": torch.empty(1, 8, 4, 32)}, "wrong shape"),
        (q.transpose(1, 3).contiguous().transpose(1, 3), k, k, {}, "strided"),
    ):
        with pytest.raises(KernelInputError, match=word):
            flash_prefill(query, key, value, **options)


def test_decode_refuses_what_does_not_fit() -> None:
    with pytest.raises(KernelInputError, match="too short"):
        paged_cache.make_paged_inputs(
            SMALL | {"context_lengths": [2], "new_tokens": 3}, torch.float32, CPU, 0
        )
    with pytest.raises(KernelInputError, match="not one per sequence"):
        paged_cache.make_paged_inputs(SMALL | {"context_lengths": [2, 2]}, torch.float32, CPU, 0)
    with pytest.raises(KernelInputError, match="missing"):
        paged_cache.make_paged_inputs({"batch": 1}, torch.float32, CPU, 0)
    inputs = paged_cache.make_paged_inputs(SMALL | {"cached_tokens": 40}, torch.float32, CPU, 0)
    with pytest.raises(KernelInputError, match="contiguous"):
        paged_decode(inputs, out=torch.empty(1, 1, 2, 128)[..., ::2])
    shape = LATENT | {"batch": 1, "query_heads": 4, "cached_tokens": 9, "kv_lora_rank": 48}
    kernel = load("triton_mla_decode")
    assert not kernel.usable(shape, torch.float32, CPU)[0]
    with pytest.raises(KernelInputError, match="latent_dim"):
        mla_decode(kernel.make_inputs(shape, torch.float32, CPU, 0))
