"""Cases for a GPU: every kernel on shapes of real models, from launch-bound to saturated."""

from __future__ import annotations

from validation.cases import Grid

_ATTENTION = "batch query_heads kv_heads head_dim new_tokens cached_tokens window"
_DECODE = "batch query_heads kv_heads head_dim cached_tokens window"
_LATENT = (
    "batch query_heads kv_lora_rank qk_rope_head_dim qk_nope_head_dim v_head_dim new_tokens "
    "cached_tokens"
)
_STATE = "batch new_tokens hidden heads head_dim groups state_dim conv_kernel"
_MODEL = "model layers vocabulary experts"
_BF16 = ("bf16",)

_PRODUCT_ROWS = (
    (4096, 4096, 4096),
    (1, 6144, 4096),
    (64, 28672, 4096),
    (8192, 6144, 4096),
    (8, 4096, 14336),
    (512, 4096, 14336),
    (1, 28672, 4096),
    (2048, 28672, 4096),
    (32, 6144, 4096),
    (128, 10240, 8192),
    (1, 8192, 28672),
    (1024, 8192, 8192),
    (256, 4096, 4096),
    (16, 57344, 8192),
    (4, 4096, 4096),
    (8192, 8192, 8192),
)

_PRODUCTS = (
    Grid(kind="gemm", kernels=("torch_matmul",), dtypes=_BF16, columns="m n k",
         rows=_PRODUCT_ROWS),
    Grid(kind="gemm", kernels=("torch_scaled_matmul",), dtypes=("fp8",), columns="m n k",
         rows=tuple(row for row in _PRODUCT_ROWS if row[0] >= 16)),
    Grid(kind="gemm", kernels=("torch_matmul",), dtypes=("fp16",), columns="m n k",
         rows=_PRODUCT_ROWS[:6]),
)  # fmt: skip

_STREAMS = (
    Grid(kind="memory_copy", kernels=("torch_copy",), dtypes=_BF16, columns="total_bytes",
         rows=tuple((2**power,) for power in (30, 24, 32, 27, 21, 29, 25, 31, 23, 28))),
    *(
        Grid(
            kind="elementwise",
            kernels=(f"torch_fused_{norm}", f"torch_unfused_{norm}"),
            dtypes=_BF16,
            columns="tokens width",
            rows=((8192, 4096), (64, 4096), (2048, 8192), (512, 4096), (16384, 8192), (1, 8192)),
            variant=norm,
        )
        for norm in ("rms_norm", "layer_norm")
    ),
)  # fmt: skip

_PREFILL = (
    Grid(
        kind="attention_prefill",
        kernels=("triton_flash_prefill", "prefill_sdpa_flash", "prefill_sdpa_cudnn",
                 "prefill_varlen_flash"),
        dtypes=_BF16,
        columns=_ATTENTION,
        rows=(
            (1, 32, 8, 128, 4096, 0, None),
            (4, 32, 8, 128, 1024, 0, None),
            (1, 32, 8, 128, 16384, 0, None),
            (1, 64, 8, 64, 4096, 0, None),
            (1, 16, 8, 256, 4096, 0, None),
            (1, 32, 32, 128, 2048, 0, None),
            (1, 32, 1, 128, 8192, 0, None),
            (16, 32, 8, 128, 512, 0, None),
            (1, 32, 8, 128, 2048, 14336, None),
            (1, 64, 8, 128, 8192, 0, None),
        ),
    ),
    Grid(
        kind="attention_prefill",
        kernels=("triton_flash_prefill", "prefill_flex", "prefill_varlen_flash"),
        dtypes=_BF16,
        columns=_ATTENTION,
        rows=(
            (1, 32, 8, 128, 8192, 0, 4096),
            (1, 64, 8, 64, 8192, 0, 128),
            (1, 16, 8, 256, 8192, 0, 1024),
            (1, 32, 8, 128, 16384, 0, 1024),
        ),
    ),
    Grid(
        kind="attention_prefill",
        kernels=("naive_attention", "prefill_sdpa_math"),
        dtypes=_BF16,
        columns=_ATTENTION,
        rows=((1, 32, 8, 128, 1024, 0, None), (1, 32, 8, 128, 4096, 0, None),
              (4, 32, 32, 64, 1024, 0, None), (1, 32, 8, 128, 2048, 0, None)),
    ),
    Grid(
        kind="attention_prefill",
        kernels=("prefill_sdpa_efficient",),
        dtypes=_BF16,
        columns=_ATTENTION,
        rows=((1, 32, 32, 128, 4096, 0, None), (4, 32, 32, 64, 1024, 0, None),
              (1, 32, 32, 128, 8192, 0, None), (2, 16, 16, 128, 2048, 0, None)),
    ),
    Grid(
        kind="attention_prefill",
        kernels=("triton_flash_prefill", "prefill_sdpa_flash"),
        dtypes=("fp16",),
        columns=_ATTENTION,
        rows=((1, 32, 8, 128, 4096, 0, None), (1, 32, 8, 64, 2048, 0, None)),
    ),
)  # fmt: skip

