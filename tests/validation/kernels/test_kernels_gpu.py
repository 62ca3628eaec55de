"""Every kernel on a real device: right at sizes that matter, with every way to cut it up."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from validation import kernels  # noqa: E402
from validation.kernels.kernel import compare, verify  # noqa: E402

pytestmark = pytest.mark.gpu

LLAMA = {"batch": 2, "query_heads": 32, "kv_heads": 8, "head_dim": 128}
LATENT = {"kv_lora_rank": 512, "qk_rope_head_dim": 64, "qk_nope_head_dim": 128, "v_head_dim": 128}
STATE = {"batch": 4, "heads": 80, "head_dim": 64, "groups": 1, "state_dim": 128}
SHAPES: dict[str, list[dict[str, Any]]] = {
    "attention_prefill": [
        LLAMA | {"new_tokens": 2047},
        LLAMA | {"new_tokens": 1024, "cached_tokens": 3001},
        LLAMA | {"new_tokens": 4096, "window": 1000},
        LLAMA | {"new_tokens": 777, "head_dim": 64},
        LLAMA | {"new_tokens": 777, "head_dim": 256},
    ],
    "attention_decode": [
        LLAMA | {"cached_tokens": 8191},
        LLAMA | {"cached_tokens": 8191, "window": 1024},
        LLAMA | {"cached_tokens": 30001, "batch": 1, "query_heads": 64},
        LLAMA | {"cached_tokens": 500, "kv_heads": 32, "new_tokens": 4},
        LLAMA | {"cached_tokens": 2000, "head_dim": 256, "block_tokens": 64},
    ],
    "mla_decode": [
        LATENT | {"batch": 8, "query_heads": 128, "cached_tokens": 4000},
        LATENT | {"batch": 2, "query_heads": 16, "cached_tokens": 30000, "new_tokens": 2},
    ],
    "state_space_prefill": [STATE | {"new_tokens": 1000, "initial_state": True}],
    "state_space_decode": [STATE, STATE | {"batch": 256}],
    "gemm": [{"m": 1024, "n": 4096, "k": 4096}, {"m": 16, "n": 4096, "k": 14336}],
    "memory_copy": [{"total_bytes": 2**28}],
    "elementwise": [{"tokens": 4096, "width": 4096}],
}


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", kernels.KERNELS)
def test_kernel(name: str) -> None:
    kernel, device = kernels.load(name), torch.device("cuda")
    wrong = []
    ran = 0
    for dtype in kernel.tolerances:
        for shape in SHAPES[kernel.kind]:
            if not kernel.usable(shape, dtype, device)[0]:
                continue
            ran += 1
            result = verify(kernel, kernel.make_inputs(shape, dtype, device, 1), dtype)
            if not result.correct:
                wrong.append(f"{dtype} {shape}: {result.reason}")
    assert not wrong, "\n".join(wrong)
    if not ran:
        pytest.skip(kernel.available(device)[1] or "takes none of the shapes")


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", kernels.names(provider="triton"))
def test_every_candidate(name: str) -> None:
    kernel, device = kernels.load(name), torch.device("cuda")
    for shape in SHAPES[kernel.kind]:
        inputs = kernel.make_inputs(shape, torch.bfloat16, device, 2)
        for candidate in kernel.candidates(inputs):
            inputs = kernel.make_inputs(shape, torch.bfloat16, device, 2)
            expected = kernel.reference(inputs)
            actual = kernel.run_with(inputs, kernel.make_outputs(inputs), candidate)
            result = compare(actual, expected, kernel.tolerance(torch.bfloat16))
            assert result.correct, f"{candidate} {shape}: {result.reason}"


@pytest.mark.parametrize("name", kernels.names(provider="triton"))
def test_a_launch_can_be_recorded(name: str) -> None:
    """A CUDA graph of the launch gives what the launch gives."""
    kernel, device = kernels.load(name), torch.device("cuda")
    shape = SHAPES[kernel.kind][0]
    inputs = kernel.make_inputs(shape, torch.bfloat16, device, 3)
    kernel.run(inputs, kernel.make_outputs(inputs))
    inputs = kernel.make_inputs(shape, torch.bfloat16, device, 3)
    expected = kernel.reference(inputs)
    out = kernel.make_outputs(inputs)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        actual = kernel.run(inputs, out)
    graph.replay()
    torch.cuda.synchronize()
    result = compare(actual, expected, kernel.tolerance(torch.bfloat16))
    assert result.correct, result.reason
