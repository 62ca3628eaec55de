"""Cases for a host: its own roofline, really measured, and every Triton kernel for correctness.

Times begin around 50 µs, where a call into PyTorch no longer counts. Triton kernels run under the
interpreter on small shapes: right or wrong, but no time.
"""

from __future__ import annotations

from itertools import zip_longest

from validation.cases import Grid

_INTERPRETED = "Triton's interpreter: a time would be the interpreter's"
_UNFUSED = "unfused on a host: a time would be that of another kernel"
_ATTENTION = "batch query_heads kv_heads head_dim new_tokens cached_tokens window"
_DECODE = "batch query_heads kv_heads head_dim cached_tokens window"
_STATE = "batch new_tokens hidden heads head_dim groups state_dim conv_kernel"
_MODEL = "model layers vocabulary experts"
_FP32, _BOTH = ("fp32",), ("fp32", "bf16")

_PRODUCTS = Grid(
    kind="gemm",
    kernels=("torch_matmul",),
    dtypes=_BOTH,
    columns="m n k",
    rows=(
        (1, 4096, 4096),
        (512, 2048, 2048),
        (16, 4096, 2048),
        (128, 1024, 4096),
        (1024, 1024, 1024),
        (4, 2048, 8192),
        (64, 4096, 1024),
        (1, 1024, 8192),
        (256, 4096, 1024),
        (32, 2048, 2048),
        (2, 8192, 2048),
        (512, 512, 4096),
        (8, 4096, 4096),
        (256, 1024, 1024),
    ),
)

_COPIES = Grid(
    kind="memory_copy",
    kernels=("torch_copy",),
    dtypes=_FP32,
    columns="total_bytes",
    rows=tuple((2**power,) for power in (26, 22, 28, 24, 27, 23, 25, 21)),
)

_NORMS = tuple(
    Grid(
        kind="elementwise",
        kernels=(f"torch_fused_{norm}", f"torch_unfused_{norm}"),
        dtypes=_FP32,
        columns="tokens width",
        rows=rows,
        variant=norm,
    )
    for norm, rows in (
        ("rms_norm", ((1024, 4096), (256, 2048), (4096, 2048), (512, 8192), (2048, 1024))),
        ("layer_norm", ((2048, 2048), (512, 1024), (1024, 8192), (256, 4096))),
    )
)

_PREFILL = (
    Grid(
        kind="attention_prefill",
        kernels=("prefill_sdpa_flash",),
        dtypes=_FP32,
        columns=_ATTENTION,
        rows=(
            (1, 8, 8, 64, 1024, 0, None),
            (1, 16, 4, 128, 512, 0, None),
            (4, 8, 2, 64, 256, 0, None),
            (1, 8, 8, 64, 1536, 0, None),
            (1, 32, 8, 64, 512, 0, None),
            (2, 8, 8, 128, 512, 0, None),
            (1, 8, 1, 64, 1024, 0, None),
            (1, 16, 16, 128, 512, 0, None),
            (8, 8, 8, 64, 128, 0, None),
            (1, 4, 4, 64, 2048, 0, None),
            (1, 32, 8, 128, 256, 0, None),
            (2, 16, 4, 64, 768, 0, None),
        ),
    ),
    Grid(
        kind="attention_prefill",
        kernels=("naive_attention", "prefill_sdpa_math"),
        dtypes=_FP32,
        columns=_ATTENTION,
        rows=(
            (1, 8, 8, 64, 512, 0, None),
            (1, 16, 4, 64, 512, 0, None),
            (2, 8, 2, 128, 256, 0, None),
            (1, 8, 8, 64, 1024, 0, None),
            (4, 8, 8, 64, 256, 0, None),
            (1, 4, 4, 128, 1024, 0, None),
        ),
    ),
)

_DECODES = (
    Grid(
        kind="attention_decode",
        kernels=("decode_sdpa_flash",),
        dtypes=_FP32,
        columns=_DECODE,
        rows=(
            (1, 8, 8, 64, 8191, None),
            (8, 8, 2, 128, 2047, None),
            (4, 16, 4, 64, 2047, None),
            (1, 32, 8, 128, 4095, None),
            (8, 8, 8, 64, 1023, None),
            (16, 8, 2, 64, 1023, None),
            (1, 8, 1, 128, 8191, None),
            (2, 16, 16, 128, 2047, None),
            (32, 8, 8, 64, 511, None),
            (4, 8, 2, 128, 8191, 2048),
            (1, 16, 4, 128, 16383, None),
            (8, 32, 8, 64, 1023, None),
        ),
    ),
    Grid(
        kind="attention_decode",
        kernels=("decode_sdpa_math",),
        dtypes=_FP32,
        columns=_DECODE,
        rows=(
            (1, 8, 8, 64, 4095, None),
            (4, 8, 2, 64, 2047, None),
            (8, 8, 8, 64, 1023, None),
            (2, 16, 4, 128, 1023, None),
            (1, 16, 16, 64, 4095, None),
            (4, 8, 1, 128, 1023, None),
        ),
    ),
)