_DECODES = (
    Grid(
        kind="attention_decode",
        kernels=("triton_paged_decode", "decode_sdpa_flash", "decode_sdpa_cudnn",
                 "decode_varlen_flash"),
        dtypes=_BF16,
        columns=_DECODE,
        rows=(
            (64, 32, 8, 128, 8191, None),
            (1, 32, 8, 128, 32767, None),
            (16, 32, 8, 128, 4095, None),
            (256, 32, 8, 128, 2047, None),
            (8, 64, 8, 64, 16383, None),
            (64, 32, 32, 128, 2047, None),
            (64, 32, 1, 128, 8191, None),
            (16, 16, 8, 256, 8191, None),
            (1, 32, 8, 128, 131071, None),
            (128, 64, 8, 128, 4095, None),
        ),
    ),
    Grid(
        kind="attention_decode",
        kernels=("triton_paged_decode", "decode_varlen_flash", "decode_flex"),
        dtypes=_BF16,
        columns=_DECODE,
        rows=((64, 32, 8, 128, 16383, 4096), (128, 64, 8, 64, 8191, 128),
              (32, 16, 8, 256, 8191, 1024)),
    ),
    Grid(
        kind="attention_decode",
        kernels=("decode_sdpa_math", "decode_sdpa_efficient"),
        dtypes=_BF16,
        columns=_DECODE,
        rows=((16, 32, 32, 128, 4095, None), (1, 32, 32, 128, 8191, None)),
    ),
    Grid(
        kind="mla_decode",
        kernels=("triton_mla_decode",),
        dtypes=_BF16,
        columns=_LATENT,
        rows=tuple(
            (batch, heads, 512, 64, 128, 128, 1, cached)
            for batch, heads, cached in (
                (64, 128, 4095), (1, 128, 32767), (128, 16, 8191), (16, 128, 2047),
                (256, 16, 2047), (8, 64, 16383),
            )
        ),
    ),
)  # fmt: skip

_RECURRENCES = (
    Grid(
        kind="state_space_prefill",
        kernels=("triton_mamba2_scan",),
        dtypes=_BF16,
        columns=_STATE,
        rows=((1, 4096, 2560, 80, 64, 1, 128, 4), (8, 1024, 2560, 80, 64, 1, 128, 4),
              (1, 16384, 4096, 128, 64, 8, 128, 4), (4, 2048, 4096, 128, 64, 8, 128, 4)),
        variant="mamba2",
    ),
    Grid(
        kind="state_space_decode",
        kernels=("triton_mamba2_update",),
        dtypes=_BF16,
        columns=_STATE,
        rows=((64, 1, 2560, 80, 64, 1, 128, 4), (1, 1, 4096, 128, 64, 8, 128, 4),
              (256, 1, 4096, 128, 64, 8, 128, 4), (16, 1, 2560, 80, 64, 1, 128, 4)),
        variant="mamba2",
    ),
    Grid(
        kind="state_space_decode",
        kernels=("triton_gated_delta_update",),
        dtypes=_BF16,
        columns=f"{_STATE} state_format",
        rows=((64, 1, 2048, 32, 128, 16, 128, 4, "fp32"),
              (256, 1, 4096, 64, 128, 16, 128, 4, "fp32"),
              (1, 1, 2048, 32, 128, 16, 128, 4, "fp32")),
        variant="gated_delta_net",
    ),
)  # fmt: skip