_TRITON = (
    Grid(
        kind="attention_prefill",
        kernels=("triton_flash_prefill",),
        dtypes=("bf16", "fp16", "fp32"),
        columns=_ATTENTION,
        rows=(
            (1, 4, 2, 64, 96, 0, None),
            (1, 2, 1, 128, 80, 32, 48),
            (1, 2, 2, 256, 64, 0, None),
        ),
        untimed=_INTERPRETED,
    ),
    Grid(
        kind="attention_decode",
        kernels=("triton_paged_decode",),
        dtypes=("bf16", "fp16", "fp32"),
        columns=_DECODE,
        rows=((2, 8, 2, 128, 300, None), (2, 4, 4, 64, 200, 64), (1, 8, 1, 64, 257, None)),
        untimed=_INTERPRETED,
    ),
    Grid(
        kind="mla_decode",
        kernels=("triton_mla_decode",),
        dtypes=("bf16",),
        columns="batch query_heads kv_lora_rank qk_rope_head_dim qk_nope_head_dim v_head_dim "
        "new_tokens cached_tokens",
        rows=((2, 16, 512, 64, 128, 128, 1, 130), (1, 16, 512, 64, 128, 128, 1, 70)),
        untimed=_INTERPRETED,
    ),
    Grid(
        kind="state_space_prefill",
        kernels=("triton_mamba2_scan",),
        dtypes=("bf16", "fp32"),
        columns=_STATE,
        rows=((1, 96, 64, 2, 64, 1, 64, 4), (2, 70, 128, 4, 64, 2, 128, 4)),
        variant="mamba2",
        untimed=_INTERPRETED,
    ),
    Grid(
        kind="state_space_decode",
        kernels=("triton_mamba2_update",),
        dtypes=("bf16", "fp32"),
        columns=_STATE,
        rows=((4, 1, 256, 8, 64, 1, 128, 4), (2, 1, 128, 4, 64, 2, 64, 4)),
        variant="mamba2",
        untimed=_INTERPRETED,
    ),
    Grid(
        kind="state_space_decode",
        kernels=("triton_gated_delta_update",),
        dtypes=("bf16", "fp32"),
        columns=f"{_STATE} state_format",
        rows=((2, 1, 256, 4, 128, 2, 128, 4, "fp32"), (3, 1, 128, 2, 64, 2, 64, 4, "fp32")),
        variant="gated_delta_net",
        untimed=_INTERPRETED,
    ),
)

_WINDOWS = (
    Grid(
        kind="attention_prefill",
        kernels=("prefill_flex", "prefill_sdpa_flash", "naive_attention"),
        dtypes=_BOTH,
        columns=_ATTENTION,
        rows=((1, 4, 2, 64, 192, 64, 96),),
        untimed=_UNFUSED,
    ),
    Grid(
        kind="attention_decode",
        kernels=("decode_flex", "decode_sdpa_flash"),
        dtypes=_BOTH,
        columns=_DECODE,
        rows=((2, 4, 2, 64, 300, 128),),
        untimed=_UNFUSED,
    ),
)

_MEMORY = (
    Grid(
        kind="weights",
        kernels=("allocator",),
        dtypes=("bf16",),
        columns=f"{_MODEL} weights",
        rows=(
            ("smollm2-135m", None, None, None, None),
            ("mamba2-780m", 8, None, None, None),
            ("gpt-oss-20b", 2, 8192, 8, "checkpoint"),
            ("qwen2.5-0.5b", 8, None, None, "fp8_block"),
            ("mixtral-8x7b", 1, 8192, 2, "int4"),
            ("gpt2", None, None, None, "fp32"),
        ),
    ),
    Grid(
        kind="cache",
        kernels=("allocator",),
        dtypes=("bf16",),
        columns="model batch context kv_dtype",
        rows=(
            ("llama-3.1-8b", 2, 1000, None),
            ("gemma-3-1b", 2, 3000, None),
            ("mamba2-780m", 2, 4000, None),
            ("gpt-oss-20b", 2, 2000, "fp8"),
            ("mistral-7b-v0.1", 1, 5000, None),
            ("deepseek-v3", 2, 1000, None),
        ),
    ),
    Grid(
        kind="paged_cache",
        kernels=("allocator",),
        dtypes=("bf16",),
        columns="model batch context block_tokens",
        rows=(("llama-3.2-1b", 4, 1000, 16), ("qwen2.5-0.5b", 8, 777, 128)),
    ),
    Grid(
        kind="attention_peak",
        kernels=("allocator",),
        dtypes=_FP32,
        columns=_ATTENTION,
        rows=((1, 8, 2, 64, 1024, 0, None), (1, 8, 8, 64, 2048, 0, None)),
    ),
    Grid(
        kind="flop",
        kernels=("decoder",),
        dtypes=_FP32,
        columns=f"{_MODEL} batch new_tokens",
        rows=(
            ("llama-3.2-1b", 2, 512, None, 2, 32),
            ("mamba2-780m", 2, 512, None, 1, 512),
            ("qwen3-30b-a3b", 1, 512, 8, 2, 16),
            ("gemma-3-1b", 6, 512, None, 1, 600),
            ("gpt-oss-20b", 2, 512, 4, 1, 160),
            ("gpt2", 4, 512, None, 2, 32),
            ("deepseek-v2-lite", 2, 512, 8, 1, 64),
            ("qwen3-next-80b-a3b-instruct", 2, 512, 16, 1, 128),
        ),
    ),
)

_OWN_STEPS = (
    ("llama-3.2-1b", 2, 4096, None),
    ("gemma-3-1b", 6, 4096, None),
    ("qwen3-30b-a3b", 1, 4096, 16),
    ("mamba2-780m", 8, 4096, None),
    ("deepseek-v2-lite", 2, 4096, 8),
    ("qwen3-next-80b-a3b-instruct", 2, 4096, 16),
)
_REAL_STEPS = (
    ("llama-3.1-8b", 1, 4096, None),
    ("mistral-7b-v0.1", 1, 4096, None),
    ("qwen3-30b-a3b", 1, 4096, 16),
    ("mamba2-2.7b", 2, 4096, None),
)


_Model = tuple[str, int, int, int | None]
_Loads = tuple[tuple[int, int], ...]


def _steps(maker: str, model: _Model, decode: _Loads, prefill: _Loads) -> tuple[Grid, Grid]:
    """Steps of one model; loads are sequences and tokens of each."""
    steps = (("model_decode", "cached_tokens", decode), ("model_prefill", "new_tokens", prefill))
    first, second = (
        Grid(
            kind=kind,
            kernels=(maker,),
            dtypes=_FP32,
            columns=f"{_MODEL} batch {tokens}",
            rows=tuple((*model, *load) for load in loads),
            block=f"{maker} {model[0]}",
        )
        for kind, tokens, loads in steps
    )
    return first, second


_OWN_DECODE, _OWN_PREFILL = ((1, 255), (4, 511), (1, 1023), (2, 127)), ((1, 64), (1, 128), (1, 32))
_REAL_DECODE, _REAL_PREFILL = ((1, 255), (2, 511), (1, 1023)), ((1, 48), (1, 24))
_STEPS = tuple(
    grid
    for own, real in zip_longest(_OWN_STEPS, _REAL_STEPS)
    for grid in (
        *_steps("decoder", own, _OWN_DECODE, _OWN_PREFILL),
        *(_steps("transformers", real, _REAL_DECODE, _REAL_PREFILL) if real else ()),
    )
)

_COLLECTIVES = tuple(
    Grid(
        kind=kind,
        kernels=("torch_distributed",),
        dtypes=_FP32,
        columns="message_bytes",
        rows=tuple((2**power,) for power in (24, 16, 20, 26, 18, 22)),
    )
    for kind in ("all_reduce", "all_gather", "reduce_scatter", "all_to_all", "send_recv")
)

GRIDS = (
    _PRODUCTS,
    _COPIES,
    *_NORMS,
    *_PREFILL,
    *_DECODES,
    *_TRITON,
    *_WINDOWS,
    *_MEMORY,
    *_STEPS,
    *_COLLECTIVES,
)