_MEMORY = (
    Grid(
        kind="weights",
        kernels=("allocator",),
        dtypes=_BF16,
        columns=f"{_MODEL} weights",
        rows=(
            ("llama-3.1-8b", None, None, None, None),
            ("gpt-oss-20b", None, None, None, "checkpoint"),
            ("mamba2-2.7b", None, None, None, None),
            ("qwen3-30b-a3b", None, None, None, "fp8"),
            ("gemma-3-12b", None, None, None, "int4"),
        ),
    ),
    Grid(
        kind="cache",
        kernels=("allocator",),
        dtypes=_BF16,
        columns="model batch context kv_dtype",
        rows=(
            ("llama-3.1-8b", 8, 8192, None),
            ("gpt-oss-20b", 16, 8192, "fp8"),
            ("gemma-3-12b", 4, 16384, None),
            ("mamba2-2.7b", 64, 8192, None),
            ("deepseek-v3", 4, 8192, None),
        ),
    ),
    Grid(
        kind="paged_cache",
        kernels=("allocator",),
        dtypes=_BF16,
        columns="model batch context block_tokens",
        rows=(("llama-3.1-8b", 16, 5000, 16), ("mistral-7b-v0.3", 16, 5000, 128)),
    ),
    Grid(
        kind="attention_peak",
        kernels=("allocator",),
        dtypes=_BF16,
        columns=_ATTENTION,
        rows=((1, 32, 8, 128, 8192, 0, None), (4, 32, 8, 128, 2048, 0, None)),
    ),
    Grid(
        kind="flop",
        kernels=("decoder",),
        dtypes=("fp32",),
        columns=f"{_MODEL} batch new_tokens",
        rows=(
            ("llama-3.1-8b", 2, 512, None, 2, 64),
            ("mamba2-2.7b", 2, 512, None, 1, 512),
            ("qwen3-30b-a3b", 1, 512, 16, 2, 64),
            ("gpt-oss-20b", 2, 512, 4, 1, 512),
            ("deepseek-v2-lite", 2, 512, 8, 1, 128),
            ("qwen3.5-9b", 2, 512, None, 1, 128),
        ),
    ),
)

_WHOLE = ("llama-3.1-8b", "mistral-7b-v0.1", "mamba2-2.7b", "qwen3-30b-a3b")
_MAKERS = (
    *((model, maker) for model in _WHOLE for maker in ("decoder", "transformers")),
    ("deepseek-v2-lite", "decoder"),
    ("qwen3.5-9b", "decoder"),
)
_STEP_LOADS = (
    ("model_decode", "cached_tokens", ((16, 4095), (1, 2047), (64, 2047), (1, 16383))),
    ("model_prefill", "new_tokens", ((1, 2048), (4, 1024), (1, 512))),
)
_STEPS = tuple(
    Grid(
        kind=kind,
        kernels=(maker,),
        dtypes=_BF16,
        columns=f"{_MODEL} batch {tokens}",
        rows=tuple((model, None, None, None, *load) for load in loads),
        block=f"{maker} {model}",
    )
    for model, maker in _MAKERS
    for kind, tokens, loads in _STEP_LOADS
)

_COLLECTIVES = tuple(
    Grid(
        kind=kind,
        kernels=("torch_distributed",),
        dtypes=_BF16,
        columns="message_bytes",
        rows=tuple((2**power,) for power in (24, 13, 28, 17, 20, 30, 26, 15, 22)),
    )
    for kind in ("all_reduce", "all_gather", "reduce_scatter", "all_to_all", "send_recv")
)

GRIDS = (
    *_PRODUCTS,
    *_STREAMS,
    *_PREFILL,
    *_DECODES,
    *_RECURRENCES,
    *_MEMORY,
    *_STEPS,
    *_COLLECTIVES,
)
